"""Seats, stock and holds: every unit has exactly one owner.

`rules` decides, purely, on the `inventory` that `locked` reads and `save` writes back; `part` joins
them to the engine's batches.
"""
