"""`sunseo verify`."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer


def verify(
    sale: Annotated[list[int] | None, typer.Option(help="Only this sale; may repeat.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the embedded PostgreSQL.")] = None,
    whole: Annotated[bool, typer.Option("--all", help="Print what is well, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check every invariant in the stored data.

    Exit code 1 if one is violated, 2 if not all could be checked.
    """
    from sunseo.invariants.command import run_verify  # noqa: PLC0415 - help is told without
    from sunseo.postgres.address.existing import (  # noqa: PLC0415 - as above
        current_database,
        place_of,
    )
    from sunseo.settings import load_settings  # noqa: PLC0415 - as above

    settings = load_settings(os.environ, config, data=data)
    with ExitStack() as stack:
        dsn = current_database(settings, stack)
        code = asyncio.run(
            run_verify(
                dsn, settings.organisation, sale, as_json, place=place_of(settings), whole=whole
            )
        )
    raise typer.Exit(code)
