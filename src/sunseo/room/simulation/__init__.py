"""A room without a room: the real controller among simulated people, from a seed."""
