"""`sunseo rehearse concert`: the whole of it as a process, and its verdict on real data.

Defects are put into the database that a rehearsal has left behind, and the verdict is asked again.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.invariants.verify import verify
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.pool import create_cold_engine
from sunseo.rehearsal.observe.ledger import DriverRecord, EnteredRoom
from sunseo.rehearsal.observe.observer import Sample
from sunseo.rehearsal.observe.stored import read_stored
from sunseo.rehearsal.report.result import Result
from sunseo.rehearsal.scenes.scenario import text_of
from sunseo.rehearsal.verdict.judge import judge
from tests.command_line import Run

PATIENCE_S = 600  # a bound for a machine with ten other things to do, no figure
NO_ERRORS = ("--slo", "errors <= 0 %")  # instead of what a scenario demands of speed
SMALL = ("--visitors", "120", "--seats", "40", "--duration", "4", "--session", "0.5", "--seed", "5")


def start(folder: Path, *options: str, scenario: str = "concert") -> subprocess.Popen[str]:
    """Start a rehearsal whose throw-away folder is made below `folder`."""
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "sunseo", "rehearse", scenario, *options],
        env=os.environ | {"TMPDIR": str(folder), "SUNSEO_PORT": "1"},  # not for its own server
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Rehearsed:
    """What a rehearsal has left: what it told, its page, and the data it was about."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "한글 data"
        self.page = folder / "report.html"
        told = folder / "told.json"
        files = ("--data", str(self.data), "--json-file", str(told), "--report", str(self.page))
        rehearsal = start(folder, *SMALL, *files)
        self.screen, self.errors = rehearsal.communicate(timeout=PATIENCE_S)
        self.code = rehearsal.returncode
        self.told: dict[str, Any] = json.loads(told.read_text())
        self.outcome = msgspec.json.decode(told.read_bytes(), type=Result)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return Rehearsed(tmp_path_factory.mktemp("rehearsal"))


def test_small_crowd_buys_everything_and_the_verdict_is_clean(rehearsed: Rehearsed) -> None:
    """All seats are sold, every check has looked and found nothing, the exit code is 0."""
    assert rehearsed.code == 0, rehearsed.screen + rehearsed.errors
    told = rehearsed.told
    assert told["standing"] == "held"
    assert {check["standing"] for check in told["checks"]} == {"held"}
    assert told["sold"] == 40
    assert told["funnel"]["came"] == told["funnel"]["in_line"] == 120
    assert sum(told["gone"].values()) == 120
    assert told["requests"] > 1_000
    assert told["options"]["seed"] == 5
    assert told["samples"][-1]["connections"] <= 10
    assert "Everything held." in rehearsed.screen


def test_page_stands_alone_and_speaks_both_languages(rehearsed: Rehearsed) -> None:
    """The report loads nothing, and says its verdict in Korean and in English."""
    page = rehearsed.page.read_text("utf-8")

    assert "모두 지켜졌습니다." in page
    assert "Everything held." in page
    assert "src=" not in page
    assert "href=" not in page
    assert "url(" not in page
    assert page.count("<svg") == 20  # ten pictures in each language
    assert "--seed 5" in page


@pytest.fixture
async def engine(rehearsed: Rehearsed) -> Any:
    """The database that the rehearsal has left, running again."""
    with EmbeddedServer(rehearsed.data) as server:
        engine = create_cold_engine(server.dsn, size=1)
        yield engine
        await engine.dispose()


async def broken(rehearsed: Rehearsed, engine: AsyncEngine, *more: EnteredRoom) -> set[str]:
    """The checks that a verdict on the present data finds broken."""
    record = msgspec.msgpack.decode((rehearsed.data / "record-0").read_bytes(), type=DriverRecord)
    record.ledger.entered.extend(more)
    outcome = rehearsed.outcome
    verdict = judge(
        outcome.options.scenario.evidence(
            ledger=record.ledger,
            figures=record.figures,
            samples=outcome.samples,
            whole=record.whole,
            stored=await read_stored(engine, 1, [1], 1),
            report=await verify(engine, 1, [1]),
        )
    )
    return {check.name for check in verdict.checks if check.standing == "broken"}


async def run(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


async def test_defects_in_the_data_are_caught(rehearsed: Rehearsed, engine: AsyncEngine) -> None:
    """A cheater's entry, a lost order and a seat sold twice are each found, on real data."""
    assert await broken(rehearsed, engine) == set()

    first: Sample = next(one for one in rehearsed.outcome.samples if one.at_s > 1)
    jumped = EnteredRoom(1, first.issued + 1, 0, first.at_s - 0.01)
    assert "above-serving" in await broken(rehearsed, engine, jumped)

    await run(
        engine,
        "UPDATE holds SET seats = (SELECT array_agg(seat) FROM (SELECT unnest(h.seats) AS seat"
        " FROM holds h WHERE h.state = 'ordered') AS s WHERE seat <> ALL (holds.seats)) || seats"
        " WHERE hold = (SELECT hold FROM orders ORDER BY hold LIMIT 1)",
    )
    twice = await broken(rehearsed, engine)
    assert {"one-owner", "told-is-true", "invariants"} <= twice

    await run(
        engine, "DELETE FROM orders WHERE order_id = (SELECT max(order_id::text)::uuid FROM orders)"
    )
    assert {"told-is-true", "invariants"} <= await broken(rehearsed, engine)


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    rehearsal = start(tmp_path / "tmp", "--visitors", "50", "--seats", "5000", "--duration", "600")
    yield rehearsal
    if rehearsal.poll() is None:
        rehearsal.kill()
        rehearsal.wait()


def test_interrupted_rehearsal_tells_what_it_saw(
    stopped: subprocess.Popen[str], tmp_path: Path
) -> None:
    """SIGINT in mid-rehearsal ends drivers and server, judges what was seen, and exits with 2.

    Until then the live page tells how it goes.
    """
    assert stopped.stdout is not None
    live = ""
    for line in stopped.stdout:
        if line.startswith("Live: "):
            live = line.removeprefix("Live: ").strip()
        if line.startswith("T"):
            break
    with urlopen(live + "now") as answer:  # noqa: S310 - our own page, on loopback
        seen = json.load(answer)
    assert seen["phase"] == "playing"
    assert seen["bars"]["came"][1] == 50
    below = psutil.Process(stopped.pid).children(recursive=True)
    assert below

    stopped.send_signal(signal.SIGINT)
    output, errors = stopped.communicate(timeout=PATIENCE_S)

    assert stopped.returncode == 2, output + errors
    assert "Stopped before its end" in output
    _, alive = psutil.wait_procs(below, timeout=PATIENCE_S)
    assert alive == []
    assert list((tmp_path / "tmp").glob("sunseo-rehearsal-*")) == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--target", "http://127.0.0.1:9"), "--operator-key"),
        (("--report", "/no/such/folder/page.html"), "there is no folder"),
        (("--target", "http://127.0.0.1:9", "--operator-key", "k"), "No rehearsal"),
    ],
)
def test_what_cannot_run_says_so(options: tuple[str, ...], word: str, command_line: Run) -> None:
    """Misuse, and a server that is not there, end with a line and exit code 2."""
    ended = command_line("rehearse", "concert", *options)

    assert ended.code == 2
    assert word in ended.out + ended.err


def test_coupons_go_to_one_person_each(tmp_path: Path) -> None:
    """A small drop without a room sells out, to no bot more than to others."""
    told = tmp_path / "told.json"
    crowd = ("--visitors", "80", "--units", "30", "--duration", "2", "--seed", "5", *NO_ERRORS)
    rehearsal = start(tmp_path / "tmp", *crowd, "--json-file", str(told), scenario="coupon")
    output, errors = rehearsal.communicate(timeout=PATIENCE_S)

    assert rehearsal.returncode == 0, output + errors
    outcome = msgspec.json.decode(told.read_bytes(), type=Result)
    assert outcome.sold == outcome.funnel["ordered"] == 30
    assert {check.standing for check in outcome.checks} == {"held"}
    assert any(name.startswith("hammer") for name in outcome.cheating)


def test_clinics_open_one_after_another(tmp_path: Path) -> None:
    """Everybody who comes for one of many small sales is told the truth about it."""
    told = tmp_path / "told.json"
    crowd = ("--visitors", "60", "--duration", "6", "--session", "0.2", "--seed", "5", *NO_ERRORS)
    small = tmp_path / "clinic.toml"
    small.write_text(text_of("clinic").replace("sales = 300", "sales = 6"), "utf-8")
    rehearsal = start(tmp_path / "tmp", *crowd, "--json-file", str(told), scenario=str(small))
    output, errors = rehearsal.communicate(timeout=PATIENCE_S)

    assert rehearsal.returncode == 0, output + errors
    outcome = msgspec.json.decode(told.read_bytes(), type=Result)
    assert outcome.funnel["ordered"] == outcome.sold > 40
    assert {check.standing for check in outcome.checks} == {"held"}


def test_numbers_are_drawn_among_who_registered(tmp_path: Path) -> None:
    """Who comes early registers and is told her drawn number; the verdict compares them all."""
    told = tmp_path / "told.json"
    crowd = ("--visitors", "80", "--units", "40", "--duration", "6", "--session", "0.3")
    present = tmp_path / "draw.toml"  # nobody keeps the line waiting
    present.write_text(
        text_of("draw").replace("absent_share = 0.08", "absent_share = 0.0"), "utf-8"
    )
    options = (*crowd, "--seed", "5", "--json-file", str(told))
    rehearsal = start(tmp_path / "tmp", *options, scenario=str(present))
    output, errors = rehearsal.communicate(timeout=PATIENCE_S)

    assert rehearsal.returncode == 0, output + errors
    outcome = msgspec.json.decode(told.read_bytes(), type=Result)
    looked_at = {check.name: check.looked_at for check in outcome.checks}
    assert {check.standing for check in outcome.checks} == {"held"}
    assert looked_at["uniform-draw"] > 20
    assert looked_at["uniform-draw"] + looked_at["first-come"] == outcome.funnel["in_line"]
    assert outcome.sold == 40


def test_site_behind_a_gate_sees_nobody_without_a_pass(tmp_path: Path) -> None:
    """Visitors come uninvited, are sent to the line, browse with their passes, and are done."""
    told = tmp_path / "told.json"
    crowd = ("--visitors", "30", "--duration", "2", "--session", "0.3", "--seed", "5")
    patient = tmp_path / "site.toml"  # whatever the machine does: it is never called slow
    text = text_of("protected-site").replace("absent_within_s = 60.0", "absent_within_s = 1.0")
    patient.write_text(text.replace("target_s = 0.5", "target_s = 60.0"), "utf-8")
    options = (*crowd, "--json-file", str(told), "--require-complete")
    rehearsal = start(tmp_path / "tmp", *options, scenario=str(patient))
    output, errors = rehearsal.communicate(timeout=PATIENCE_S)

    outcome = msgspec.json.decode(told.read_bytes(), type=Result)
    standings = {check.name: check.standing for check in outcome.checks}
    assert "broken" not in standings.values(), output + errors
    assert standings["guarded"] == "held"
    assert outcome.cheating["uninvited: pass_required"] == 30
    assert outcome.funnel["browsed"] > 15
    assert outcome.standing == "partly"  # a site that is well says nothing of slowing down
    assert rehearsal.returncode == 2
