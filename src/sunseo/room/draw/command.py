"""`sunseo draw`: the steps of a room's draw over a running server's API; and without a server make
a secret, draw a list, check a published draw.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from sunseo.commands import command_group
from sunseo.core.outputs import Output, check_outputs
from sunseo.drawcheck.verifier import run as check
from sunseo.room.draw.file import DrawHeader, drawn_lines, gzip_compressor, header_line
from sunseo.room.draw.rules import (
    ENTRANT_BYTES,
    DrawError,
    commitment_of,
    new_secret,
    numbers_of,
    seal,
    seed_of,
)
from sunseo.room.setup.command import Room
from sunseo.web.asking import HOME, MISUSE, KeyOption, UrlOption, ask, fail

LINES_AT_ONCE = 10_000

draw = command_group("Draws that anyone can check.")

SecretFile = Annotated[Path, typer.Argument(help="File with the secret in hexadecimal.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@draw.command("commit")
def commit_draw(
    room: Room,
    *,
    commitment: Annotated[
        str | None, typer.Option(help="SHA-256 of a secret that is kept elsewhere.")
    ] = None,
    committer: Annotated[str | None, typer.Option(help="Who keeps that secret.")] = None,
    independent: Annotated[
        bool, typer.Option("--independent", help="The committer is not the operator.")
    ] = False,
    as_json: JsonOption = False,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Commit to a secret, before anybody registers.

    Without options the server makes and keeps one, as when the room is made: the weaker kind.
    """
    body: dict[str, Any] = {}
    if commitment is not None or committer is not None or independent:
        body = {"commitment": commitment, "committer": committer, "independent": independent}
    _take_step(url, key, room, "commit", body, as_json=as_json)


@draw.command("seal")
def seal_draw(
    room: Room, *, as_json: JsonOption = False, key: KeyOption, url: UrlOption = HOME
) -> None:
    """End registration and publish the list's hash; the server does so at the opening."""
    _take_step(url, key, room, "seal", None, as_json=as_json)


@draw.command("reveal")
def reveal_draw(
    room: Room,
    secret_file: Annotated[
        Path | None,
        typer.Argument(help="File with the secret in hexadecimal; else the server's own."),
    ] = None,
    *,
    as_json: JsonOption = False,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Reveal the secret of a sealed list, which gives everybody her number."""
    body = {} if secret_file is None else {"secret": _secret_in(secret_file)}
    _take_step(url, key, room, "reveal", body, as_json=as_json)


@draw.command("withhold")
def withhold_draw(
    room: Room,
    reason: Annotated[str, typer.Argument(help="Why, as everybody is told.")],
    *,
    as_json: JsonOption = False,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Log that the secret did not come, so that another commitment may take its place."""
    _take_step(url, key, room, "withhold", {"reason": reason}, as_json=as_json)


@draw.command("verify")
def verify_draw(
    file: Annotated[str, typer.Argument(help="The published draw; - for standard input.")],
    *,
    receipt: Annotated[str | None, typer.Option(help="Your receipt or id.")] = None,
    commitment: Annotated[str | None, typer.Option(help="As noted before registration.")] = None,
    list_hash: Annotated[str | None, typer.Option(help="As noted before the reveal.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check a published draw.

    Exit code 0 if it is valid, 1 if not, 2 if this is no such file, 3 if it is not drawn yet.
    """
    raise typer.Exit(
        check(file, receipt=receipt, commitment=commitment, list_hash=list_hash, as_json=as_json)
    )


@draw.command("secret")
def make_secret(file: SecretFile) -> None:
    """Make a new secret, keep it in a file that is yours alone, and print its commitment."""
    secret = new_secret()
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(secret.hex() + "\n", "ascii")
    typer.echo(commitment_of(secret).hex())


@draw.command("run")
def run_draw(
    secret_file: SecretFile,
    entrants_file: Annotated[
        Path, typer.Argument(help="Ids of 32 hexadecimal digits, a line each.")
    ],
    draw_file: Annotated[Path, typer.Argument(help="The published draw to write.")],
    *,
    room: Annotated[int, typer.Option(min=1, help="The room's number.")] = 1,
    epoch: Annotated[int, typer.Option(min=1, help="The room's epoch.")] = 1,
    committer: Annotated[str, typer.Option(help="Who kept the secret.")] = "the operator",
    independent: Annotated[bool, typer.Option(help="Whether that is somebody else.")] = False,
) -> None:
    """Draw a list of ids without a server."""
    try:
        check_outputs(Output("DRAW_FILE", draw_file))
        secret = bytes.fromhex(secret_file.read_text("ascii"))
        commitment = commitment_of(secret)
        sealed = seal(_ids(entrants_file))
    except ValueError as error:  # a DrawError is one
        raise typer.BadParameter(str(error)) from None
    seed = seed_of(room, epoch, secret, sealed.list_hash, sealed.total)
    header = DrawHeader(
        state="revealed",
        room=room,
        epoch=epoch,
        commitment=commitment.hex(),
        committer=committer,
        independent=independent,
        entrants=sealed.total,
        list_hash=sealed.list_hash.hex(),
        secret=secret.hex(),
        seed=seed.hex(),
        registrations=[],
        log=[],
    )
    rows = zip(sealed.entrants, numbers_of(seed, sealed.entrants), strict=True)
    squeeze = gzip_compressor()
    with draw_file.open("wb") as out:
        out.write(squeeze.compress(header_line(header)))
        while part := list(islice(rows, LINES_AT_ONCE)):
            out.write(squeeze.compress(drawn_lines(part)))
        out.write(squeeze.flush())
    typer.echo(f"{sealed.total} entrants are drawn. Seed: {seed.hex()}")


def _take_step(url: str, key: str, room: int, verb: str, body: Any, *, as_json: bool) -> None:
    step = ask(url, key, "POST", f"/v1/rooms/{room}/draw/{verb}", body)
    if as_json:
        typer.echo(json.dumps(step))
        return
    typer.echo(f"The draw of room {step['room']}, epoch {step['epoch']}, is {step['state']}.")
    for name, label in (
        ("commitment", "Commitment"),
        ("entrants", "Entrants"),
        ("list_hash", "List hash"),
    ):
        if step.get(name) is not None:
            typer.echo(f"{label}: {step[name]}")


def _secret_in(file: Path) -> str:
    try:
        return bytes.fromhex(file.read_text("ascii")).hex()
    except OSError as error:
        fail(f"{file}: {error.strerror}", MISUSE)
    except ValueError:
        fail(f"{file}: a secret is written in hexadecimal digits", MISUSE)


def _ids(path: Path) -> list[bytes]:
    ids = [bytes.fromhex(line) for line in path.read_text("ascii").split()]
    if any(len(entrant) != ENTRANT_BYTES for entrant in ids):
        raise DrawError("an id has 32 hexadecimal digits")
    return ids
