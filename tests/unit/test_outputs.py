"""Files that commands write: fit before they begin, and none lost to another's fault."""

import os
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sunseo.cli.main import app
from sunseo.core.outputs import Output, OutputError, check_outputs, write_outputs


def test_looking_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """A file that is there keeps its content, one that is not is not made, a pipe is not opened."""
    there, new, pipe = tmp_path / "a.html", tmp_path / "b.html", tmp_path / "pipe"
    there.write_text("kept")
    os.mkfifo(pipe)

    check_outputs(
        Output("--a", there, (".html",)),
        Output("--b", new),
        Output("--c", pipe),
        Output("-d", pipe),
    )

    assert there.read_text() == "kept"
    assert sorted(tmp_path.iterdir()) == [there, new.with_name("pipe")]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("page.pdf",), "--0 writes .html or .htm, not 'page.pdf'"),
        (("page",), "--0 writes .html or .htm, not 'page'"),
        (("folder.html",), "Is a directory"),
        (("none/page.html",), "there is no folder"),
        (("file.html/page.html",), "Not a directory"),
        (("one.html", "one.html"), "--1 and --0 name the same file"),
        (("one.html", "folder.html/../one.html"), "--1 and --0 name the same file"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    """The line tells option and reason, and no file has come into being."""
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file.html").touch()
    outputs = [
        Output(f"--{number}", tmp_path / name, (".html", ".htm"))
        for number, name in enumerate(names)
    ]

    with pytest.raises(OutputError, match=said.replace(".", r"\.")):
        check_outputs(*outputs)

    assert sorted(one.name for one in tmp_path.iterdir()) == ["file.html", "folder.html"]


def test_a_file_that_fails_at_the_end_takes_no_other_along(tmp_path: Path) -> None:
    """What can be written is, and the rest is told: a disk may fill up meanwhile."""
    (tmp_path / "in the way").mkdir()
    good = tmp_path / "good"

    failed = write_outputs(
        partial((tmp_path / "in the way").write_bytes, b"x"), partial(good.write_bytes, b"x")
    )

    assert failed == [f"cannot write {tmp_path / 'in the way'}: Is a directory"]
    assert good.read_bytes() == b"x"


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--report", "{}/x.pdf"),
        ("demo", "--report", "{}/none/x.html"),
        ("demo", "--json-file", "{}/x.html"),
        ("rehearse", "concert", "--report", "{}/x.pdf"),
        ("rehearse", "concert", "--json-file", "{}"),
        ("rehearse", "concert", "--fault", "kill-server@5s", "--incident", "{}/x.pdf"),
        ("rehearse", "concert", "--report", "{}/x.html", "--json-file", "{}/../none/x"),
        ("rehearse", "capacity", "--report", "{}/x.pdf"),
        ("rehearse", "capacity", "--json-file", "{}"),
        ("rehearse", "stage", "concert", "--told", "{}"),
        ("rehearse", "stage", "concert", "--staged", "{}/none/x.json"),
        ("rehearse", "stage", "concert", "--report", "{}/x.pdf"),
        ("rehearse", "judge", "--report", "{}/x.pdf"),
        ("rehearse", "judge", "--json-file", "{}/none/x.json"),
        ("rehearse", "export", "--to", "k6", "--output", "{}"),
        ("room", "simulate", "--plot", "{}/x.pdf"),
        ("room", "simulate", "--plot", "{}/none/x.svg"),
        ("draw", "run", "secret", "entrants", "{}"),
    ],
)
def test_a_command_refuses_before_it_begins(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Every command that writes at its end looks first: exit code 2, and nothing is written."""
    ended = CliRunner().invoke(app, [one.format(tmp_path) for one in arguments])

    said = ended.stderr or str(ended.exception)
    assert (ended.exit_code, "Traceback" in said) == (2, False) or isinstance(
        ended.exception, OutputError
    )
    assert "writ" in said
    assert list(tmp_path.iterdir()) == []
