"""Sunseo: a waiting room and booking engine for openings where everyone arrives at once."""

__version__ = "0.1.0"
