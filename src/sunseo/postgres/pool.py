"""The small pool for cold paths: set-up, operators, reports.

Guarantee   Cold reads and set-up can never starve a lane: they share no connection with one, the
            pool does not grow, and the server ends any statement that runs too long.
On failure  A caller that gets no connection in time is told so at once and holds nothing. What
            leaves a connection of no use (`errors`) has all of them made anew: the others were
            opened to the same server, in the same state.
"""

from sqlalchemy import QueuePool, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sunseo.postgres.address.address import read_address
from sunseo.postgres.connect import Connection, connect
from sunseo.postgres.errors import trouble_of

COLD = "sunseo cold"
"""What its connections are called, unless the user has a name for them."""

COLD_POOL_SIZE = 2  # a worker's cold work is rare; two let one slow report not block set-up
STATEMENT_TIMEOUT_S = 30.0  # set-up loads whole halls at once
LOCK_TIMEOUT_S = 5.0
CHECKOUT_TIMEOUT_S = 5.0


def create_cold_engine(
    dsn: str, *, size: int = COLD_POOL_SIZE, statement_timeout_s: float = STATEMENT_TIMEOUT_S
) -> AsyncEngine:
    """Make the engine of one process.

    Raises:
        AddressError: `dsn` is no connection string, or asks for what is not offered.
    """
    address = read_address(dsn)
    settings = {
        "statement_timeout": f"{statement_timeout_s * 1000:.0f}",
        "lock_timeout": f"{LOCK_TIMEOUT_S * 1000:.0f}",
        "idle_in_transaction_session_timeout": "60000",
        "jit": "off",
        # A plan that was made while a table was empty must not be kept when it is full.
        "plan_cache_mode": "force_custom_plan",
    }

    async def open_connection() -> Connection:
        return await connect(address, COLD, timeout_s=CHECKOUT_TIMEOUT_S, settings=settings)

    engine = create_async_engine(
        "postgresql+asyncpg://",  # where it is, and with which password, stays in the function
        async_creator=open_connection,
        pool_size=size,
        max_overflow=0,
        pool_timeout=CHECKOUT_TIMEOUT_S,
        hide_parameters=True,  # what fails is logged, and what it was about may be a secret
        pool_pre_ping=True,  # PostgreSQL may have been restarted between two operators' calls
    )
    event.listen(engine.sync_engine, "handle_error", _let_go)
    return engine


def open_connections(engine: AsyncEngine) -> int:
    """How many connections the engine's pool has open, busy or idle."""
    pool = engine.pool
    return pool.checkedin() + pool.checkedout() if isinstance(pool, QueuePool) else 0


def _let_go(context: ExceptionContext) -> None:
    """Have connections that are of no more use closed, which SQLAlchemy sees only of lost ones."""
    trouble = trouble_of(context.original_exception)
    if trouble is not None and trouble.goes_with_connection:
        context.is_disconnect = True
