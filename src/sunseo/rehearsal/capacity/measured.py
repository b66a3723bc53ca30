"""What one probe saw, over the time in which it was in full swing."""

import msgspec

from sunseo.rehearsal.observe.readings import Reading


class LittlesLaw(msgspec.Struct, frozen=True):
    """Little's law on one station, L = λ W, with what was measured.

    Attributes:
        rate: λ, so many come to it per second.
        wait_s: W, so long they stay, on average.
        seen: L as it was counted by looking, where that could be done.
    """

    station: str
    rate: float
    wait_s: float
    seen: float | None = None

    @property
    def product(self) -> float:
        return self.rate * self.wait_s


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        rate: arrivals per second that were asked for; `came`: that came.
        held: whether all bounds did; `broken` names the others, with what was measured.
        p99_ms: by operation.
        late_p99_ms: how late the crowd itself was.
        reading: of all the time that counts.
        laws: by station.
    """

    rate: float
    came: float
    held: bool
    broken: list[str]
    requests_per_s: float
    p99_ms: dict[str, float]
    late_p99_ms: float
    connections: int | None
    reading: Reading | None
    laws: list[LittlesLaw]
