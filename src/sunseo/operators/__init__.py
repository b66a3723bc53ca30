"""Operators: their keys, what they did, and that doing it twice does it once."""
