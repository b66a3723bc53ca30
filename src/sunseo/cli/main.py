"""`sunseo`. Mistakes in its use end with one line and exit code 2.

It starts fast: what a command needs is imported when that command is used.
"""

import sys
from typing import Annotated, NoReturn

import typer

from sunseo.cli.table import COMMANDS
from sunseo.cli.version import version
from sunseo.commands import command_group
from sunseo.core.errors import OneLineError
from sunseo.core.processes import open_standard_streams

MISUSE = 2
DATABASE_ERRORS = {"asyncpg": "PostgresError", "sqlalchemy.exc": "SQLAlchemyError"}

app = command_group(
    "A waiting room and booking engine for openings where everyone arrives at once.",
    COMMANDS,
    name="sunseo",
)


def main() -> None:
    """Run the command line."""
    open_standard_streams()
    try:
        app()
    except OneLineError as error:
        refuse(str(error), error.exit_code)
    except _database_errors() as error:
        refuse(f"the database: {str(error).splitlines()[0]}")
    except OSError as error:
        named = "" if error.filename is None else f"{error.filename}: "
        refuse(f"{named}{error.strerror or error}")


def refuse(line: str, code: int = MISUSE) -> NoReturn:
    """Say in one line what was wrong, and exit; as for misuse, unless told otherwise."""
    print(f"sunseo: {line}", file=sys.stderr)
    raise SystemExit(code)


def _database_errors() -> tuple[type[Exception], ...]:
    """Those of the drivers that were imported: no other ones can have been raised."""
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in DATABASE_ERRORS.items()
        if module in sys.modules
    )


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
