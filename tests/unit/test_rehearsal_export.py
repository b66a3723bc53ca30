"""Scripts of a crowd for other tools, and the log that such a crowd writes: pure."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sunseo.rehearsal.command import rehearse
from sunseo.rehearsal.export.judging import NEEDS_TOLD, NOBODY_TRIES, verdict_on
from sunseo.rehearsal.export.log import CrowdLog, LogError
from sunseo.rehearsal.export.plan import (
    STEPS_MAX,
    WORDS,
    CrowdPlan,
    plan_of,
    plan_text,
    timetable_of,
)
from sunseo.rehearsal.export.script import Tool, write_script
from sunseo.rehearsal.observe.ledger import Figures, Ledger, Operation
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.report.templating import code_in_markdown, in_markdown, one_line
from sunseo.rehearsal.scenes.kinds import check_names
from sunseo.rehearsal.scenes.scenario import read_scenario

SELLING = ("clinic", "concert", "coupon")
JOURNEY = {one.value for one in Operation if one is not Operation.PAGE}  # of a site


@pytest.fixture
def crowd() -> CrowdPlan:
    return crowd_of_scenario("concert")


def crowd_of_scenario(name: str) -> CrowdPlan:
    scenario = read_scenario(name).changed(visitors=300, duration_s=20.0)
    return plan_of(Options(name=name, scenario=scenario, seed=7))


@given(st.lists(st.integers(-900_000, 9_000_000), min_size=1, max_size=300))
def test_steps_lose_nobody_and_keep_the_shape(times_ms: list[int]) -> None:
    """Whoever comes is in the step in which she comes; there are never too many steps to edit."""
    times = [at_ms / 1000 for at_ms in times_ms]
    steps = timetable_of(times)

    assert sum(steps.visitors) == len(times)
    assert len(steps.visitors) <= STEPS_MAX + 1
    for place, visitors in enumerate(steps.visitors):
        start = steps.from_s + place * steps.step_s
        assert visitors == sum(start <= at < start + steps.step_s for at in times)


@pytest.mark.parametrize("name", SELLING)
def test_script_for_k6_is_a_module_that_javascript_reads(name: str, tmp_path: Path) -> None:
    """Node finds no fault in it, and each request of the journey is asked by its name."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node: make tools")
    crowd = crowd_of_scenario(name)
    script = write_script(Tool.K6, crowd)
    file = tmp_path / "crowd.mjs"
    file.write_text(script, "utf-8")

    read = subprocess.run([node, "--check", file], check=False, capture_output=True, text=True)

    assert read.returncode == 0, read.stderr
    assert {one for one in JOURNEY if f"'{one}'" in script} == JOURNEY


@pytest.mark.parametrize("name", SELLING)
def test_script_for_locust_is_a_program(name: str) -> None:
    """It has one user and one shape; arrivals are there as numbers, and everybody is in them."""
    crowd = crowd_of_scenario(name)
    program = ast.parse(write_script(Tool.LOCUST, crowd))

    bases = {
        base.id: node.name
        for node in program.body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    assert bases["FastHttpUser"] == "Visitor"
    assert bases["LoadTestShape"] == "Opening"
    assert sum(_planned(program)["arrivals"]["visitors"]) == 300
    asked = {
        ast.literal_eval(node.args[0])
        for node in ast.walk(program)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"ask", "look_at"}
        and isinstance(node.args[0], ast.Constant)
    }
    assert asked == JOURNEY


def _planned(program: ast.Module) -> dict[str, Any]:
    """The plan that a program reads at its head."""
    for node in program.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PLAN":
            assert isinstance(node.value, ast.Call)
            plan: dict[str, Any] = json.loads(ast.literal_eval(node.value.args[0]))
            return plan
    raise AssertionError("there is no plan")


@pytest.mark.parametrize("name", SELLING)
def test_plan_is_the_same_for_all_players(name: str) -> None:
    """What `--to json` writes is what stands at the head of a script, and what people edit."""
    crowd = crowd_of_scenario(name)
    plan = json.loads(write_script(Tool.JSON, crowd))
    head = {key: value for key, value in plan.items() if key not in WORDS}

    assert msgspec.convert(plan, CrowdPlan) == crowd
    assert _planned(ast.parse(write_script(Tool.LOCUST, crowd))) == head
    written = [write_script(tool, crowd) for tool in (Tool.K6, Tool.JMETER)]
    assert all(plan_text(crowd, words=False) in script for script in written)


@pytest.mark.parametrize("name", SELLING)
def test_script_for_jmeter_is_a_plan(name: str) -> None:
    """It is XML with a thread for each visitor and a sampler for each request of the journey."""
    crowd = crowd_of_scenario(name)
    plan = ET.fromstring(write_script(Tool.JMETER, crowd))  # noqa: S314 - we wrote it

    samplers = {node.get("testname") for node in plan.iter("HTTPSamplerProxy")}
    assert samplers == JOURNEY | {"seats"}
    threads = plan.find(".//ThreadGroup/stringProp[@name='ThreadGroup.num_threads']")
    assert threads is not None
    assert threads.text == "300"
    scripts = [node.text or "" for node in plan.iter("stringProp") if node.get("name") == "script"]
    assert len(scripts) == 3
    # JMeter would put its own values in place of these, and compile the script each time.
    assert not [script for script in scripts if "${" in script]


def test_scripts_speak_of_their_own_scenario(crowd: CrowdPlan) -> None:
    """Each names the command that sets its scene, and nothing of the template is left."""
    for tool in Tool:
        script = write_script(tool, crowd)
        assert "sunseo rehearse stage concert --visitors 300 --duration 20 --session 4" in script
        assert "{{" not in script
        assert "{%" not in script


NAMES = (
    'a"""b.toml',
    "a\\",
    "\\N{x}\\u00.toml",
    "a\nimport b\u2028c\rd.toml",
    "--> ]]> <b> & ' .toml",
    "${__groovy(1)}.toml",
    "콘서트 \udcff\x01.toml",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_may_be_called_anything(crowd: CrowdPlan, name: str) -> None:
    """Its name is only told: scripts are read as they would be without, in each language."""
    named = msgspec.structs.replace(crowd, name=name, command=f"sunseo rehearse stage '{name}'")
    shown = one_line(name)

    for tool in Tool:
        assert write_script(tool, named).encode()
    program, plain = (ast.parse(write_script(Tool.LOCUST, one)) for one in (named, crowd))
    assert f'"{shown}"' in (ast.get_docstring(program) or "")
    assert ast.dump(program, indent=1).count("\n") == ast.dump(plain, indent=1).count("\n")

    head, imports, _ = write_script(Tool.K6, named).partition("\nimport ")
    assert imports
    assert all(line.startswith("//") or not line for line in head.splitlines())
    assert f'"{shown}"' in head

    plan = ET.fromstring(write_script(Tool.JMETER, named))  # noqa: S314 - we wrote it
    titles = [node.get("testname") for node in plan.iter("TestPlan")]
    assert titles == [shown.replace("${", r"\${")]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_markup_of_a_report(name: str) -> None:
    """In Markdown it stays in its line and its cell, and a span of code holds all of it."""
    assert re.sub(r"\\([\\`*\[\]<|])", r"\1", in_markdown(name)) == one_line(name)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*\[\]<|]", in_markdown(name))
    assert code_in_markdown(f"a ``{name}`` b") == f"``` a ``{one_line(name)}`` b ```"


def lines(*told: Sequence[object]) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in told]


def read(*told: Sequence[object]) -> CrowdLog:
    log = CrowdLog()
    log.read(lines(*told))
    return log


STORY = (
    ("came", 1, -0.5),
    ("known", 1, "p1"),
    ("placed", 1, 1, 17, -0.4, -0.3),
    ("answered", 1, "state", 503, "busy", 0.1, 2.5),
    ("cut", 1, "enter"),
    ("answered", 1, "enter", 200, "200", 1.2, 12.5),
    ("entered", 1, 17, 20, 1.2),
    ("lapsed", 1),
    ("held", 1, "h1", [3, 4]),
    ("ordered", 1, "o1", "h1", [3, 4], 2.0),
    ("fault", 1, "order", 500, "unknown", 2.0),
    ("left", 1, 17),
    ("gone", 1, "bought", 2.5),
)


def test_log_becomes_what_a_driver_brings_home() -> None:
    """Each line is in the ledger or in the figures, as if our own crowd had been told it."""
    record = read(*STORY).record(1)

    ledger, figures = record.ledger, record.figures
    assert record.whole
    assert record.seconds == 2.5
    kinds = ("known", "placed", "entered", "held", "ordered", "left", "faults", "lapsed")
    assert [len(getattr(ledger, kind)) for kind in kinds] == [1] * len(kinds)
    assert ledger.held[0].seats == (3, 4)
    assert ledger.ordered[0].order == "o1"
    assert not ledger.ordered[0].found
    assert figures.outcomes == {"state": {"busy": 1}, "enter": {"200": 1}}
    assert figures.retries == 1
    assert figures.lost_answers == 1
    assert figures.arrivals == {-1: 1}
    assert figures.gone == {"bought": 1}


def test_crowd_is_whole_only_when_all_have_come_and_gone() -> None:
    """Who has not come yet, or not gone, leaves the log without a verdict on the whole."""
    assert not read(*STORY).record(2).whole

    record = read(*STORY[:-1]).record(1)
    assert not record.whole
    assert record.figures.gone == {"still_there": 1}


def test_lines_of_others_are_passed_over() -> None:
    """The tool's own words, kinds that are not ours and a line that breaks off say nothing."""
    log = CrowdLog()
    log.read([b"INFO of a tool\n", b'["other", 1]\n', b"[]\n", b'["came", 1, 0.', b"\n"])

    assert log.record(0).ledger == Ledger()


def test_line_of_ours_that_is_wrong_is_named() -> None:
    """A line that lacks something is an error that says which line, not a silent gap."""
    with pytest.raises(LogError, match="line 2, 'placed'"):
        read(("came", 1, 0.0), ("placed", 1, "one"))


def test_without_a_log_nothing_is_said_of_what_visitors_were_told() -> None:
    """Checks on the visitors' side are not checked then; of cheating nobody ever knows."""
    evidence = read_scenario("concert").evidence(
        ledger=Ledger(), figures=Figures(), samples=[], whole=False
    )

    unheard = {one.name: one.standing for one in verdict_on(evidence, is_told=False).checks}
    heard = {one.name: one.standing for one in verdict_on(evidence, is_told=True).checks}

    assert set(check_names()) >= NEEDS_TOLD | NOBODY_TRIES
    assert {unheard[name] for name in NEEDS_TOLD} == {"not_checked"}
    assert heard["cheating"] == "not_checked"
    assert heard["one-place"] == "held"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("export", "--to", "wrk"), "--to is one of k6, locust, jmeter, json"),
        (("export", "--to", "k6", "no-such-scenario"), "no-such-scenario"),
        (("export", "--to", "k6", "--output", "no/such/folder/crowd.js"), "there is no folder"),
        (("stage", "concert", "--target", "http://127.0.0.1:9"), "--operator-key"),
        (("stage", "concert", "--json-file", "no/such/folder/out.json"), "there is no folder"),
        (("judge", "no-such-stage.json"), "no-such-stage.json"),
        (("judge", __file__), "not written by"),
    ],
)
def test_misuse_ends_with_a_line(arguments: tuple[str, ...], word: str) -> None:
    """What cannot be done is said in words, and the exit code is 2."""
    ended = CliRunner().invoke(rehearse, arguments)

    assert ended.exit_code == 2, ended.output
    assert word in " ".join(ended.output.split())
