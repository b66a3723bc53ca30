"""One server of two workers, which all attacks have in common: what one breaks, the next finds."""

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.serving import Serving, running
from tests.attacks.attacker import RETIRED, RETIRED_ID, SECRET, Wire

STREAMS_MAX = 5  # in each worker; few, so that they can be exhausted


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    data = tmp_path_factory.mktemp("attacked") / "data"
    with running(
        data,
        workers=2,
        secret=SECRET,
        retired_secrets=json.dumps({RETIRED_ID: RETIRED}),
        room_streams_max=str(STREAMS_MAX),
        log_level="warning",
    ) as started:
        yield started


@pytest.fixture(scope="session")
def operator(server: Serving) -> str:
    return server.create_key()


@pytest.fixture
def wire(server: Serving) -> Iterator[Wire]:
    opened = Wire(server.port)
    try:
        yield opened
    finally:
        opened.close()
