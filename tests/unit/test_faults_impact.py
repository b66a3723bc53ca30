"""From what was seen to incidents: stories of faults, made up to the tenth of a second."""

from collections.abc import Callable

from sunseo.rehearsal.faults.detection import Span, noticed_by_metrics, ready_again
from sunseo.rehearsal.faults.impact import Observations, tell_incidents
from sunseo.rehearsal.faults.incident import Incident, LogEvent
from sunseo.rehearsal.faults.injector import Injected
from sunseo.rehearsal.faults.spec import parse_faults, plan_faults
from sunseo.rehearsal.faults.watch import Look, Scrape
from sunseo.rehearsal.observe.histogram import bucket_of
from sunseo.rehearsal.observe.ledger import Figures, Known, Ledger, Ordered, Placed, Troubled
from sunseo.rehearsal.observe.stored import Stored, StoredOrder

CALM_MS, GOOD = 10, 20  # a tenth of a second
ENDS_S = 40


def figures(
    kinds_at: Callable[[float], dict[str, int]] = lambda _: {"good": GOOD},
    ms_at: Callable[[int], int] = lambda _: CALM_MS,
) -> Figures:
    """A crowd from T0 on, with what it is answered in each tenth and after how long."""
    told = Figures()
    told.answers = {tenth: kinds_at(tenth / 10) for tenth in range(ENDS_S * 10)}
    told.latencies["state"] = {
        second: {bucket_of(ms_at(second) * 1000): 10 * GOOD} for second in range(ENDS_S)
    }
    return told


def injected(
    text: str, began_s: float | None, ended_s: float | None, trouble: str = ""
) -> Injected:
    (fault,) = plan_faults(parse_faults(text), 1)
    return Injected(fault=fault, began_s=began_s, ended_s=ended_s, trouble=trouble)


def tell(one: Injected, **seen: object) -> Incident:
    given: dict[str, object] = {"ledger": Ledger(), "figures": figures()} | seen
    (incident,) = tell_incidents([one], Observations(**given))  # type: ignore[arg-type]  # as named
    return incident


def away(from_s: float, until_s: float, kind: str) -> Figures:
    """Nobody gets a good answer in this time."""
    return figures(lambda at: {kind: 5} if from_s <= at < until_s else {"good": GOOD})


def test_fault_that_nobody_notices_hurts_nobody() -> None:
    """With the same level all the while, all is well from the beginning and nothing is missing."""
    incident = tell(injected("kill-worker@10s", 10.0, 10.0))

    assert incident.noticed == {}
    assert (incident.served_s, incident.level_s, incident.fewer, incident.hurt) == (0.0, 0.0, 0, 0)
    assert incident.before is not None
    assert incident.before.good_per_s == 10 * GOOD


def test_killed_server_is_missed_until_it_answers() -> None:
    """Refusals begin the harm, the first second without any ends it; what is missing is counted."""
    ledger = Ledger(
        troubled=[
            Troubled(1, "join", "no_connection", 10.1, 10.2, 13.5, 4, answered=True),
            Troubled(1, "state", "no_answer", 10.3, 10.4, 14.0, 4, answered=True),
            Troubled(2, "order", "no_connection", 12.0, 12.1, 12.9, 3, answered=False),
            Troubled(3, "order", "no_connection", 8.0, 8.1, 8.9, 3, answered=True),  # before
        ]
    )
    told = tell(
        injected("kill-server@10s:2s", 10.0, 12.0),
        ledger=ledger,
        figures=away(10.0, 13.0, "no_connection"),
        log_events=[LogEvent(12.5, "worker_died", "-9", 1), LogEvent(12.6, "worker_died", "-9", 1)],
    )

    assert told.noticed == {"visitors": 0.2, "log": 2.5}
    assert (told.lasted_s, told.served_s, told.level_s, told.settled_s) == (2.0, 3.0, 3.0, 4.0)
    assert told.fewer == 3 * 10 * GOOD
    assert told.worst is not None
    assert told.worst.good_per_s == 0
    assert (told.hurt, told.unanswered) == (2, 1)
    assert told.hurt_at == {"join": 1, "state": 1, "order": 1}
    assert told.kinds == {"no_connection": 2, "no_answer": 1}
    assert (told.waited_p50_s, told.waited_longest_s) == (3.4, 3.7)
    assert told.log_events == [LogEvent(2.5, "worker_died", "-9", 2)]


def test_pause_is_noticed_by_slowness() -> None:
    """Where nobody is turned away but all wait, the first slow second tells, and the slow count."""
    told = tell(
        injected("pause-db@10s:3s", 10.0, 13.0),
        figures=figures(ms_at=lambda second: 2_000 if 11 <= second < 14 else CALM_MS),
    )

    assert told.noticed == {"visitors": 2.0}
    assert told.slow == 3 * 10 * GOOD
    assert told.served_s == 4.0
    assert told.hurt == 0


def test_more_put_off_than_before_are_hurt() -> None:
    """503s are the fault's where there were none before, not where they were there all along."""
    put_off = Troubled(1, "state", "later", 11.0, 11.1, 12.0, 1, answered=True)
    fault = injected("kill-db@10s", 10.0, 10.0)
    new = figures(lambda at: {"good": GOOD, "later": 9 if 11 <= at < 12 else 0})
    old = figures(lambda _: {"good": GOOD, "later": 9})

    assert tell(fault, ledger=Ledger(troubled=[put_off]), figures=new).hurt == 1
    assert tell(fault, ledger=Ledger(troubled=[put_off]), figures=old).hurt == 0


def test_crowd_that_dwindles_does_not_reach_the_level() -> None:
    """Fewer visitors afterwards are served as before, but not as many: both are told."""
    told = tell(
        injected("kill-db@10s", 10.0, 10.0),
        figures=figures(lambda at: {"good": GOOD if at < 10 else GOOD // 2}),
    )

    assert (told.served_s, told.level_s) == (0.0, None)


def test_incident_ends_where_the_next_fault_begins() -> None:
    """What did not recover before another fault is told so, and spoils no level of the next one."""
    both = [injected("kill-db@10s", 10.0, 10.0), injected("kill-server@15s", 15.0, 15.0)]
    first, second = tell_incidents(
        both, Observations(ledger=Ledger(), figures=away(10.0, 18.0, "no_answer"))
    )

    assert (first.watched_s, first.served_s) == (5.0, None)
    assert (second.before, second.served_s) == (None, 3.0)


def test_fault_that_was_not_done_tells_why() -> None:
    """Without a beginning there is a reason and nothing else."""
    late = tell(injected("kill-db@99s", None, None))
    failed = tell(injected("kill-db@10s", None, None, "there is no database"))

    assert not late.has_happened
    assert "the crowd had gone" in late.line
    assert "there is no database" in failed.line


def test_acknowledged_and_lost_is_counted() -> None:
    """An order and a place told just before, of which nothing is stored, are both lost."""
    ledger = Ledger(
        known=[Known(1, "p1"), Known(2, "p2")],
        placed=[Placed(1, 1, 7, 9.0, 9.5), Placed(2, 1, 8, 9.0, 9.6), Placed(2, 1, 9, 5.0, 5.1)],
        ordered=[Ordered(1, "o1", "h1", (1,), 9.7), Ordered(2, "o2", "h2", (2,), 9.8)],
    )
    stored = Stored(1, {"p1": 7}, [], [], {}, {"o1": StoredOrder("h1", "p1", (1,))})
    fault = injected("kill-db@10s", 10.0, 10.0)

    assert (tell(fault, ledger=ledger, stored=stored).acknowledged) == 4
    assert tell(fault, ledger=ledger, stored=stored).lost == 2
    assert tell(fault, ledger=ledger).lost is None


def test_ready_again_is_for_good() -> None:
    """One yes among noes is not yet recovery."""
    looks = [
        Look(at, at + 0.1, status)
        for at, status in (
            (9.0, 200),
            (10.0, 0),
            (10.5, 503),
            (11.0, 200),
            (11.5, 503),
            (12.0, 200),
        )
    ]
    span = Span(10.0, 20.0, None)

    assert ready_again(looks, span) == 12.1
    assert ready_again(looks[:1], span) is None


def test_metrics_tell_by_what_did_not_grow_before() -> None:
    """Sheds that went on before say nothing; errors that begin do, and so does silence."""
    before = [Scrape(9.0, {"shed": 1.0}), Scrape(9.5, {"shed": 5.0})]
    span = Span(10.0, 20.0, None)

    grown = Scrape(10.5, {"shed": 9.0, "database_errors": 1.0})
    assert noticed_by_metrics([*before, grown], span) == (10.5, "database_errors")
    assert noticed_by_metrics([*before, Scrape(10.5, {"shed": 9.0})], span) is None
    assert noticed_by_metrics([*before, Scrape(10.5, None)], span) == (10.5, "silence")
