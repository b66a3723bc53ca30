"""`sunseo gate`."""

from pathlib import Path
from typing import Annotated

import typer

from sunseo.core.errors import OneLineError


def gate(
    file: Annotated[Path, typer.Argument(help="A TOML file of the gate's options; see the guide.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8100,
) -> None:
    """Answer nginx's auth_request: whether a visitor's pass lets her in."""
    from sunseo.auth_request import read_options, run_gate  # noqa: PLC0415 - help is told without

    try:
        options = read_options(file)
    except ValueError as error:
        raise OneLineError(str(error)) from None
    run_gate(options, host, port)
