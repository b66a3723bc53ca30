"""Tokens of places and passes, and the keys that seal and open them."""
