"""What stops all selling has one name, wherever it is told."""

from typing import Any

import pytest

from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.booking.halt import REASONS, SellingHalt
from sunseo.telemetry.metrics import Metrics


@pytest.mark.parametrize("reason", REASONS)
async def test_a_reason_has_one_name_everywhere(reason: PlaceHoldOutcome) -> None:
    """Answer, log, metric and readiness say it alike, once each time it comes and goes."""
    now: list[PlaceHoldOutcome] = []
    lines: list[tuple[str, dict[str, Any]]] = []
    gauge = Metrics().selling_stopped

    def counts() -> dict[str, float]:
        return {one.code: gauge.labels(one.code)._value.get() for one in REASONS}

    def say(event: str, **about: Any) -> None:
        lines.append((event, about))

    halt = SellingHalt(lambda: now, say, gauge)
    halt.note()
    assert (halt.first(), await halt.checking(*REASONS)(), lines) == (None, True, [])
    assert counts() == {one.code: 0 for one in REASONS}

    now.append(reason)
    halt.note()
    halt.note()

    assert halt.first() is reason
    assert str(await halt.checking(*REASONS)()).startswith(f"{reason.code}: ")
    assert await halt.checking(*set(REASONS) - {reason})() is True
    assert counts() == {one.code: int(one is reason) for one in REASONS}

    now.clear()
    halt.note()

    name = {"reason": reason.code}
    assert lines == [("selling_stopped", name), ("selling_goes_on", name)]
    assert counts()[reason.code] == 0


def test_the_first_of_several_is_told() -> None:
    """They stand in the order of precedence of the answers."""
    halt = SellingHalt(lambda: reversed(REASONS), lambda _: None, Metrics().selling_stopped)

    assert halt.first() is REASONS[0]
    assert [one for one in PlaceHoldOutcome if one in REASONS] == list(REASONS)
