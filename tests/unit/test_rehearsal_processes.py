"""What groups of processes use."""

import os

from sunseo.rehearsal.observe.processes import MACHINE, Groups


def test_own_process_is_seen_at_work() -> None:
    """A group's processor time is counted between looks, with its memory; so is the machine's."""
    groups = Groups(lambda: None, [os.getpid()])
    groups.look()
    spent = sum(number * number for number in range(2_000_000))
    used = groups.look()

    assert spent > 0
    assert used["crowd"].cores > 0
    assert used["crowd"].memory_mb > 0
    assert used["server"].cores == 0
    if MACHINE in used:
        assert used[MACHINE].cores > 0
