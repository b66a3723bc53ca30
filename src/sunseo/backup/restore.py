"""`sunseo restore`: a backup becomes a data folder, or fills an empty database of one's own.

Guarantee   What is there is never touched. A data folder has its database by one rename, after all
            else is done; an empty database has its tables in one transaction, and the revision that
            makes servers take it in a second one, together with all that is set right.
"""

import re
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from sunseo.backup.archive import Archive
from sunseo.backup.compared import Gap, LaterState, gap_between, read_later
from sunseo.backup.error import BackupError
from sunseo.backup.facts import LONG_S, QUERIES, read_facts
from sunseo.backup.folder import building_folder, check_empty_folder
from sunseo.backup.kept_secrets import keeping
from sunseo.backup.manifest import Facts, Manifest
from sunseo.backup.margins import Raise, raise_of
from sunseo.backup.tools import PostgresTool, ToolTarget, find_tool, run_tool, target_of
from sunseo.operators import audit
from sunseo.postgres.address.existing import require_reachable
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.migrate import is_known, upgrade_to_head
from sunseo.postgres.pool import create_cold_engine
from sunseo.settings import SECRET_FILE, Settings

IDS_PASSED_OVER = 100
LEFT_OUT = ("EXTENSION", "COMMENT - EXTENSION", "SCHEMA - public", "COMMENT - SCHEMA public")
"""Entries of a dump that every database has of its own; and which schema it is, comes last."""

SIGNATURE = re.compile(r"TABLE DATA \S+ alembic_version ")
OnStep = Callable[[str], None]


class Wish(msgspec.Struct, frozen=True):
    """How to restore.

    Attributes:
        numbers: for every room that may have given any; else derived for each.
        compare: an old data folder, or the URL of a later state.
        secrets_to: a TOML file to write the backup's secrets into.
    """

    numbers: int | None = None
    compare: str | None = None
    secrets_to: Path | None = None


class Restored(msgspec.Struct, frozen=True):
    """What was restored, and what that means."""

    place: str
    manifest: Manifest
    restored_at: datetime
    rooms: list[Raise]
    gap: Gap | None  # none: no later state was at hand


async def restore_backup(
    settings: Settings, archive: Archive, place: str, wish: Wish, on_step: OnStep = lambda _: None
) -> Restored:
    """Restore a backup that was found to be whole.

    Raises:
        BackupError: nothing was restored, and why.
        EmbeddedServerError: PostgreSQL could not be started.
    """
    manifest = archive.manifest
    if not is_known(manifest.facts.schema):
        raise BackupError(
            f"the backup has the schema {manifest.facts.schema}, made by Sunseo {manifest.sunseo};"
            " restore it with that version, or a newer one"
        )
    keep = keeping(settings, archive.secrets, wish.secrets_to)
    later = None
    if settings.is_embedded:
        check_empty_folder(settings.data)
    if wish.compare is not None:
        on_step("reading the state to compare with")
        later = await read_later(wish.compare, settings, manifest.facts.moment)
    job = _Job(archive, place, wish, later, on_step)
    if settings.database_url is not None:
        with tempfile.TemporaryFile() as dump:
            restored = await job.fill(settings.database_url, dump)
        keep.write_settings()
        return restored
    with building_folder(settings.data) as building:
        with (
            EmbeddedServer(building.folder) as server,
            tempfile.TemporaryFile(dir=building.folder) as dump,
        ):
            restored = await job.fill(server.dsn, dump)
        keep.write_settings()
        building.finish({} if keep.in_folder is None else {SECRET_FILE: keep.in_folder})
    return restored


class _Job:
    """One backup on its way into one empty database."""

    def __init__(
        self, archive: Archive, place: str, wish: Wish, later: LaterState | None, on_step: OnStep
    ) -> None:
        self._archive = archive
        self._manifest = archive.manifest
        self._place = place
        self._wish = wish
        self._later = later
        self._on_step = on_step

    async def fill(self, dsn: str, dump: IO[bytes]) -> Restored:
        engine = create_cold_engine(dsn, size=1, statement_timeout_s=LONG_S)
        try:
            await require_reachable(engine, self._place)
            async with engine.begin() as connection:
                major = await _check_empty(connection, self._place)
            target = target_of(dsn)
            tool = find_tool(
                "pg_restore", _dumped_by(self._manifest, major), major, is_local=target.is_local
            )
            self._on_step("unpacking")
            self._archive.copy_database(dump)
            self._on_step("restoring the database")
            await _run_pg_restore(tool, target, dump)
            self._on_step("setting it right")
            try:
                async with engine.begin() as connection:
                    return await self._set_right(connection)
            except BaseException:
                async with engine.begin() as connection:
                    await connection.execute(QUERIES["empty_again"])
                raise
        finally:
            await engine.dispose()

    async def _set_right(self, connection: AsyncConnection) -> Restored:
        schema = {"schema": self._manifest.facts.schema}
        await connection.execute(QUERIES["sign_schema"], schema)
        await connection.run_sync(upgrade_to_head)
        facts = await read_facts(connection)
        self._check_whole(facts)
        now: datetime = (await connection.execute(QUERIES["read_clock"])).scalar_one()
        rooms = self._raises(facts, now)
        for room in rooms:
            await _raise(connection, room, self._manifest.facts.moment, now)
        await connection.execute(QUERIES["renew_room_versions"])
        await connection.execute(QUERIES["pass_ids_over"], {"margin": IDS_PASSED_OVER})
        gap = None if self._later is None else await gap_between(connection, facts, self._later)
        await self._record(connection, facts, rooms, now)
        return Restored(self._place, self._manifest, now, rooms, gap)

    def _check_whole(self, facts: Facts) -> None:
        told = self._manifest.facts
        if (facts.sales, facts.rooms, facts.keys) != (told.sales, told.rooms, told.keys):
            raise BackupError("what was restored is not what the backup tells of; nothing is kept")

    def _raises(self, facts: Facts, now: datetime) -> list[Raise]:
        later = [] if self._later is None else self._later.facts.rooms
        known = {(room.organisation, room.room): room for room in later}
        return [
            raise_of(
                room,
                known.get((room.organisation, room.room)),
                self._manifest.facts.moment,
                now,
                self._wish.numbers,
            )
            for room in facts.rooms
        ]

    async def _record(
        self, connection: AsyncConnection, facts: Facts, rooms: list[Raise], now: datetime
    ) -> None:
        organisations = {1, *(sale.organisation for sale in facts.sales)}
        organisations |= {room.organisation for room in rooms}
        for organisation in sorted(organisations):
            passed_over = {
                str(room.room): room.numbers for room in rooms if room.organisation == organisation
            }
            await audit.append(
                connection,
                organisation,
                actor="command line",
                action="restore_backup",
                sale=None,
                details={
                    "moment": self._manifest.facts.moment.isoformat(),
                    "passed_over": passed_over,
                },
                now=now,
            )


async def _raise(connection: AsyncConnection, room: Raise, moment: datetime, now: datetime) -> None:
    if room.numbers == 0:
        return
    await connection.execute(
        QUERIES["pass_numbers_over"],
        {
            "organisation": room.organisation,
            "room": room.room,
            "margin": room.numbers,
            "serving": room.serving,
            "moment": moment,
            "now": now,
        },
    )


async def _check_empty(connection: AsyncConnection, place: str) -> int:
    """The major version of an empty database.

    Raises:
        BackupError: something lies in it.
    """
    found = (await connection.execute(QUERIES["count_relations"])).one()
    if found.relations:
        raise BackupError(
            f"{place} is not empty ({found.relations} tables and the like, {found.one_of_them} one"
            " of them): restore fills an empty one. Make one (createdb), or empty this one"
            " yourself, also when a restore was cut off"
        )
    return int(found.major)


def _dumped_by(manifest: Manifest, major: int) -> int:
    dumped_by = int(manifest.pg_dump.split(".")[0])
    if dumped_by > major:
        raise BackupError(
            f"the backup was made with PostgreSQL {dumped_by}, and this is {major}:"
            f" restore it into PostgreSQL {dumped_by} or newer"
        )
    return dumped_by


async def _run_pg_restore(tool: PostgresTool, target: ToolTarget, dump: IO[bytes]) -> None:
    listed = await run_tool(tool, ["--list"], target.environment, reads=dump)
    wanted = [line for line in listed.splitlines() if not _is_left_out(line)]
    with tempfile.NamedTemporaryFile("w", prefix="sunseo-restore-", encoding="utf-8") as file:
        file.write("\n".join(wanted) + "\n")
        file.flush()
        arguments = [
            *("--dbname", target.conninfo, "--use-list", file.name, "--single-transaction"),
            *("--exit-on-error", "--no-owner", "--no-acl", "--no-password"),
        ]
        await run_tool(tool, arguments, target.environment, reads=dump)


def _is_left_out(line: str) -> bool:
    """Whether an entry of a dump's list, `1; 2 3 KIND schema name owner`, is not brought back."""
    if line.startswith(";"):
        return False
    told = line.split(" ", 3)[-1]
    return told.startswith(LEFT_OUT) or SIGNATURE.match(told) is not None
