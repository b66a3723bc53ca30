"""Where PostgreSQL is, as its users write it, and how it is reached from there."""
