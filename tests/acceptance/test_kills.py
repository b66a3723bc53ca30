"""`kill -9` in mid-sale: of a worker, of PostgreSQL, of the supervisor.

A crowd buys over HTTP and repeats every intent with its key until it is answered. Afterwards what
was acknowledged is in the database, once, and nothing else is.
"""

import json
import os
import random
import signal
from collections.abc import Iterator

import psutil
import pytest

from chaos.audit import audit
from chaos.crowd import Crowd, Sale
from chaos.kills import Kind, kill
from tests.acceptance.serving import Serving, running, token, until

BUYERS = 50
WARM = 60  # successes before the kill: a sale in full swing
AFTER = 60  # and after it
REPLAYED = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with two workers, which outlives every kill of this file."""
    with running(tmp_path_factory.mktemp("kills") / "data", workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def operator(server: Serving) -> str:
    return server.create_key()


@pytest.mark.parametrize("kind", Kind)
async def test_kill_in_mid_sale_loses_and_doubles_nothing(
    server: Serving, operator: str, kind: Kind
) -> None:
    """Everything acknowledged is kept, nothing happens twice, and the sale goes on."""
    seats = 3_000
    sale = Sale(
        server.create_concert(operator, rows=60, seats_per_row=50, standing=5_000, person_limit=4),
        seats,
    )
    crowd = Crowd(server.url, [sale], token, buyers=BUYERS, seed=7)
    async with crowd.present():
        await crowd.successes(WARM)
        told = await kill(server, crowd, kind, random.Random(7))
        await crowd.successes(AFTER)

    found = await audit(server.dsn(), crowd.answered, [sale.number])
    assert found.lost == []
    assert found.duplicated == []
    assert found.acknowledged >= WARM + AFTER
    assert not {trouble for trouble in crowd.troubles if trouble.startswith("500")}
    assert crowd.unadvised == 0
    assert await crowd.replay(a for a in crowd.answered[-REPLAYED:] if a.is_success) == []
    report = server.verify()
    assert report.clean, report.violations
    assert told.caught > 0


def test_workers_that_die_young_are_replaced_and_others_go_on(server: Serving) -> None:
    """Both at once, and then a replacement as soon as it is there: nobody else is restarted."""
    before = server.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(set(server.workers()) - set(before)) == 2, "both are replaced")

    victim, neighbour = server.workers()
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(set(server.workers()) - {victim}) == 2, "it is replaced again")

    assert neighbour in server.workers()
    deaths = [line for line in server.output.read_text().splitlines() if "worker_died" in line]
    assert [json.loads(line)["exit_code"] for line in deaths[-3:]] == [-signal.SIGKILL] * 3


def test_workers_are_forked_from_the_fork_server(server: Serving) -> None:
    """A new worker comes from the same process as the old one; it has imported everything."""
    victim, neighbour = server.workers()
    fork_server = psutil.Process(victim).ppid()
    os.kill(victim, signal.SIGKILL)

    until(lambda: len(set(server.workers()) - {victim}) == 2, "it is replaced")
    assert server.process is not None
    assert fork_server != server.process.pid
    assert {psutil.Process(pid).ppid() for pid in server.workers()} == {fork_server}
    assert neighbour in server.workers()


def test_fork_server_that_dies_is_replaced_with_its_workers(server: Serving) -> None:
    """Nobody goes on whom the supervisor cannot see."""
    before = server.workers()
    os.kill(psutil.Process(before[0]).ppid(), signal.SIGKILL)

    until(lambda: len(set(server.workers()) - set(before)) == 2, "both are replaced")
    until(lambda: not set(server.workers()) & set(before), "the old ones have ended")


def test_worker_in_the_making_ends_with_its_supervisor(server: Serving) -> None:
    """A supervisor killed while it replaces a worker leaves nobody behind who never heard of it."""
    assert server.process is not None
    supervisor = psutil.Process(server.process.pid)
    before = {child.pid for child in supervisor.children(recursive=True)}
    os.kill(server.workers()[0], signal.SIGKILL)
    until(
        lambda: {child.pid for child in supervisor.children(recursive=True)} - before,
        "the next one is in the making",
    )
    server.kill()

    until(lambda: not server.left_behind(), "all have ended")
    server.start()
