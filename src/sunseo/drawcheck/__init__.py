"""Check a published draw: `python -m sunseo.drawcheck FILE`.

Everything is in `verifier.py`, which needs nothing but Python's standard library and can be copied
out and read by itself. It shares no code with the side that draws.
"""
