"""Compares every status that an app in a test answers with the API document: a plugin of the suite.

It costs a look into a table for each answer. The test in which an answer is not documented fails.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from sunseo.web.app import App
from sunseo.web.description.openapi import statuses_of
from sunseo.web.endpoint import Endpoint

CLIENT_GONE = 499  # is logged, and answered to nobody


class Seen:
    """What was answered, by endpoint, and what of that the document does not know."""

    def __init__(self) -> None:
        self._documented: dict[int, tuple[Endpoint, frozenset[int]]] = {}
        self.undocumented: set[str] = set()

    def note(self, endpoint: Endpoint, status: int) -> None:
        known = self._documented.get(id(endpoint))
        if known is None:  # kept, so that no other one gets its id
            known = self._documented[id(endpoint)] = endpoint, statuses_of(endpoint)
        if status not in known[1] and status != CLIENT_GONE:
            self.undocumented.add(f"{endpoint.method} {endpoint.path} answered {status}")


SEEN = Seen()


def is_of_the_product(endpoint: Endpoint) -> bool:
    """Whether an endpoint is none that a test has made for itself."""
    handler = getattr(endpoint.handler, "submit", endpoint.handler)
    return str(handler.__module__).startswith("sunseo.")


@pytest.fixture(scope="session", autouse=True)
def _statuses_are_noted() -> Iterator[None]:
    settle = App.settle

    def noting(self: App, exchange: Any) -> None:
        adapter = getattr(exchange, "adapter", None)
        if adapter is not None and is_of_the_product(adapter.endpoint):
            SEEN.note(adapter.endpoint, exchange.record.status)
        settle(self, exchange)

    patch = pytest.MonkeyPatch()
    patch.setattr(App, "settle", noting)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _statuses_are_documented() -> Iterator[None]:
    yield
    undocumented, SEEN.undocumented = SEEN.undocumented, set()
    assert not undocumented, "the API document says nothing of it"
