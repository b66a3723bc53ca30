"""What became of statements whose answer did not come.

Both are a `ConnectionError`: who only asks whether PostgreSQL is away need not know them.
"""


class NothingDoneError(ConnectionError):
    """Nothing of the segment is in effect, nor of its transaction, and nothing ever will be.

    It was never sent, its transaction never began or had failed before, or the connection was lost
    before anything was sent that could commit.
    """


class CommitUnknownError(ConnectionError):
    """What commits was sent, and no answer came: all of it is in effect, or nothing."""
