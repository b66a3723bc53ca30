"""Which version this is, of all packages alike."""

VERSION = "0.1.0"
