"""The site behind the room: how well it is, and how much longer things take in it."""

from math import inf

from sunseo.room.simulation.scenario import SimulatedService


def worse(service: SimulatedService, at_s: float) -> float:
    """0 as long as all is well, 1 when it is as bad as it gets."""
    if at_s <= service.worse_from_s:
        return 0.0
    if at_s >= service.worse_to_s:
        return 1.0
    return (at_s - service.worse_from_s) / (service.worse_to_s - service.worse_from_s)


def health(service: SimulatedService, at_s: float, inside: int) -> float:
    """Target over measured p99; infinite where the service is never in trouble."""
    if service.people_max is None:
        return inf
    people_max = service.people_max * (1.0 - service.lost_share * worse(service, at_s))
    load = inside / people_max
    p99_s = service.p99_idle_s + (service.p99_target_s - service.p99_idle_s) * load**4
    return service.p99_target_s / p99_s


def slower(service: SimulatedService, at_s: float) -> float:
    """How many times as long as usual a session takes that begins now."""
    return 1.0 + (service.slower - 1.0) * worse(service, at_s)
