"""`sunseo serve` with one lock left out: batches read and decide without holding their sale.

For this campaign only, to see that the checker notices. Workers are started from a fresh
interpreter, which imports this module first: none of them locks.
"""

from msgspec.structs import force_setattr

from sunseo.booking.locked import SALES
from sunseo.cli.main import main

LOCKING = "    FOR NO KEY UPDATE SKIP LOCKED\n"


def without_lock(statement: str) -> str:
    """What reads a sale without locking it."""
    if statement.count(LOCKING) != 1:
        raise AssertionError("the sale is locked in other words now: nothing was left out")
    return statement.replace(LOCKING, "")


if __name__ in ("__main__", "__mp_main__"):  # the supervisor, and the processes that it starts
    force_setattr(SALES, "lock", without_lock(SALES.lock))

if __name__ == "__main__":
    main()
