"""`sunseo serve`."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer


def serve(
    config: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the embedded PostgreSQL.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer requests.")] = None,
) -> None:
    """Serve the API; starts PostgreSQL as well, unless a database_url is set."""
    from sunseo.settings import load_settings  # noqa: PLC0415 - help is told without
    from sunseo.supervisor import serve as serve_until_told  # noqa: PLC0415 - as above

    settings = load_settings(os.environ, config, data=data, host=host, port=port, workers=workers)
    serve_until_told(settings, announce=_announce)


def _announce(line: str) -> None:
    """Tell a person, if one is there: a terminal that is gone or a full disk ends no server."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
