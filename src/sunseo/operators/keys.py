"""Operator keys: made here, shown once, kept as a digest.

A key is `sunseo_<key id>_<secret>`. The secret is 256 random bits, so a plain SHA-256 of it cannot
be searched for; the key id is what logs and the audit log name.
"""

import secrets
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.operators import audit
from sunseo.postgres.clock import read_clock
from sunseo.postgres.queries import load_cold_queries

_QUERIES = load_cold_queries("sunseo.operators")

KEY_ID_BYTES = 6
SECRET_BYTES = 32


async def create_key(engine: AsyncEngine, organisation: int, name: str) -> str:
    """Make an operator key and return it: the only time that it can be seen."""
    key_id = secrets.token_hex(KEY_ID_BYTES)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    async with engine.begin() as connection:
        await connection.execute(
            _QUERIES["add_key"],
            {
                "organisation": organisation,
                "key_id": key_id,
                "name": name,
                "digest": sha256(secret.encode()).digest(),
            },
        )
        await audit.append(
            connection,
            organisation,
            actor="command line",
            action="create_key",
            sale=None,
            details={"key_id": key_id, "name": name},
            now=await read_clock(connection),
        )
    return f"sunseo_{key_id}_{secret}"


async def find_digest(engine: AsyncEngine, organisation: int, key_id: str) -> bytes | None:
    """The digest of a key's secret; none where the key is unknown or revoked."""
    async with engine.connect() as connection:
        digest: bytes | None = await connection.scalar(
            _QUERIES["find_key"], {"organisation": organisation, "key_id": key_id}
        )
        return digest
