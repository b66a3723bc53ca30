"""The READMEs' session with curl, run as it is written against a real server."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import clean_up, serving
from tests.docs.pages import ROOT, Block, blocks_of

BREAK = "-- end of a block --"
UNKNOWN = "…"
"""How the pages write a value that differs from run to run."""


NAMES = {
    "my laptop": "내 노트북",
    "Spring concert": "봄 콘서트",
    '"name": "Free"': '"name": "무료"',
    "Friday": "금요일",
    '"section": "A"': '"section": "가"',
    "sale init concert >": "sale init concert --lang ko >",
}
"""All that is different in what a Korean types."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl: make tools")
def test_session_works_as_written(tmp_path: Path) -> None:
    """Every command of the session runs, and every answer shown is the one that comes.

    Pasted a second time, with a key of its own, it adds no second seat for any place. It is the
    Korean one, with the harder names; the English one has the same commands, as is seen below.
    """
    server_block, *session = blocks_of("README.ko.md")
    data = tmp_path / "try it"
    server = serving(data)
    assert server_block == Block(
        "server", "sh", ".venv/bin/sunseo serve --data /tmp/sunseo-try --port 8000\n"
    )
    try:
        server.start()
        commands = [b for b in session if b.purpose == "run"]
        outputs = run_session(commands, data, server.port)
        pasted_again = run_session(commands[:2], data, server.port)
    finally:
        clean_up(server)

    turn = -1
    answers = 0
    for block in session:
        if block.purpose == "run":
            turn += 1
        else:
            answers += 1
            assert same(json.loads(block.text), json.loads(outputs[turn])), outputs[turn]
    assert answers == 5
    assert "Clean: " in outputs[-1]
    repeated = json.loads(pasted_again[1])
    assert (repeated["seats_added"], repeated["seats_existing"]) == (0, 30)


def run_session(blocks: list[Block], data: Path, port: int) -> list[str]:
    """Run the blocks in one shell; what each of them printed."""
    script = f"\necho; echo '{BREAK}'\n".join(block.text for block in blocks)
    for written, ours in {
        ".venv/bin/sunseo": f"'{sys.executable}' -m sunseo",
        "/tmp/sunseo-try": f"'{data}'",  # noqa: S108 - a reader's folder, replaced by ours
        "127.0.0.1:8000": f"127.0.0.1:{port}",
    }.items():
        assert written in script
        script = script.replace(written, ours)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [output.strip() for output in done.stdout.split(BREAK)]


def same(shown: Any, came: Any) -> bool:
    """Whether an answer is the one shown, but for values shown as unknown."""
    if isinstance(shown, dict) and isinstance(came, dict):
        return shown.keys() == came.keys() and all(same(shown[k], came[k]) for k in shown)
    return bool(shown in (UNKNOWN, came))


def test_both_languages_say_the_same() -> None:
    """The Korean README has the same session, to the letter but for the names of things."""
    english, korean = blocks_of("README.md"), blocks_of("README.ko.md")

    for name, korean_name in NAMES.items():
        assert any(name in block.text for block in english), name
        english = [b._replace(text=b.text.replace(name, korean_name)) for b in english]
    assert english == korean
