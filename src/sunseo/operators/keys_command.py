"""`sunseo keys …`: who may operate, in the database itself, beside a running server or without."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.commands import command_group
from sunseo.operators.keys import KeptKey, create_key, list_keys, revoke_key
from sunseo.postgres.address.existing import current_database
from sunseo.postgres.pool import create_cold_engine
from sunseo.settings import load_settings

ConfigOption = Annotated[Path | None, typer.Option(help="A TOML file of settings.")]
DataOption = Annotated[Path | None, typer.Option(help="Folder of the embedded PostgreSQL.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

T = TypeVar("T")

keys = command_group("Operator keys.")


@keys.command("create")
def create_operator_key(
    name: Annotated[str, typer.Argument(help="Whom or what the key is for.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take back the key that has the name.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an operator key and print it: this once, for it is stored nowhere."""
    key = _do(config, data, partial(create_key, name=name, replace=replace))
    typer.echo(msgspec.json.encode({"name": name, "key": key}) if as_json else key)


@keys.command("list")
def list_operator_keys(
    config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List all keys that were ever made, with their ids; no key can be seen again."""
    found = _do(config, data, list_keys)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for key in found:
        typer.echo(f"{key.key_id}  {key.created_at:%Y-%m-%d}  {_state(key):<21}{key.name}")


@keys.command("revoke")
def revoke_operator_key(
    key: Annotated[str, typer.Argument(help="Name or id of the key.", metavar="NAME")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a key back: within five seconds no worker takes it any more."""
    gone = _do(config, data, partial(revoke_key, named=key))
    if as_json:
        typer.echo(msgspec.json.encode(gone))
        return
    typer.echo(f"{gone.key_id}  {_state(gone)}  {gone.name}")


def _state(key: KeptKey) -> str:
    return "works" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d}"


def _do(
    config: Path | None, data: Path | None, work: Callable[[AsyncEngine, int], Awaitable[T]]
) -> T:
    settings = load_settings(os.environ, config, data=data)

    async def do(dsn: str) -> T:
        engine = create_cold_engine(dsn, size=1)
        try:
            return await work(engine, settings.organisation)
        finally:
            await engine.dispose()

    with ExitStack() as stack:
        return asyncio.run(do(current_database(settings, stack)))
