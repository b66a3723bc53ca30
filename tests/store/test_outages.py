"""Whatever PostgreSQL is in, every route answers 503 with Retry-After, and heals by itself."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from sunseo import wiring
from sunseo.operators.keys import create_key
from sunseo.postgres import pool
from sunseo.postgres.connection import ConnectionLimits
from sunseo.postgres.embedded import EmbeddedServer
from sunseo.postgres.embedded.config import HBA
from sunseo.postgres.errors import Trouble
from sunseo.postgres.migrate import upgrade
from sunseo.web.endpoint import Endpoint
from tests.asgi import Response, ask
from tests.own_postgres import OwnPostgres, own_postgres
from tests.store.whole_worker import WholeWorker, open_worker

ASK_NOTHING = {
    "create_guest",
    "give_nonce",
    "live",
    "metrics",
    "read_challenge",
    "read_room_asset",
    "read_room_keys",
    "read_room_script",
    "read_room_state",
}
"""Routes that need no database: they answer as ever."""

UNENDING = {"listen_to_room"}
"""A stream from memory, which begins whatever becomes of the database."""

WRITE_NOTHING = {"enter_by_page", "enter_room", "reset_room", "revoke_pass"}
"""What is asked of these here is there already, a dry run, or about something unknown."""

ALL, WRITES, SOME = "all", "writes", "some"

ON_EVERY_WRITE = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$;
DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TRIGGER spoil BEFORE INSERT OR UPDATE OR DELETE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION spoil()', t);
    END LOOP;
END $$
"""
ON_EACH_TABLE = """
DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('{statement}', t);
    END LOOP;
END $$
"""
NO_LONGER = "DROP FUNCTION spoil() CASCADE"
SEND_ALL_AWAY = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{db}'"
SEND_AWAY = (SEND_ALL_AWAY, SEND_ALL_AWAY)


class State(NamedTuple):
    """What PostgreSQL is put into, from the maintenance database or from inside, and out of again.

    Attributes:
        hits: which routes cannot be answered.
        trouble: as it is told, where a route's own lane does not answer "outcome unknown".
        is_ready: whether `/readyz` cannot see it.
    """

    trouble: Trouble
    hits: str = ALL
    outside: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    back_outside: tuple[str, ...] = ()
    back_inside: tuple[str, ...] = ()
    is_ready: bool = False


def spoiled(trouble: Trouble, what: str) -> State:
    """Every statement that writes ends like this."""
    spoil = ON_EVERY_WRITE.replace("{what}", what)
    return State(trouble, WRITES, inside=(spoil,), back_inside=(NO_LONGER,), is_ready=True)


def each_table(statement: str) -> str:
    return ON_EACH_TABLE.replace("{statement}", statement)


STATES = {
    "no such database": State(
        Trouble.SHUT_OUT,
        outside=(
            "ALTER DATABASE {db} ALLOW_CONNECTIONS false",
            *SEND_AWAY,
            "ALTER DATABASE {db} RENAME TO {db}_gone",
        ),
        back_outside=(
            "ALTER DATABASE {db}_gone RENAME TO {db}",
            "ALTER DATABASE {db} ALLOW_CONNECTIONS true",
        ),
    ),
    "no connections to the database": State(
        Trouble.TAKES_NOBODY,
        outside=("ALTER DATABASE {db} ALLOW_CONNECTIONS false", *SEND_AWAY),
        back_outside=("ALTER DATABASE {db} ALLOW_CONNECTIONS true",),
    ),
    "the role may not log in": State(
        Trouble.SHUT_OUT,
        outside=("ALTER ROLE sunseo NOLOGIN", *SEND_AWAY),
        back_outside=("ALTER ROLE sunseo LOGIN",),
    ),
    "no rights on the tables": State(
        Trouble.SHUT_OUT,
        inside=(each_table("REVOKE ALL ON %I FROM sunseo"),),
        back_inside=(each_table("GRANT ALL ON %I TO sunseo"),),
    ),
    "no connection free": State(
        Trouble.NO_CONNECTION_FREE,
        outside=("ALTER DATABASE {db} CONNECTION LIMIT 0", *SEND_AWAY),
        back_outside=("ALTER DATABASE {db} CONNECTION LIMIT -1",),
    ),
    "set to read only": State(
        Trouble.READ_ONLY,
        WRITES,
        outside=("ALTER DATABASE {db} SET default_transaction_read_only = on", *SEND_AWAY),
        back_outside=("ALTER DATABASE {db} RESET default_transaction_read_only",),
    ),
    "tables are missing": State(
        Trouble.OLD_SCHEMA,
        inside=("ALTER SCHEMA public RENAME TO hidden", "CREATE SCHEMA public"),
        back_inside=("DROP SCHEMA public", "ALTER SCHEMA hidden RENAME TO public"),
    ),
    "columns are missing": State(
        Trouble.OLD_SCHEMA,
        SOME,
        inside=(
            "ALTER TABLE sales RENAME paused TO was_paused",
            "ALTER TABLE room_lines RENAME departed TO was_departed",
        ),
        back_inside=(
            "ALTER TABLE sales RENAME was_paused TO paused",
            "ALTER TABLE room_lines RENAME was_departed TO departed",
        ),
        is_ready=True,
    ),
    "killed in mid statement": spoiled(
        Trouble.UNREACHABLE, "PERFORM pg_terminate_backend(pg_backend_pid())"
    ),
    "statements are cancelled": spoiled(
        Trouble.BUSY, "PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60)"
    ),
    "the disk is full": spoiled(Trouble.FULL, "RAISE EXCEPTION USING ERRCODE = '53100'"),
}


@pytest.mark.parametrize("name", STATES)
async def test_every_route_answers_503_while_postgresql_is_not_itself(
    name: str,
    postgres_server: EmbeddedServer,
    database_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No route answers 500, those that need what is missing 503, and all are well right after."""
    state = STATES[name]
    db = database_dsn.partition("@/")[2].partition("?")[0]
    outside = postgres_server.admin_dsn
    inside = outside.replace("@/postgres?", f"@/{db}?")
    async with open_worker(database_dsn, tmp_path, monkeypatch) as whole:
        await execute(inside, *state.inside)
        await execute(outside, *(line.format(db=db) for line in state.outside))
        try:
            await look_at_all(whole, state)
        finally:
            await execute(outside, *(line.format(db=db) for line in state.back_outside))
            await execute(inside, *state.back_inside)
        await all_is_well(whole)


async def test_every_route_answers_503_while_tables_are_locked(
    postgres_server: EmbeddedServer,
    database_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever does not get a lock in time is told to come again, and does not wait for longer."""
    monkeypatch.setattr(pool, "LOCK_TIMEOUT_S", 0.02)
    impatient = partial(ConnectionLimits, lock_timeout_s=0.02)
    monkeypatch.setattr(wiring, "ConnectionLimits", impatient)
    db = database_dsn.partition("@/")[2].partition("?")[0]
    blocker = await asyncpg.connect(postgres_server.admin_dsn.replace("@/postgres?", f"@/{db}?"))
    async with open_worker(database_dsn, tmp_path, monkeypatch) as whole:
        try:
            async with blocker.transaction():
                await blocker.execute(each_table("LOCK TABLE %I IN ACCESS EXCLUSIVE MODE"))
                await look_at_all(whole, State(Trouble.BUSY))
        finally:
            await blocker.close()
        await all_is_well(whole)


async def test_every_cold_route_answers_503_while_all_connections_are_in_use(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports that take all connections leave the lanes alone, and nobody gets a 500."""
    async with open_worker(database_dsn, tmp_path, monkeypatch) as whole:
        engine = whole.worker._engine
        monkeypatch.setattr(engine.pool, "_timeout", 0.02)
        async with AsyncExitStack() as reports:
            for _ in range(pool.COLD_POOL_SIZE):
                await reports.enter_async_context(engine.connect())
            await look_at_all(whole, State(Trouble.NO_CONNECTION_FREE, SOME))
            assert (await whole.ask("create_sale")).status == 503
            assert (await whole.ask("list_holds")).status == 503
            assert (await whole.ask("place_hold")).status in (200, 201)
        await all_is_well(whole)


async def test_an_operator_key_that_cannot_be_looked_up_is_no_wrong_key(
    database_dsn: str, tmp_path: Path, postgres_server: EmbeddedServer
) -> None:
    """While keys cannot be read, operators get 503 and not 401; then the key counts again."""
    engine = pool.create_cold_engine(database_dsn)
    key = await create_key(engine, 1, "of this test")
    await engine.dispose()
    db = database_dsn.partition("@/")[2].partition("?")[0]
    inside = postgres_server.admin_dsn.replace("@/postgres?", f"@/{db}?")
    whole = WholeWorker(database_dsn, tmp_path)
    headers = {"authorization": f"Bearer {key}"}
    try:
        await execute(inside, "ALTER TABLE operator_keys RENAME TO elsewhere")
        hidden = await ask(whole.app, "GET", "/v1/rooms", headers=headers)
        await execute(inside, "ALTER TABLE elsewhere RENAME TO operator_keys")
        found = await ask(whole.app, "GET", "/v1/rooms", headers=headers)
    finally:
        await whole.worker._urgent_engine.dispose()
        await whole.worker._engine.dispose()

    assert (hidden.status, hidden.json["detail"]) == (503, Trouble.OLD_SCHEMA.value)
    assert found.status == 200


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    """A server that may be stopped, with the newest schema; it runs when a test begins."""
    with own_postgres(tmp_path_factory.mktemp("own")) as server:
        server.start()
        upgrade(server.dsn())
        yield server


@asynccontextmanager
async def stopped(own: OwnPostgres) -> AsyncIterator[None]:
    own.stop()
    yield
    own.start()


@asynccontextmanager
async def taking_nobody(own: OwnPostgres) -> AsyncIterator[None]:
    """As during crash recovery, only for longer: a standby that is not a hot one."""
    await execute(own.admin_dsn, "ALTER SYSTEM SET hot_standby = off")
    own.stop()
    own.mark(STANDBY, there=True)
    own.start(ready=False)
    yield
    own.stop()
    own.mark(STANDBY, there=False)
    own.start()
    await execute(own.admin_dsn, "ALTER SYSTEM RESET hot_standby")


@asynccontextmanager
async def standby(own: OwnPostgres) -> AsyncIterator[None]:
    """A hot standby, as after a failover that went to the wrong server; then it is promoted."""
    own.stop()
    own.mark(STANDBY, there=True)
    own.start()
    yield
    await execute(own.admin_dsn, "SELECT pg_promote(wait => true)")


@asynccontextmanager
async def wrong_password(own: OwnPostgres) -> AsyncIterator[None]:
    """A password is asked for that is another one than ours, which is none."""
    await execute(own.admin_dsn, "ALTER ROLE sunseo PASSWORD 'another one'")
    path = own.cluster / HBA
    before = path.read_text("utf-8")
    # A server that is only told to read its rules anew does so a moment later.
    own.stop()
    path.write_text(f"local all sunseo scram-sha-256\n{before}", "utf-8")
    own.start()
    yield
    own.stop()
    path.write_text(before, "utf-8")
    own.start()


STANDBY = "standby.signal"


@pytest.mark.parametrize(
    ("enter", "state"),
    [
        (stopped, State(Trouble.UNREACHABLE)),
        (taking_nobody, State(Trouble.TAKES_NOBODY)),
        (standby, State(Trouble.READ_ONLY, WRITES)),
        (wrong_password, State(Trouble.SHUT_OUT)),
    ],
)
async def test_every_route_answers_503_while_the_server_is_away(
    enter: Callable[[OwnPostgres], AbstractAsyncContextManager[None]],
    state: State,
    own: OwnPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped, recovering, a standby, or one that asks for a password that we do not have."""
    async with open_worker(own.dsn(), tmp_path, monkeypatch) as whole:
        async with enter(own):
            await look_at_all(whole, state)
        await all_is_well(whole)


async def look_at_all(whole: WholeWorker, state: State) -> None:
    wrong = []
    for name, endpoint in whole.endpoints.items():
        if name in UNENDING:
            continue
        answer = await whole.ask(name)
        if reason := fault_in(answer, state, must=state.hits != SOME and hits(state, endpoint)):
            wrong.append(f"{name}: {reason}: {answer.status} {answer.body[-300:]!r}")
    assert not wrong, "\n".join(wrong)


def hits(state: State, endpoint: Endpoint) -> bool:
    if endpoint.name in ASK_NOTHING:
        return False
    if endpoint.name == "ready":
        return not state.is_ready
    if state.hits == WRITES:
        return endpoint.method != "GET" and endpoint.name not in WRITE_NOTHING
    return True


def fault_in(answer: Response, state: State, *, must: bool) -> str | None:
    """What is wrong with an answer; none if it is as it should be."""
    if answer.status != 503:
        return "not 503" if must or answer.status >= 500 else None
    if not answer.headers.get("retry-after", "").isdecimal():
        return "no Retry-After"
    if b'"outcome":"unavailable"' in answer.body and answer.json["detail"] != state.trouble.value:
        return "another trouble"
    if b'"ready":false' in answer.body and answer.json["checks"]["database"] != state.trouble.value:
        return "another trouble"
    return None


async def all_is_well(whole: WholeWorker) -> None:
    """At the first time of asking: nothing of the outage is left in any connection."""
    for name in whole.endpoints.keys() - UNENDING:
        answer = await whole.ask(name)
        assert answer.status < 500, (name, answer)


async def execute(dsn: str, *statements: str) -> None:
    if statements:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()
