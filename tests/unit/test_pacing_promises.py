"""The promises of the controller, kept among simulated people. Figures are defined in figures.py.

Seeds are fixed: the same people every time. Each scenario is played once and asked several things.
"""

from functools import cache

import pytest

from sunseo.room.simulation.figures import EtaError, SimulationFigures, figures_of
from sunseo.room.simulation.record import SimulationRecord
from sunseo.room.simulation.run import simulate
from sunseo.room.simulation.scenario import (
    ArrivalStep,
    Pause,
    SimulatedArrivals,
    SimulatedPeople,
    SimulatedRoom,
    SimulatedService,
    SimulatedStock,
    SimulationScenario,
    Spread,
)

SESSIONS = Spread(180.0, "lognormal", 0.6)
PEOPLE = SimulatedPeople(show_up=0.7, session=SESSIONS)
COMING = SimulatedArrivals(present_share=0.0, rate_per_s=12.0)

SCENARIOS = {
    **{
        f"opening, {round((1 - show_up) * 100)} % stay away": SimulationScenario(
            visitors=10_000, people=SimulatedPeople(show_up=show_up, hidden_share=hidden)
        )
        for show_up, hidden in ((0.7, 0.05), (0.6, 0.05), (0.5, 0.2))
    },
    "steady": SimulationScenario(arrivals=COMING, people=PEOPLE),
    "sessions half as long again": SimulationScenario(
        arrivals=COMING,
        people=PEOPLE,
        service=SimulatedService(worse_from_s=600.0, worse_to_s=1800.0, slower=1.5),
    ),
    "three tenths of the service lost": SimulationScenario(
        arrivals=COMING,
        people=PEOPLE,
        service=SimulatedService(
            people_max=1100, worse_from_s=600.0, worse_to_s=1800.0, lost_share=0.3
        ),
    ),
    "tenfold step": SimulationScenario(
        arrivals=SimulatedArrivals(
            present_share=0.0, rate_per_s=4.0, steps=(ArrivalStep(600.0, 40.0),)
        )
    ),
    "stock": SimulationScenario(
        visitors=6_000,
        room=SimulatedRoom(capacity=300),
        people=PEOPLE,
        stock=SimulatedStock(units=2_000),
    ),
    "paused until most have gone": SimulationScenario(
        visitors=30_000,
        arrivals=SimulatedArrivals(present_share=0.25, rate_per_s=8.0),
        people=SimulatedPeople(show_up=0.9, session=SESSIONS, patience=Spread(900.0)),
        pauses=(Pause(900.0, 2700.0),),
    ),
    # A quick little room: a moment's pause, and all who waited have gone before they are called.
    "nobody waits for long": SimulationScenario(
        visitors=5_000,
        room=SimulatedRoom(capacity=26),
        arrivals=SimulatedArrivals(present_share=0.0, rate_per_s=3.3),
        people=SimulatedPeople(
            show_up=0.92,
            hidden_share=0.0,
            session=Spread(2.0),
            patience=Spread(20.0, "constant"),
        ),
        pauses=(Pause(600.0, 630.0),),
    ),
}


@cache
def played(name: str) -> tuple[SimulationRecord, SimulationFigures]:
    record = simulate(SCENARIOS[name])
    return record, figures_of(SCENARIOS[name], record)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name.startswith("opening")])
def test_room_is_used_although_many_stay_away(name: str) -> None:
    """After two minutes 97 % of the capacity is in use for as long as somebody waits."""
    _, figures = played(name)
    assert figures.utilisation is not None
    assert figures.utilisation >= 0.97


@pytest.mark.parametrize("name", SCENARIOS)
def test_nobody_enters_above_capacity(name: str) -> None:
    """Overshoot is 0, under a tenfold step as anywhere."""
    _, figures = played(name)
    assert figures.overshoot == 0


def test_tenfold_step_fills_the_room_and_no_more() -> None:
    """From half full to full within two minutes of the step, and full from then on."""
    record, figures = played("tenfold step")
    after = [m.live for m in record.moments if 720.0 <= m.at_s < 1200.0]
    assert min(after) >= 950
    assert max(m.live for m in record.moments) <= 1000
    assert figures.utilisation is not None
    assert figures.utilisation >= 0.97


def test_room_is_full_soon_after_a_pause_although_most_have_gone() -> None:
    """After half an hour more than half of the line is gone; it is full within two minutes."""
    _, figures = played("paused until most have gone")
    assert figures.gave_up > 10_000
    assert figures.full_again_s is not None
    assert figures.full_again_s <= 120.0


def test_line_that_went_home_does_not_keep_the_room_empty() -> None:
    """Those called in vain are passed over; for whoever comes afterwards there is a way in."""
    record, figures = played("nobody waits for long")
    assert figures.gave_up > 0
    stood_empty_s = longest_s = 0
    for moment in record.moments:
        is_waiting = moment.serving < moment.issued
        is_empty = moment.at_s >= 630.0 and moment.live == 0 and is_waiting
        stood_empty_s = stood_empty_s + 1 if is_empty else 0
        longest_s = max(longest_s, stood_empty_s)
    assert longest_s <= 60


def holds(error: EtaError) -> bool:
    assert error.told > 5_000
    assert error.median is not None
    assert error.p90 is not None
    return error.median <= 0.10 and error.p90 <= 0.25


@pytest.mark.parametrize(
    "name", ["steady", "sessions half as long again", "three tenths of the service lost"]
)
def test_estimates_come_true(name: str) -> None:
    """On joining and half way: off by 10 % in the median and by 25 % at p90, at most."""
    _, figures = played(name)
    assert holds(figures.eta_joining)
    assert holds(figures.eta_half_way)


def test_degrading_service_is_named_as_the_reason() -> None:
    """When the service loses people_max, the line slows down and says why."""
    record, figures = played("three tenths of the service lost")
    assert figures.unhealthy_s > 600
    assert {m.reason for m in record.moments if m.capacity < 1000} == {"unhealthy"}


def test_visitors_poll_seldom() -> None:
    """Those who waited for 19 to 21 minutes polled 50 times on average, at most."""
    record, _ = played("sessions half as long again")
    polls = [
        visit.polls
        for visit in record.visits
        if visit.entered_s is not None
        and not visit.hidden
        and not visit.turned_back
        and 1140 <= visit.entered_s - visit.joined_s <= 1260
    ]
    assert len(polls) > 100
    assert sum(polls) / len(polls) <= 50


def test_line_is_told_at_once_when_it_is_sold_out() -> None:
    """The next tick says so; who still polls hears it at the next poll, and nobody enters."""
    record, figures = played("stock")
    assert figures.units_left == 0
    assert figures.told_sold_out_after_s is not None
    assert figures.told_sold_out_after_s <= 1.0
    assert figures.entered_after_sold_out == 0
    told = [v.told_sold_out_s for v in record.visits if v.told_sold_out_s is not None]
    assert len(told) > 1_000


def test_hardly_anybody_enters_in_vain() -> None:
    """Those inside at the end are as many as the stock serves, give or take chance."""
    record, figures = played("stock")
    assert figures.entered_in_vain <= 10
    for moment in record.moments:
        if moment.units_left is not None and moment.reason != "stock":
            assert moment.units_left > 0


def test_simulation_repeats_itself() -> None:
    """The same seed gives the same record; another seed does not."""
    scenario = SimulationScenario(visitors=500, room=SimulatedRoom(capacity=50))
    assert simulate(scenario) == simulate(scenario)
    other = SimulationScenario(seed=2, visitors=500, room=SimulatedRoom(capacity=50))
    assert simulate(scenario).visits != simulate(other).visits


def test_everybody_who_shows_up_enters() -> None:
    """No visit is lost on the way: who comes back gets in, in the end."""
    people = SimulatedPeople(show_up=1.0, hidden_share=0.3)
    record = simulate(
        SimulationScenario(visitors=400, room=SimulatedRoom(capacity=20), people=people)
    )
    assert all(visit.left_s is not None for visit in record.visits)
    assert [visit.number for visit in record.visits] == list(range(1, 401))
