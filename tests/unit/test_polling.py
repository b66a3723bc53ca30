"""How soon visitors ask again: one rule, in every language in which it is written."""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from docs.protocol.make_vectors import FILE, Polled
from sunseo.passes.polling import Poll, next_poll_s, poll_after_s
from sunseo.rehearsal.crowd.documents import RoomDocument
from sunseo.rehearsal.export.plan import plan_of
from sunseo.rehearsal.export.script import Tool, write_script
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.scenes.scenario import read_scenario
from sunseo.room.setup.settings import RoomSettings
from sunseo.room.simulation.scenario import SimulatedRoom
from tests.tidy.sources import ROOT, SOURCE

VECTORS: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
ROWS: list[dict[str, Any]] = VECTORS["polls"]
EXPECTED = [(row["name"], row["after_s"]) for row in ROWS]
NODE = shutil.which("node")
JAVA = shutil.which("java")
GROOVY = sorted((ROOT / ".tools/jmeter/lib").glob("groovy-*.jar"))


def ahead_of(row: dict[str, Any]) -> int | None:
    return None if row["number"] is None else row["number"] - row["state"]["serving"]


def script(tool: Tool) -> str:
    scenario = read_scenario("concert").changed(visitors=20, duration_s=5.0)
    return write_script(tool, plan_of(Options(name="concert", scenario=scenario, seed=7)))


def told(command: list[str | Path], folder: Path) -> list[tuple[str, float]]:
    """What a program answers that finds the rows beside itself."""
    (folder / "rows.json").write_text(json.dumps(ROWS), "utf-8")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = [row["name"] for row in ROWS]
    return list(zip(names, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(
    ("ahead", "speed", "more", "after_s"),
    [
        (1_000, 10.0, {}, 10),
        (20, 10.0, {}, 2),
        (9_000, 0.1, {}, 60),
        (0, None, {}, 2),
        (1, None, {}, 2),
        (100, None, {}, 10),
        (10_000, None, {}, 15),
        (10_000, 0.0, {}, 15),
        (None, 10.0, {}, 15),
        (None, 10.0, {"draw_is_due": True}, 5),
        (0, 10.0, {"is_paused": True}, 30),
        (5, None, {"opens_in_s": 300.0}, 30),
        (5, None, {"opens_in_s": -1.0}, 2),
    ],
)
def test_the_rule(
    ahead: int | None, speed: float | None, more: dict[str, Any], after_s: float
) -> None:
    """A tenth of the wait, within bounds; near the front while nobody can say, a tenth a head."""
    assert poll_after_s(Poll(), ahead, speed, **more) == after_s


def test_terms_are_the_same_wherever_nothing_else_is_said() -> None:
    """A room's settings, a simulated room, gates and the protocol begin with the same terms."""
    terms = [
        (room.poll_floor_s, room.poll_ceiling_s, room.poll_divisor)
        for room in (RoomSettings(), SimulatedRoom())
    ]
    assert {*terms, msgspec.structs.astuple(Poll())} == {tuple(VECTORS["poll_terms"].values())}


@pytest.mark.parametrize("kind", [Polled, RoomDocument])
def test_our_own_visitors_follow_it(kind: type[Polled | RoomDocument]) -> None:
    """Whatever reads a room's document, by the vectors."""
    more = {"epoch": 1, "issued": 0, "sold_out": False}
    read = [msgspec.convert(row["state"] | {"now": row["now"]} | more, kind) for row in ROWS]

    after = [
        next_poll_s(state, ahead_of(row), row["now"]) for state, row in zip(read, ROWS, strict=True)
    ]
    assert list(zip([row["name"] for row in ROWS], after, strict=True)) == EXPECTED


@pytest.mark.skipif(NODE is None, reason="there is no Node: make tools")
def test_the_browsers_script_follows_it(tmp_path: Path) -> None:
    """The page's script and the button's, by the vectors, before chance spreads them."""
    (tmp_path / "driver.cjs").write_text(
        """
        const rows = JSON.parse(require("node:fs").readFileSync(`${__dirname}/rows.json`));
        globalThis.window = globalThis;
        const { rules } = require(process.argv[2]);
        const ahead = (row) => (row.number === null ? null : row.number - row.state.serving);
        const after = (row, dice) => rules.pollAfter(row.state, ahead(row), row.now, dice);
        for (const row of rows) {
          if (after(row, 1) !== after(row, 0) * 1.3) throw new Error(`${row.name}: the spread`);
        }
        console.log(JSON.stringify(rows.map((row) => after(row, 0))));
        """
    )
    ours = SOURCE / "room/pages/static/sunseo.js"
    assert told([str(NODE), tmp_path / "driver.cjs", ours], tmp_path) == EXPECTED


@pytest.mark.skipif(NODE is None, reason="there is no Node: make tools")
def test_a_crowd_for_k6_follows_it(tmp_path: Path) -> None:
    """The function in the script as it is written."""
    [rule] = re.findall(r"^function pollAfterS.*?^}$", script(Tool.K6), re.MULTILINE | re.DOTALL)
    (tmp_path / "driver.cjs").write_text(
        rule
        + """
        const rows = JSON.parse(require("node:fs").readFileSync(`${__dirname}/rows.json`));
        const ahead = (row) => (row.number === null ? null : row.number - row.state.serving);
        console.log(JSON.stringify(rows.map((row) => pollAfterS(row.state, ahead(row), row.now))));
        """
    )
    assert told([str(NODE), tmp_path / "driver.cjs"], tmp_path) == EXPECTED


def test_a_crowd_for_locust_follows_it() -> None:
    """The functions in the script as it is written; its visitors always have numbers."""
    wanted = {"Poll", "poll_after_s", "poll_after"}
    program = ast.parse(script(Tool.LOCUST))
    program.body = [one for one in program.body if getattr(one, "name", "") in wanted]
    names: dict[str, Any] = {"NamedTuple": NamedTuple}
    exec(compile(program, "crowd.py", "exec"), names)  # noqa: S102 - what we have written

    rows = [row for row in ROWS if row["number"] is not None]
    after = [names["poll_after"](row["state"] | {"now": row["now"]}, row["number"]) for row in rows]
    assert after == [row["after_s"] for row in rows]


@pytest.mark.skipif(not (JAVA and GROOVY), reason="there is no JMeter: make tools")
def test_a_crowd_for_jmeter_follows_it(tmp_path: Path) -> None:
    """The closure in the plan as it is written, run by JMeter's own Groovy."""
    [rule] = re.findall(r"^def pollAfterS = .*?^}$", script(Tool.JMETER), re.MULTILINE | re.DOTALL)
    rule = rule.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'")
    (tmp_path / "driver.groovy").write_text(
        rule
        + """
        def rows = new groovy.json.JsonSlurper().parse(new File('rows.json'))
        def ahead = { row -> row.number == null ? null : row.number - row.state.serving }
        def after = rows.collect { row -> pollAfterS(row.state, ahead(row), row.now) }
        println groovy.json.JsonOutput.toJson(after)
        """
    )
    path = ":".join(map(str, GROOVY))
    command: list[str | Path] = [str(JAVA), "-cp", path, "groovy.ui.GroovyMain"]
    after = dict(told([*command, tmp_path / "driver.groovy"], tmp_path))
    assert after == pytest.approx(dict(EXPECTED))  # Groovy divides in decimals
