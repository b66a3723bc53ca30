"""How long a rehearsal will still take."""

from sunseo.rehearsal.observe.eta import HOME_AFTER_S, Eta


def eta(*noted: tuple[float, int, int], units: int = 0, last_arrival_s: float = 1.0) -> Eta:
    made = Eta(visitors=1000, units=units, last_arrival_s=last_arrival_s)
    for one in noted:
        made.note(*one)
    return made


def test_nobody_can_say_before_anybody_has_gone() -> None:
    """Until visitors go home or something is sold there is no speed to reckon with."""
    assert eta().remaining_s is None
    assert eta((0.0, 0, 0), (2.0, 0, 0), units=5).remaining_s is None


def test_rest_goes_at_the_present_speed() -> None:
    """Eight hundred who are left, a hundred a second lately, are gone in eight seconds."""
    assert eta((2.0, 0, 0), (4.0, 200, 0)).remaining_s == 8.0


def test_all_go_when_the_last_unit_is_sold() -> None:
    """Half of the stock sold in ten seconds: the line will be told in ten more."""
    assert eta((2.0, 0, 0), (12.0, 10, 50), units=100).remaining_s == 10.0


def test_after_the_last_unit_only_those_left_count() -> None:
    """Once nothing is left to sell, it takes as long as visitors need to go."""
    assert eta((2.0, 0, 100), (12.0, 500, 100), units=100).remaining_s == 10.0


def test_it_is_not_over_before_the_last_has_come() -> None:
    """However quickly visitors go, the last one has still to arrive."""
    assert eta((0.0, 0, 0), (10.0, 900, 0), last_arrival_s=60.0).remaining_s == 50.0


def test_only_what_was_lately_counts() -> None:
    """A quick beginning is forgotten when it becomes slow."""
    slow = [(float(second), 800 + second, 0) for second in range(6, 31)]

    assert eta((0.0, 0, 0), (5.0, 800, 0), *slow, last_arrival_s=60.0).remaining_s == 170.0


def test_nothing_remains_when_all_have_gone() -> None:
    """At the end there is nothing left."""
    assert eta((5.0, 1000, 0)).remaining_s == 0.0


def test_everybody_is_sent_home_some_time_after_the_last_has_come() -> None:
    """One a minute, long before the others come, says nothing of how long it will take."""
    assert eta((0.0, 0, 0), (10.0, 1, 0), last_arrival_s=60.0).remaining_s == 50.0 + HOME_AFTER_S
