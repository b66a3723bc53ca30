"""Proof that a join costs its sender something: the seam, and two kinds behind it."""
