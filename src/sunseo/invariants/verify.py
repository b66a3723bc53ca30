"""Check every invariant of the list on live data.

State       None. It reads, and can run beside a sale.
Guarantee   What is said of a sale is true of one moment: all its invariants are checked in one
            REPEATABLE READ snapshot. What could not be checked is reported, and is not clean.
Clock       This process's own, to bound a snapshot to seconds: a long one keeps the database
            from cleaning up hot rows, which slows them to a third.
On failure  An invariant that fails or runs out of time leaves the others alone. A lost connection
            goes to the caller.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sunseo.invariants.audit_hashes import find_altered_entries
from sunseo.invariants.entries import INVARIANTS, Invariant, Scope
from sunseo.invariants.report import NotChecked, Report, Violation
from sunseo.invariants.room_settings import find_unreadable_rooms
from sunseo.postgres.queries import load_cold_queries

QUERIES = load_cold_queries("sunseo.invariants")

QUERY_CANCELED = "57014"
FAULTS = "/* faults */"
OUT_OF_TIME = "it ran out of time"


class UnknownSaleError(LookupError):
    """A sale was named that does not exist."""


class VerifyLimits(msgspec.Struct, frozen=True):
    statement_s: float = 10.0  # for one invariant
    snapshot_s: float = 30.0  # after that no invariant is begun in the same snapshot
    group_sales_max: int = 500  # small sales that share a snapshot …
    group_size_max: int = 50_000  # … as long as they have no more seats and changes than this
    rows_max: int = 20  # at fault, to be shown for each invariant and sale


class Progress(msgspec.Struct, frozen=True):
    """Checks done, of how many, and what is being checked now."""

    done: int
    total: int
    invariant: str


async def verify(
    engine: AsyncEngine,
    organisation: int,
    sales: Sequence[int] | None = None,
    *,
    limits: VerifyLimits | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> Report:
    """Check all sales and what concerns the organisation as a whole, or only the sales named.

    Raises:
        UnknownSaleError: a sale was named that does not exist.
    """
    limits = limits or VerifyLimits()
    started = time.monotonic()
    sizes = await _read_sizes(engine, organisation, sales)
    passes: list[tuple[Scope, list[int]]] = [
        (Scope.SALE, group) for group in group_sales(sizes, limits)
    ]
    if sales is None:
        passes.append((Scope.ORGANISATION, []))

    findings = _Findings(sum(len(_within(scope)) for scope, _ in passes), on_progress)
    for scope, group in passes:
        async with _snapshot(engine, limits) as connection:
            await _Pass(connection, organisation, group, limits, findings).run(_within(scope))
    findings.tell("")
    return Report(
        clean=not findings.violations and not findings.not_checked,
        organisation=organisation,
        sales=len(sizes),
        checked=[
            invariant.name
            for invariant in INVARIANTS
            if any(scope is invariant.scope for scope, _ in passes)
            and all(name != invariant.name for name, _ in findings.not_checked)
        ],
        violations=findings.violations,
        not_checked=[
            NotChecked(name, missed, reason)
            for (name, reason), missed in findings.not_checked.items()
        ],
        seconds=round(time.monotonic() - started, 3),
    )


def group_sales(sizes: Mapping[int, int], limits: VerifyLimits) -> Iterable[list[int]]:
    """Put small sales together, so that thousands of them take no longer than a large one."""
    group: list[int] = []
    group_size = 0
    for sale, size in sizes.items():
        is_full = len(group) == limits.group_sales_max
        if group and (is_full or group_size + size > limits.group_size_max):
            yield group
            group, group_size = [], 0
        group.append(sale)
        group_size += size
    if group:
        yield group


class _Findings:
    """What has been found so far."""

    def __init__(self, checks: int, on_progress: Callable[[Progress], None]) -> None:
        self.violations: list[Violation] = []
        self.not_checked: dict[tuple[str, str], list[int]] = {}
        self._checks = checks
        self._done = 0
        self._on_progress = on_progress

    def tell(self, invariant: str) -> None:
        self._on_progress(Progress(self._done, self._checks, invariant))

    def step(self) -> None:
        self._done += 1

    def miss(self, invariant: Invariant, sales: list[int], reason: str) -> None:
        self.not_checked.setdefault((invariant.name, reason), []).extend(sales)


class _Pass:
    """All invariants of one scope, in one snapshot."""

    def __init__(
        self,
        connection: AsyncConnection,
        organisation: int,
        sales: list[int],
        limits: VerifyLimits,
        findings: _Findings,
    ) -> None:
        self._connection = connection
        self._organisation = organisation
        self._sales = sales
        self._limits = limits
        self._findings = findings
        self._began = time.monotonic()

    async def run(self, invariants: Iterable[Invariant]) -> None:
        for invariant in invariants:
            self._findings.tell(invariant.name)
            if self._is_late():
                self._findings.miss(invariant, self._sales, OUT_OF_TIME)
            else:
                await self._check(invariant)
            self._findings.step()

    def _is_late(self) -> bool:
        return time.monotonic() - self._began > self._limits.snapshot_s

    async def _check(self, invariant: Invariant) -> None:
        try:
            async with self._connection.begin_nested():  # the snapshot outlives a failure
                violations = await self._find(invariant)
        except TimeoutError:
            self._findings.miss(invariant, self._sales, OUT_OF_TIME)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            self._findings.miss(invariant, self._sales, _reason_of(error))
        else:
            self._findings.violations.extend(violations)

    async def _find(self, invariant: Invariant) -> list[Violation]:
        rows_max = self._limits.rows_max
        if invariant.in_python:
            rows, total = await _IN_PYTHON[invariant.name](
                self._connection, self._organisation, rows_max, self._is_late
            )
            return _violations(invariant, [(None, total, row) for row in rows])

        parameters: dict[str, Any] = {"organisation": self._organisation, "rows_max": rows_max}
        if invariant.scope is Scope.SALE:
            parameters["sales"] = self._sales
        found = await self._connection.execute(_BOUNDED[invariant.name], parameters)
        return _violations(invariant, [(row.sale, row.total, row.fault) for row in found])


@asynccontextmanager
async def _snapshot(engine: AsyncEngine, limits: VerifyLimits) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        await connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        async with connection.begin():
            await connection.execute(
                QUERIES["bound_transaction"], {"statement_ms": f"{limits.statement_s * 1000:.0f}"}
            )
            yield connection


async def _read_sizes(
    engine: AsyncEngine, organisation: int, sales: Sequence[int] | None
) -> dict[int, int]:
    """Tell how large each sale is, in the order of their numbers."""
    asked = None if sales is None else sorted(set(sales))
    async with engine.connect() as connection:
        found = await connection.execute(
            QUERIES["list_sales"], {"organisation": organisation, "sales": asked}
        )
        sizes: dict[int, int] = {row.sale: row.size for row in found}
    if unknown := [sale for sale in asked or () if sale not in sizes]:
        raise UnknownSaleError(
            f"Organisation {organisation} has no sale {', '.join(map(str, unknown))}."
        )
    return sizes


def _within(scope: Scope) -> list[Invariant]:
    return [invariant for invariant in INVARIANTS if invariant.scope is scope]


def _bounded(query: TextClause) -> TextClause:
    """Wrap a statement: of each sale the first few rows at fault, and how many there are."""
    return text(QUERIES["bound_faults"].text.replace(FAULTS, query.text))


_IN_PYTHON = {
    "audit-log-hashes": find_altered_entries,
    "room-settings": find_unreadable_rooms,
}
_BOUNDED = {
    invariant.name: _bounded(QUERIES[invariant.query])
    for invariant in INVARIANTS
    if not invariant.in_python
}


def _violations(
    invariant: Invariant, faults: Iterable[tuple[int | None, int, dict[str, Any]]]
) -> list[Violation]:
    """Gather rows at fault, which come sale by sale."""
    violations: dict[int | None, Violation] = {}
    for sale, total, row in faults:
        if sale not in violations:
            violations[sale] = Violation(invariant.name, sale, invariant.sentence, [], total)
        violations[sale].rows.append({name: row[name] for name in row if name != "sale"})
    return list(violations.values())


def _reason_of(error: DBAPIError) -> str:
    if getattr(error.orig, "sqlstate", None) == QUERY_CANCELED:
        return OUT_OF_TIME
    return str(error.orig).splitlines()[0]
