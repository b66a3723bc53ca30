"""The integrator's guide: its examples do what it says."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from py_mini_racer import MiniRacer

from sunseo.booking.availability.snapshot import SeatMap
from sunseo.identity.persons import SharedSecretVerifier
from tests.docs.pages import blocks_of

GUIDE = "docs/guides/integrator.md"
DIGITS = "0120021100212"
"""States of 13 seats, so that the last byte is not full."""


def example(purpose: str) -> str:
    (found,) = (block.text for block in blocks_of(GUIDE) if block.purpose == purpose)
    return found


def python_example(purpose: str, name: str, **given: Any) -> Callable[..., Any]:
    """A function out of an example, which may find other modules than it imports in `given`."""
    names: dict[str, Any] = {}
    exec(compile(example(purpose), f"{GUIDE}#{purpose}", "exec"), names)  # noqa: S102 - our own
    names.update(given)
    function: Callable[..., Any] = names[name]
    return function


def bitmap() -> bytes:
    return SeatMap(1, range(1, len(DIGITS) + 1), DIGITS).bitmap


def test_python_reads_the_bitmap() -> None:
    """The Python example decodes what the server encodes."""
    states_of = python_example("python-bitmap", "states_of")

    assert "".join(map(str, states_of(bitmap(), len(DIGITS)))) == DIGITS


def test_javascript_reads_the_bitmap() -> None:
    """The JavaScript example decodes what the server encodes."""
    program = (
        f"{example('javascript-bitmap')}\n"
        f"JSON.stringify(statesOf(new Uint8Array({list(bitmap())}), {len(DIGITS)}))"
    )
    with MiniRacer() as engine:
        states = json.loads(str(engine.eval(program)))

    assert "".join(map(str, states)) == DIGITS


async def test_token_of_the_example_is_accepted() -> None:
    """A token made as in the guide names its person."""
    secret = "s" * 32
    token = python_example("python-token", "token_for")("customer-7", secret)

    claims = SharedSecretVerifier("https://tickets.example", secret.encode()).verify(token)

    assert (claims.issuer, claims.subject) == ("https://tickets.example", "customer-7")


class Answer:
    def __init__(self, status_code: int, headers: dict[str, str] | None = None) -> None:
        self.status_code = status_code
        self.headers = headers or {}


class Network:
    """What the retry example takes for `requests` and `time`."""

    Response = Answer

    class RequestException(Exception):  # noqa: N818 - the name that `requests` gave it
        pass

    def __init__(self, *answers: Answer | None) -> None:
        self._answers = iter(answers)
        self.keys: list[str] = []
        self.pauses: list[float] = []

    def post(self, _url: str, *, headers: dict[str, str], **_: Any) -> Answer:
        self.keys.append(headers["Idempotency-Key"])
        answer = next(self._answers)
        if answer is None:
            raise self.RequestException
        return answer

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def test_retry_keeps_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The retry example sends one key until it is answered, and a new one the next time."""
    done = Answer(201)
    network = Network(None, Answer(503, {"Retry-After": "3"}), done, done)
    monkeypatch.setitem(sys.modules, "requests", network)  # it need not be installed
    post = python_example("python-retry", "post", requests=network, time=network)

    assert post("http://shop/v1/sales/1/holds", "token", {}) is done
    assert post("http://shop/v1/sales/1/holds", "token", {}) is done

    first, *again, second = network.keys
    assert again == [first, first]
    assert second != first
    assert network.pauses == [1.0, 3.0]
