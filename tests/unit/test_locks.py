"""The lock order, held by the ladder."""

from itertools import permutations

import pytest

from sunseo.postgres.locks import Lockable, LockLadder, LockOrderError


def test_the_order_is_the_documented_one() -> None:
    """Of the streams the hottest comes last, the sale; and in a room its line."""
    assert [kind.name for kind in Lockable] == [
        "LEDGER_ACCOUNT", "SALE",
        "ROOM", "ROOM_LEASE", "ROOM_LINE",
    ]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), list(permutations(Lockable, 2)))
def test_steps_go_up_only(first: Lockable, second: Lockable) -> None:
    """Of any two kinds exactly one may be locked after the other."""
    ladder = LockLadder()
    ladder.step(first)
    if second > first:
        ladder.step(second)
    else:
        with pytest.raises(LockOrderError, match=f"{second.name} cannot be locked after"):
            ladder.step(second)


def test_one_kind_may_be_locked_in_two_statements() -> None:
    """A second statement of the same kind is a step of the same rung."""
    ladder = LockLadder()
    ladder.step(Lockable.ROOM_LINE)
    ladder.step(Lockable.ROOM_LINE)


@pytest.mark.parametrize("kind", Lockable)
def test_nothing_is_locked_after_the_time_was_read(kind: Lockable) -> None:
    """A lock that is waited for would make the decision time too old."""
    ladder = LockLadder()
    ladder.close()
    with pytest.raises(LockOrderError, match="after the decision time"):
        ladder.step(kind)
