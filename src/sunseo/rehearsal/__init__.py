"""A simulated crowd over real HTTP, with a verdict.

`buyers` says how people behave (pure, seeded), `visit` plays one of them, `driver` speaks HTTP for
them, `figures` counts, `screen` shows; `demo` is the first whole of these parts.
"""
