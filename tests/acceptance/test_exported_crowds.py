"""A crowd that another tool plays: the scene is set, the tool runs, the verdict is ours.

Tools that are not installed are skipped; what is around them runs anyway.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 240
SUNSEO = (sys.executable, "-m", "sunseo", "rehearse")
SMALL = ("--visitors", "40", "--duration", "2", "--session", "0.3", "--seed", "5")
INTO = ("--json-file", "out.json")
TOOLS = {
    "k6": ("crowd.js", ("k6", "run", "--quiet", "crowd.js")),
    "locust": ("crowd.py", ("locust", "-f", "crowd.py", "--headless", "--only-summary")),
    "jmeter": ("crowd.jmx", ("jmeter", "-n", "-t", "crowd.jmx")),
}


def sunseo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SUNSEO, *arguments],
        cwd=folder,
        env=environment(folder),
        timeout=PATIENCE_S,
        check=False,
        capture_output=True,
        text=True,
    )


def environment(folder: Path) -> dict[str, str]:
    """Throw-away folders are made below the test's own; no setting is for a server of ours."""
    return os.environ | {"TMPDIR": str(folder), "SUNSEO_PORT": "1"}


def checks(folder: Path) -> dict[str, str]:
    told: dict[str, Any] = json.loads((folder / "out.json").read_text("utf-8"))
    return {check["name"]: check["standing"] for check in told["checks"]}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_plays_the_crowd_and_the_verdict_is_clean(tool: str, tmp_path: Path) -> None:
    """The script runs as it is written, everything is sold, and its log is what is stored."""
    if shutil.which(tool) is None:
        pytest.skip(f"there is no {tool}: make tools")
    script, command = TOOLS[tool]
    written = sunseo(tmp_path, "export", "--to", tool, "--output", script, *SMALL)
    assert written.returncode == 0, written.stderr

    ended = sunseo(
        tmp_path,
        "stage",
        "concert",
        *SMALL,
        "--seats",
        "12",
        "--starts-in",
        "5",
        *INTO,
        "--",
        *command,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert told["funnel"]["came"] == told["funnel"]["in_line"] == 40
    assert told["sold"] == 12
    standings = checks(tmp_path)
    assert standings.pop("cheating") == "not_checked"
    assert set(standings.values()) == {"held"}


def test_tool_that_tells_nothing_gives_no_verdict(tmp_path: Path) -> None:
    """Without a log nobody knows whether anybody came: what is stored is judged, the code is 2."""
    told = "import os, sys; print(os.environ['CROWD_URL']); sys.exit(99)"
    command = (sys.executable, "-c", told)

    ended = sunseo(tmp_path, "stage", "concert", *SMALL, *INTO, "--", *command)

    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "http://127.0.0.1:" in ended.stdout
    assert "ended with exit code 99" in ended.stdout
    standings = checks(tmp_path)
    assert {standings[name] for name in ("invariants", "one-owner", "above-serving")} == {"held"}
    assert {standings[name] for name in ("told-is-true", "errors")} == {"not_checked"}


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*SUNSEO, "stage", "concert", *SMALL, "--starts-in", "0"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_scene_stays_for_a_crowd_to_be_judged(
    staged: subprocess.Popen[str], tmp_path: Path
) -> None:
    """What is printed names the scene; what its visitor was told is judged while it stands."""
    assert staged.stdout is not None
    variables = dict(shlex.split(staged.stdout.readline())[1].split("=", 1) for _ in range(7))
    log = Path(variables["CROWD_TOLD"])
    log.write_text('["came",1,0.5]\n["placed",1,1,1,0.5,0.6]\n["gone",1,"impatient",1.0]\n')

    judged = sunseo(tmp_path, "judge", *INTO)

    assert judged.returncode == 1, judged.stdout + judged.stderr
    standings = checks(tmp_path)
    assert standings["told-is-true"] == "broken"  # nobody ever gave out that number
    assert standings["invariants"] == "held"
    assert standings["orders-told"] == "not_checked"

    staged.send_signal(signal.SIGINT)
    assert staged.wait(PATIENCE_S) == 0
    after = sunseo(tmp_path, "judge")
    assert after.returncode == 2
    assert "runs no more" in after.stdout
