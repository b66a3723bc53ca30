"""Whether all that was seen is one story: checks, bounds, and how fair it was. Pure."""
