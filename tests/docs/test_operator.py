"""The operator's guide: its commands for backups run as they are written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.serving import running
from tests.docs.pages import ROOT, blocks_of, text_of

GUIDE = "docs/guides/operator.md"
PLACES = ("/var/backups", "/var/lib", "/etc")

COMMANDED = sorted(
    page.relative_to(ROOT)
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/guides/*.md"), *ROOT.glob("docs/*/draw.md")]
)


def run(script: str, root: Path) -> str:
    """Run a block with `sunseo` as this one, and the machine's folders below one of ours."""
    for place in PLACES:
        script = script.replace(place, shlex.quote(f"{root}{place}"))
    ours = f'sunseo() {{ {shlex.quote(sys.executable)} -m sunseo "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ours + script],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_backup_and_restore_work_as_written(tmp_path: Path) -> None:
    """While the server runs, then on a new folder, and at last in the place of the old one."""
    for place in PLACES:
        (tmp_path / place[1:]).mkdir(parents=True)
    (tmp_path / "etc/sunseo.passphrase").write_text("correct horse battery\n")
    blocks = blocks_of(GUIDE)
    with running(tmp_path / "var/lib/sunseo") as server:
        server.create_concert(server.create_key())
        (pause,) = [block.text for block in blocks if block.purpose == "pause"]
        for verb in ("pause", "resume"):
            pause = pause.replace(f"{verb} 1", f"{verb} 1 --url {server.url}")
        paused = run(f"export SUNSEO_DATA=/var/lib/sunseo\n{pause}", tmp_path)
        said = [run(block.text, tmp_path) for block in blocks if block.purpose == "run"]
    (stopped,) = [block for block in blocks if block.purpose == "stopped"]
    last = run(stopped.text, tmp_path)

    assert [line for line in paused.splitlines() if "paused" in line] == [
        *('  "paused": true', '  "paused": false'),
    ]
    assert [one.splitlines()[0].split()[0] for one in said] == ["Saved", "Saved", "Restored:"]
    assert "It is encrypted" in said[1]
    assert "Clean: " in said[2]
    assert "Nothing that the later state shows as revoked is valid again." in last
    for folder in ("sunseo", "sunseo-restored"):
        secret = tmp_path / "var/lib" / folder / "secret"
        assert secret.read_bytes() == (tmp_path / "var/lib/sunseo-lost/secret").read_bytes()


@pytest.mark.parametrize("page", COMMANDED, ids=str)
def test_no_command_needs_a_program_called_python(page: Path) -> None:
    """A bare Debian has python3, and a checkout .venv/bin/python."""
    found = re.findall(r"(?<![\w/.`-])python (?=-|\S+\.py)", (ROOT / page).read_text("utf-8"))

    assert found == []


@pytest.mark.parametrize("page", COMMANDED, ids=str)
def test_no_command_needs_what_a_bare_debian_lacks(page: Path) -> None:
    """Nobody in a hurry has to install a program first: no word of an example is one of those."""
    text = (ROOT / page).read_text("utf-8")
    blocks = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    begins = r"(?:^\s*\$?\s*|[|;&(]\s*)([a-z][a-z0-9-]*)(?=\s|\)|$)"
    words = re.findall(begins, "\n".join(blocks), re.MULTILINE)

    assert set(words) & {"uuidgen", "jq", "http", "wget", "yq"} == set()


def test_stopping_needs_sunseo_alone() -> None:
    """What is typed when something is wrong is our own command, and the key is made by one."""
    (block,) = re.findall(r"^```sh\n([^`]*sale pause[^`]*)^```", text_of(GUIDE), re.MULTILINE)

    assert [line.split("sunseo ", 1)[1].split()[:2] for line in block.splitlines()] == [
        ["keys", "create"],
        ["sale", "pause"],
        ["sale", "resume"],
    ]
