"""How much of the tables a statement really touches, by the server's own account."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

_REMOVED = (
    "Rows Removed by Filter",
    "Rows Removed by Index Recheck",
    "Rows Removed by Join Filter",
)


class Touched(msgspec.Struct, frozen=True):
    """What one execution read: rows looked at (kept or thrown away), and pages."""

    rows: float
    pages: int
    plan: str


class Prepared:
    """Statements of one connection, prepared once and then kept, as a lane keeps them."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def prepare(self, name: str, query: str) -> None:
        await self._connection.execute(f"PREPARE {name} AS {query}")

    async def plan(self, name: str, arguments: Sequence[Any]) -> None:
        """Make the plan now, without running it; from here on it is kept while statistics are."""
        await self._connection.execute(f"EXPLAIN EXECUTE {name}{_call(arguments)}")

    async def run(self, name: str, arguments: Sequence[Any]) -> Touched:
        """Run it and roll back."""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            told = await self._connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, FORMAT JSON)"
                f" EXECUTE {name}{_call(arguments)}"
            )
        finally:
            await transaction.rollback()
        top = msgspec.json.decode(told)[0]["Plan"]
        rows = sum(_rows_looked_at(node) for node in _nodes(top))
        pages = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
        return Touched(rows, pages, "\n".join(_outline(top)))


def _rows_looked_at(node: dict[str, Any]) -> float:
    loops = node["Actual Loops"]
    removed = sum(node.get(reason, 0) for reason in _REMOVED) * loops
    on_table = "Relation Name" in node or "Index Name" in node
    kept = node["Actual Rows"] * loops if on_table and "Scan" in node["Node Type"] else 0
    return float(removed + kept)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _outline(plan: dict[str, Any], depth: int = 0) -> Iterator[str]:
    on = plan.get("Index Name") or plan.get("Relation Name") or plan.get("Alias") or ""
    told = {key: plan[key] for key in ("Index Cond", "Filter", *_REMOVED) if plan.get(key)}
    count = f"{plan['Actual Rows']} x {plan['Actual Loops']}"
    yield f"{'  ' * depth}{plan['Node Type']} {on} {count} {told}"
    for child in plan.get("Plans", ()):
        yield from _outline(child, depth + 1)


def _call(arguments: Sequence[Any]) -> str:
    return f"({', '.join(map(_literal, arguments))})" if arguments else ""


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value)
    return "'" + _text(value).replace("'", "''") + "'"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "{" + ",".join("NULL" if one is None else _quoted(_text(one)) for one in value) + "}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | int | float | str):
        return str(value)
    raise TypeError(type(value))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def positional(query: str, names: Sequence[str]) -> str:
    """A cold statement with `:name` parameters as one with `$1` parameters, in this order."""
    numbers = {name: f"${place}" for place, name in enumerate(names, 1)}
    return re.sub(r"(?<![:\w]):([a-z_]+)", lambda found: numbers[found[1]], query)
