"""Seats, stock and holds: every unit has exactly one owner.

`rules` decides, purely, on the `hall` that `store` loads and writes back; `batch` joins the two
into one transaction for all that a lane has gathered.
"""
