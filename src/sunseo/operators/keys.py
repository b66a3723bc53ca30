"""Operator keys in the database: added and revoked with an audit entry, looked up by their id.

Guarantee   No two keys that work have one name: who adds or revokes waits for the audit log first.
            However many keys are asked for or guessed at once, one statement at a time looks for
            them all, on one connection.
On failure  All who waited for a look-up that failed are told so; the next one begins anew.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from unicodedata import is_normalized

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.core.errors import OneLineError
from sunseo.identity.operator_keys import new_operator_key
from sunseo.operators import audit
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries

NAME_CHARACTERS_MAX = 200

_QUERIES = load_cold_queries("sunseo.operators")


class KeyNameError(OneLineError, ValueError):
    """A key cannot have this name, or there is none of it. Its text is one line."""


class KeptKey(msgspec.Struct, frozen=True):
    """What is known of a key; the key itself is stored nowhere."""

    key_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


async def create_key(
    engine: AsyncEngine, organisation: int, name: str, *, replace: bool = False
) -> str:
    """Make an operator key and return it: the only time that it can be seen.

    With `replace`, one that works under that name is taken back in the same transaction.

    Raises:
        KeyNameError: the name says nothing, or a key that works has it already.
    """
    _check_name(name)
    key = new_operator_key()
    where = {"organisation": organisation}
    async with engine.begin() as connection:
        await audit.lock(connection, organisation)
        for other in await _read(connection, organisation):
            if other.name != name or other.revoked_at is not None:
                continue
            if not replace:
                raise KeyNameError(
                    f"a key named {name!r} works already ({other.key_id}): give each person and"
                    " program a name of its own, or take that one back (--replace)"
                )
            await _revoke(connection, organisation, other)
        kept = {"key_id": key.key_id, "name": name}
        await connection.execute(_QUERIES["add_key"], where | kept | {"digest": key.digest})
        await _note(connection, organisation, "create_key", kept)
    return key.text


async def list_keys(engine: AsyncEngine, organisation: int) -> list[KeptKey]:
    """All keys that were ever made, the oldest first."""
    async with engine.connect() as connection:
        return await _read(connection, organisation)


async def revoke_key(engine: AsyncEngine, organisation: int, named: str) -> KeptKey:
    """Take a key back, by its name or id; one that was taken back before stays as it is.

    Raises:
        KeyNameError: no key is meant, or more than one.
    """
    async with engine.begin() as connection:
        await audit.lock(connection, organisation)
        key = _meant(await _read(connection, organisation), named)
        if key.revoked_at is not None:
            return key
        return await _revoke(connection, organisation, key)


def _check_name(name: str) -> None:
    if not name.strip():
        raise KeyNameError("a key needs a name: whom or what it is for")
    if name != name.strip() or not name.isprintable() or not is_normalized("NFC", name):
        raise KeyNameError(
            f"a key's name has no white space at its ends, no control characters, and Unicode's"
            f" composed form (NFC), unlike {name!r}"
        )
    if len(name) > NAME_CHARACTERS_MAX:
        raise KeyNameError(f"a key's name has at most {NAME_CHARACTERS_MAX} characters")


def _meant(keys: list[KeptKey], named: str) -> KeptKey:
    """The key of this id; else the only one of this name that works, or the last that did."""
    by_id = [key for key in keys if key.key_id == named]
    by_name = [key for key in keys if key.name == named]
    found = by_id or [key for key in by_name if key.revoked_at is None] or by_name[-1:]
    if not found:
        raise KeyNameError(f"there is no key {named!r}; sunseo keys list names them")
    if len(found) > 1:
        ids = ", ".join(key.key_id for key in found)
        raise KeyNameError(f"{len(found)} keys are named {named!r}: name the id, one of {ids}")
    return found[0]


async def _revoke(connection: AsyncConnection, organisation: int, key: KeptKey) -> KeptKey:
    where = {"organisation": organisation, "key_id": key.key_id}
    revoked_at = (await connection.execute(_QUERIES["revoke_key"], where)).scalar_one()
    told = {"key_id": key.key_id, "name": key.name}
    await _note(connection, organisation, "revoke_key", told)
    return msgspec.structs.replace(key, revoked_at=revoked_at)


async def _read(connection: AsyncConnection, organisation: int) -> list[KeptKey]:
    found = await connection.execute(_QUERIES["list_keys"], {"organisation": organisation})
    return [KeptKey(*row) for row in found]


async def _note(
    connection: AsyncConnection, organisation: int, action: str, details: dict[str, Any]
) -> None:
    await audit.append(
        connection,
        organisation,
        actor="command line",
        action=action,
        sale=None,
        details=details,
        now=await read_clock(connection),
    )


class KeyFinder:
    """Looks keys up; one organisation's, in one process."""

    def __init__(self, engine: AsyncEngine, organisation: int) -> None:
        self._engine = engine
        self._organisation = organisation
        self._one_at_a_time = asyncio.Lock()
        self._next: tuple[set[str], asyncio.Task[Mapping[str, bytes]]] | None = None

    async def find(self, key_id: str) -> bytes | None:
        """The digest of a key; none where it is unknown or revoked."""
        if self._next is None:
            wanted: set[str] = set()
            self._next = wanted, asyncio.create_task(self._read(wanted))
        wanted, found = self._next
        wanted.add(key_id)
        return (await asyncio.shield(found)).get(key_id)

    async def _read(self, wanted: set[str]) -> Mapping[str, bytes]:
        async with self._one_at_a_time:
            self._next = None  # who comes from now on waits for the one after this
            async with self._engine.connect() as connection:
                found = await connection.execute(
                    _QUERIES["find_keys"],
                    {"organisation": self._organisation, "key_ids": list(wanted)},
                )
                return {row.key_id: row.digest for row in found}
