"""A lane's connection in libpq's pipeline mode: the session that there is, or a new one.

State       DISCONNECTED until a session is asked for, CONNECTING, CONNECTED; DISCONNECTED again
            after the session has ended.
Guarantee   At most one session at a time, set up as `connection.session_settings` says. What is
            sent to a session that has ended fails: a transaction never goes on in another one.
Clock       Monotonic, for patience while connecting only.
On failure  Who asked for a session is told that nothing was done; who asks next tries again.
"""

import asyncio

import psycopg

from sunseo.postgres.address.address import read_address
from sunseo.postgres.connection import LANE, ConnectionLimits, session_settings
from sunseo.postgres.pipelined.lost import NothingDoneError
from sunseo.postgres.pipelined.session import PipelineSession

SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"


class PipelineConnection:
    """See the module. All of it belongs to one event loop."""

    def __init__(self, dsn: str, *, limits: ConnectionLimits | None = None) -> None:
        self._address = read_address(dsn)
        self._limits = limits or ConnectionLimits()
        self._session: PipelineSession | None = None
        self._connecting: asyncio.Task[PipelineSession] | None = None

    @property
    def is_connected(self) -> bool:
        return self._session is not None and self._session.is_alive

    async def session(self) -> PipelineSession:
        """The session that segments are sent to.

        Raises:
            NothingDoneError: it could not be made, or was dropped meanwhile.
        """
        if self._session is not None and self._session.is_alive:
            return self._session
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._connected)
        connecting = self._connecting
        await asyncio.wait({connecting})  # it goes on, should this caller go away
        if connecting.cancelled():
            raise NothingDoneError("the connection was dropped before it was made")
        if error := connecting.exception():
            raise NothingDoneError(f"not connected: {error}") from error
        return connecting.result()

    def drop(self) -> None:
        """Close at once: whatever runs on it fails."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        if self._session is not None:
            self._session.end(ConnectionAbortedError("it was dropped"))

    async def close(self) -> None:
        self.drop()

    def _connected(self, connecting: "asyncio.Task[PipelineSession]") -> None:
        if connecting is self._connecting:
            self._connecting = None
        if not connecting.cancelled() and connecting.exception() is None:
            self._session = connecting.result()

    async def _connect(self) -> PipelineSession:
        """Connect to the first host that answers, and set up the session.

        Raises:
            psycopg.Error, OSError, TimeoutError: it could not be done.
        """
        timeout_s = self._limits.connect_timeout_s
        told = self._address.for_psycopg(LANE, timeout_s=timeout_s)
        settings = session_settings(self._limits)
        async with asyncio.timeout(self._address.timeout_s(timeout_s) * len(self._address.hosts)):
            link = await psycopg.AsyncConnection.connect(told, autocommit=True)
            try:
                await link.execute(SET, [list(settings), list(settings.values())])
            except BaseException:
                link.pgconn.finish()
                raise
        return PipelineSession(link, keeps_statements=self._limits.statement_cache > 0)
