"""The command line. Mistakes in its use end with one line and exit code 2."""

import asyncio
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import asyncpg
import typer
from sqlalchemy.exc import SQLAlchemyError

from sunseo import __version__
from sunseo.auth_request import read_options, run_gate
from sunseo.backup.command import backup, migrate, restore
from sunseo.backup.error import BackupError
from sunseo.booking.setup.command import sale
from sunseo.core.outputs import OutputError
from sunseo.core.processes import open_standard_streams
from sunseo.invariants.command import run_verify
from sunseo.operators.keys import KeyNameError
from sunseo.operators.keys_command import keys
from sunseo.postgres.address.existing import (
    NoDatabaseError,
    UnreachableDatabaseError,
    current_database,
    place_of,
)
from sunseo.postgres.address.parameters import AddressError
from sunseo.postgres.embedded.error import EmbeddedServerError
from sunseo.postgres.errors import MigrationRefusedError
from sunseo.rehearsal.command import demo, rehearse
from sunseo.room.draw.command import draw
from sunseo.room.setup.command import add_room_commands
from sunseo.room.simulation.command import simulate_room
from sunseo.settings import SettingsError, load_settings
from sunseo.supervisor import serve as serve_until_told

MISUSE, UNREACHABLE = 2, 3

app = typer.Typer(
    name="sunseo",
    help="A waiting room and booking engine for openings where everyone arrives at once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
room = typer.Typer(help="Waiting rooms.", no_args_is_help=True)
room.command("simulate")(simulate_room)
add_room_commands(room)
app.add_typer(keys, name="keys")
app.add_typer(room, name="room")
app.add_typer(sale, name="sale")
app.add_typer(draw, name="draw")
app.add_typer(rehearse, name="rehearse")
app.command("demo")(demo)
app.command("backup")(backup)
app.command("restore")(restore)
app.command("migrate")(migrate)

ConfigOption = Annotated[Path | None, typer.Option(help="A TOML file of settings.")]
DataOption = Annotated[Path | None, typer.Option(help="Folder of the embedded PostgreSQL.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """Run the command line."""
    open_standard_streams()
    try:
        app()
    except (
        SettingsError,
        AddressError,
        EmbeddedServerError,
        NoDatabaseError,
        MigrationRefusedError,
        BackupError,
        OutputError,
        KeyNameError,
    ) as error:
        refuse(str(error))
    except UnreachableDatabaseError as error:
        refuse(str(error), UNREACHABLE)
    except (asyncpg.PostgresError, SQLAlchemyError) as error:
        refuse(f"the database: {str(error).splitlines()[0]}")
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        refuse(f"{named}{error.strerror or error}")


def refuse(line: str, code: int = MISUSE) -> NoReturn:
    """Say in one line what was wrong, and exit; as for misuse, unless told otherwise."""
    print(f"sunseo: {line}", file=sys.stderr)
    raise SystemExit(code)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def _about(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@app.command()
def serve(
    config: ConfigOption = None,
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer requests.")] = None,
) -> None:
    """Serve the API; starts PostgreSQL as well, unless a database_url is set."""
    settings = load_settings(os.environ, config, data=data, host=host, port=port, workers=workers)
    serve_until_told(settings, announce=_announce)


@app.command()
def verify(
    sale: Annotated[list[int] | None, typer.Option(help="Only this sale; may repeat.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    whole: Annotated[bool, typer.Option("--all", help="Print what is well, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every invariant in the stored data.

    Exit code 1 if one is violated, 2 if not all could be checked.
    """
    settings = load_settings(os.environ, config, data=data)
    with ExitStack() as stack:
        dsn = current_database(settings, stack)
        code = asyncio.run(
            run_verify(
                dsn, settings.organisation, sale, as_json, place=place_of(settings), whole=whole
            )
        )
    raise typer.Exit(code)


@app.command()
def gate(
    file: Annotated[Path, typer.Argument(help="A TOML file of the gate's options; see the guide.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8100,
) -> None:
    """Answer nginx's auth_request: whether a visitor's pass lets her in."""
    try:
        options = read_options(file)
    except ValueError as error:
        refuse(str(error))
    run_gate(options, host, port)


def _announce(line: str) -> None:
    """Tell a person, if one is there: a terminal that is gone or a full disk ends no server."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
