"""Backups: all that a server needs in one file, and bringing it back."""
