"""`sunseo draw`: a secret, a draw without a server, and its check."""

import json
import random
from pathlib import Path

from typer.testing import CliRunner

from sunseo.room.draw.command import draw


def invoke(*arguments: str | Path) -> tuple[int, str]:
    told = CliRunner().invoke(draw, [str(argument) for argument in arguments])
    return told.exit_code, told.stdout


def test_from_secret_to_verdict(tmp_path: Path) -> None:
    """A secret is made, a list is drawn with it, and the file is valid for what was noted."""
    secret, ids, file = (tmp_path / name for name in ("secret.txt", "ids.txt", "draw.gz"))
    code, commitment = invoke("secret", secret)
    assert code == 0
    assert secret.stat().st_mode & 0o077 == 0
    dice = random.Random(1)
    ids.write_text("".join(f"{dice.randbytes(16).hex()}\n" for _ in range(100)))

    code, said = invoke("run", secret, ids, file, "--room", "7", "--committer", "A notary")
    assert (code, said.split()[:4]) == (0, ["100", "entrants", "are", "drawn."])
    code, said = invoke("verify", file, "--commitment", commitment.strip(), "--json")
    verdict = json.loads(said)
    assert (code, verdict["verdict"], verdict["entrants"]) == (0, "valid", 100)
    assert "lists until one suited" in verdict["warnings"][0]
    assert invoke("verify", file, "--commitment", "00" * 32)[0] == 1


def test_secret_is_never_overwritten(tmp_path: Path) -> None:
    """A commitment may rest on it."""
    secret = tmp_path / "secret.txt"
    secret.write_text("precious")

    assert invoke("secret", secret)[0] != 0
    assert secret.read_text() == "precious"


def test_what_cannot_be_drawn_is_misuse(tmp_path: Path) -> None:
    """A short secret, an id of another length or one that stands twice end with exit code 2."""
    secret, ids, file = (tmp_path / name for name in ("secret.txt", "ids.txt", "draw.gz"))
    for key, listed in (("00", "11" * 16), ("00" * 32, "1122"), ("00" * 32, f"{'11' * 16}\n" * 2)):
        secret.write_text(key)
        ids.write_text(listed)
        assert invoke("run", secret, ids, file)[0] == 2
    assert not file.exists()
