"""The command line in this process: its answers and refusals, without a start for each."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest


class Ended(NamedTuple):
    """What a command has left."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `sunseo` with these words, as a shell would."""
    from sunseo.cli.main import main

    def run(*words: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["sunseo", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, told.out, told.err)

    return run
