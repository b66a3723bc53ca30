"""What is stored once is read for ever: every event, as the first version that wrote it did."""

import typing

import msgspec
import pytest

from sunseo.journal import events
from sunseo.journal.events import Event, decode, encode

HOLD, PERSON, ORDER = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))

# As they stand in databases. A line may be added here; none may ever be changed or taken away.
STORED = [
    '{"type":"SaleCreated","v":1,"name":"Concert"}',
    '{"type":"SaleChanged","v":1,"changed":["name","stocks[3].capacity"]}',
    '{"type":"SeatsAdded","v":1,"first_seat":1,"last_seat":9}',
    '{"type":"StocksAdded","v":1,"stocks":[1],"products":[1,2]}',
    '{"type":"SalePaused","v":1}',
    '{"type":"SaleResumed","v":1}',
    (
        f'{{"type":"HoldPlaced","v":1,"hold":"{HOLD}","seats":[1,2],"draws":[[1,2]],'
        f'"person":"{PERSON}","units":4,"amount":0,"expires_at":1777600000000}}'
    ),
    f'{{"type":"HoldReleased","v":1,"hold":"{HOLD}","seats":[1],"draws":[]}}',
    f'{{"type":"HoldExpired","v":1,"hold":"{HOLD}","seats":[],"draws":[[1,2]]}}',
    f'{{"type":"HoldRenewed","v":1,"hold":"{HOLD}","expires_at":1777600000000}}',
    (
        f'{{"type":"OrderConfirmed","v":1,"hold":"{HOLD}","seats":[1],"draws":[],"order":"{ORDER}",'
        f'"person":"{PERSON}","amount":0,"confirmed_at":1777600000000}}'
    ),
]


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.split('"')[3])
def test_what_was_stored_is_read_and_written_alike(stored: str) -> None:
    """A row of the first version is one event, and written anew it is the same JSON."""
    read = decode(f"[{stored}]")
    assert read is not None
    assert len(read) == 1
    assert msgspec.json.decode(encode(read)) == [msgspec.json.decode(stored)]


def test_every_event_has_been_stored_by_some_version() -> None:
    """A new event leaves an example above, as its first version writes it."""
    examples = {msgspec.json.decode(stored)["type"] for stored in STORED}
    assert examples == {event.__name__ for event in typing.get_args(Event)}


@pytest.mark.parametrize("broken", ['[{"type":"Rumour","v":1}]', '[{"type":"SalePaused","v":2}]'])
def test_an_event_of_a_later_version_is_known_not_to_be_known(broken: str) -> None:
    """A row with a type or a version from the future is told apart, not guessed at."""
    assert decode(broken) is None


def test_the_union_names_all_events_of_the_module() -> None:
    """An event that is not in the union could be written and never be read."""
    defined = {
        name
        for name, value in vars(events).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and name[0] != "_"
    }
    assert defined == {event.__name__ for event in typing.get_args(Event)}
