"""Which settings may change at which stage of a line: all of them, at all stages."""

from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

import msgspec
import pytest

from sunseo.room.setup.fixed import (
    INSTEAD,
    Stage,
    StageFacts,
    may_be_refused,
    refuse_change,
    stage_of,
)
from sunseo.room.setup.settings import (
    Bypass,
    HealthTargets,
    Holders,
    Message,
    Mode,
    Opening,
    RoomSettings,
)

OTHER: dict[str, dict[str, Any]] = {
    "capacity": {"capacity": 7},
    "capacity_min": {"capacity_min": 3},
    "rate_max": {"rate_max": 2.0},
    "tau_s": {"tau_s": 4.0},
    "units_per_buyer": {"units_per_buyer": 2.0},
    "health": {"health": HealthTargets(p99_s=2.0)},
    "mode": {"mode": "random"},
    "holders": {"holders": "accounts"},
    "challenge": {"challenge": "altcha"},
    "challenge_difficulty": {"challenge_difficulty": 1_000},
    "network_joins_max": {"network_joins_max": 9},
    "bypass": {"bypass": Bypass(paths=("/health",))},
    "pass_ttl_s": {"pass_ttl_s": 30},
    "session_max_s": {"session_max_s": 600},
    "renewal_grace_s": {"renewal_grace_s": 5},
    "skew_s": {"skew_s": 1},
    "grace_s": {"grace_s": 200},
    "poll_floor_s": {"poll_floor_s": 3},
    "poll_ceiling_s": {"poll_ceiling_s": 30},
    "poll_divisor": {"poll_divisor": 5},
    "pass_signature": {"pass_signature": "ed25519"},
    "opens_at": {"opens_at": datetime(2026, 1, 1, tzinfo=UTC)},
    "closes_at": {"closes_at": datetime(2999, 1, 1, tzinfo=UTC)},
    "schedule": {"schedule": (Opening("00:00", 10_080),)},
    "time_zone": {"time_zone": "Asia/Seoul"},
    "join_early_s": {"join_early_s": 60},
    "paused": {"paused": True},
    "fail_mode": {"fail_mode": "last_known"},
    "open_rate_max": {"open_rate_max": 5.0},
    "message": {"message": Message("곧", "Soon")},
    "languages": {"languages": ("en",)},
    "return_hosts": {"return_hosts": ("https://shop.example",)},
}
WITH_DRAW = {Stage.REGISTERING, Stage.SEALED, Stage.DRAWN}


def test_every_setting_is_walked() -> None:
    """The walk below has another value for each setting there is."""
    assert set(OTHER) == set(RoomSettings.__struct_fields__)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", RoomSettings.__struct_fields__)
def test_all_but_mode_and_holders_may_change_at_any_stage(name: str, stage: Stage) -> None:
    """Nothing else that an operator may need in a crowd is ever refused."""
    before = RoomSettings()
    after = msgspec.structs.replace(before, **OTHER[name])
    assert getattr(after, name) != getattr(before, name)

    refusal = refuse_change(before, after, stage)

    if name not in ("mode", "holders"):
        assert refusal is None
        assert not may_be_refused(before, after)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(("before", "after"), list(product(get_args(Mode), get_args(Mode))))
def test_modes_by_stage(stage: Stage, before: Mode, after: Mode) -> None:
    """Numbers and a draw to come never meet; a room can always be closed, and stay as it is."""
    match stage:
        case Stage.EMPTY | Stage.DRAWN:
            allowed = True
        case Stage.LINED:
            allowed = after != "random"
        case _:
            allowed = after in ("random", "closed")
    refusal = refuse_change(RoomSettings(mode=before), RoomSettings(mode=after), stage)

    assert (refusal is None) == (allowed or before == after)
    if refusal is not None:
        assert refusal.setting == "mode"
        assert refusal.why == f"`mode` cannot become {after} now: {stage.value}."
        assert "reset the line" in refusal.instead.lower()
        assert "new room" in refusal.instead


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(("before", "after"), list(product(get_args(Holders), get_args(Holders))))
def test_holders_by_stage(stage: Stage, before: Holders, after: Holders) -> None:
    """Who has registered for a draw is not shut out of asking for her number."""
    strictness = ["anyone", "persons", "accounts"]
    stricter = strictness.index(after) > strictness.index(before)
    refusal = refuse_change(RoomSettings(holders=before), RoomSettings(holders=after), stage)

    assert (refusal is not None) == (stricter and stage in WITH_DRAW)


@pytest.mark.parametrize(
    ("standing", "stage"),
    [
        (StageFacts(0, 0, False, None), Stage.EMPTY),
        (StageFacts(5, 0, False, None), Stage.LINED),
        (StageFacts(5, 0, False, "committed"), Stage.LINED),
        (StageFacts(0, 0, False, "committed"), Stage.COMMITTED),
        (StageFacts(0, 3, False, None), Stage.REGISTERING),
        (StageFacts(0, 3, False, "committed"), Stage.REGISTERING),
        (StageFacts(2, 3, False, "committed"), Stage.REGISTERING),
        (StageFacts(3, 3, True, "committed"), Stage.SEALED),
        (StageFacts(3, 3, True, "sealed"), Stage.SEALED),
        (StageFacts(4, 3, True, "withheld"), Stage.SEALED),
        (StageFacts(0, 0, True, "sealed"), Stage.SEALED),
        (StageFacts(3, 3, True, "revealed"), Stage.DRAWN),
    ],
)
def test_the_stage_is_told_by_line_and_draw(standing: StageFacts, stage: Stage) -> None:
    """Where a line has come into two stages, the one that binds more counts."""
    assert stage_of(standing) is stage


def test_every_stage_says_what_to_do_instead() -> None:
    """No refusal leaves an operator without a way."""
    assert set(INSTEAD) == set(Stage)
