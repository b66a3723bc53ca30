"""The draw before the opening, which anyone can check.

COMMITTED, then SEALED, then REVEALED; WITHHELD lies between the last two where the secret does not
come in time, and is never taken back from the log.

rules    commitment, list hash, seed and numbers: pure
file     the published file
store    the draw of a room, in its database
routes   the same over HTTP
"""
