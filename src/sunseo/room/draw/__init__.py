"""The draw before the opening, which anyone can check.

COMMITTED, then SEALED, then REVEALED; WITHHELD lies between the last two where the secret does not
come in time, and is never taken back from the log.

rules    commitment, list hash, seed and numbers: pure
file     the published file
steps    how a draw stands and which step may be taken: pure; stores take them
routes   the same over HTTP
"""
