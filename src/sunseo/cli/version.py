"""`sunseo version`."""

from sunseo.core.version import VERSION


def version() -> None:
    """Print the version."""
    print(VERSION)
