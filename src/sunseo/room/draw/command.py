"""`sunseo draw`: make a secret, draw a list without a server, check a published draw."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

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

LINES_AT_ONCE = 10_000

draw = typer.Typer(help="Draws that anyone can check.", no_args_is_help=True)

SecretFile = Annotated[Path, typer.Argument(help="File with the secret in hexadecimal.")]


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


def _ids(path: Path) -> list[bytes]:
    ids = [bytes.fromhex(line) for line in path.read_text("ascii").split()]
    if any(len(entrant) != ENTRANT_BYTES for entrant in ids):
        raise DrawError("an id has 32 hexadecimal digits")
    return ids
