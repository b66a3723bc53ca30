"""What libpq has received, as columns of Python's values, and as errors of the house.

All results are asked for in binary, and psycopg's decoder in C makes whole rows of them. Measured
for 400 rows on a busy machine (ns a value): integers 26, UUIDs 82, times 115, small arrays 73; by
`struct` over a joined column integers took 96, and from text 110 to 350.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg
from psycopg import abc, adapters
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult
from psycopg.types.string import TextBinaryLoader

Decoder: TypeAlias = abc.Transformer

_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_ABORTED = ExecStatus.PIPELINE_ABORTED
_ASKED = {field: chr(field) for field in DiagnosticField}
"""The fields of an error, and the letters that the protocol has for them."""


class _Context:
    """What psycopg's decoder needs to know of a connection: nothing, all that we ask is binary."""

    def __init__(self) -> None:
        self.adapters = AdaptersMap(adapters)
        self.connection = None
        # Whoever reads a document knows its type: it is handed over as the text that it is.
        self.adapters.register_loader("json", TextBinaryLoader)
        self.adapters.register_loader("jsonb", _JsonbLoader)


class _JsonbLoader(Loader):
    format = Format.BINARY

    def load(self, data: abc.Buffer) -> str:
        return bytes(data[1:]).decode()  # behind a byte that tells the version


def decoder() -> Decoder:
    """Make what decodes the answers of one connection, one after the other."""
    made: Decoder = Transformer(_Context())
    return made


class ColumnResult:
    """What one statement answered, by columns; decoded when it is first looked at."""

    __slots__ = ("_columns", "_decoder", "_names", "_result")

    def __init__(self, result: PGresult, decoder: Decoder) -> None:
        self._result = result
        self._decoder = decoder
        self._columns: dict[str, tuple[Any, ...]] | None = None
        self._names: list[str] = []

    @property
    def tag(self) -> str:
        """The server's word for what was done."""
        return (self._result.command_status or b"").decode()

    def __len__(self) -> int:
        return self._result.ntuples

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        """One column, from the first row to the last."""
        return self._decoded()[name]

    def rows(self) -> list[dict[str, Any]]:
        """All of it by rows, for what is rare or wide."""
        columns = self._decoded()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _decoded(self) -> dict[str, tuple[Any, ...]]:
        if self._columns is None:
            result, count = self._result, self._result.ntuples
            self._decoder.set_pgresult(result)
            rows = self._decoder.load_rows(0, count, tuple)
            columns = zip(*rows, strict=True) if rows else [()] * result.nfields
            names = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
            self._columns = dict(zip(names, columns, strict=True))
        return self._columns


class NothingToDo:
    """The answer to what need not be sent."""

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def __len__(self) -> int:
        return 0

    def __getitem__(self, name: str) -> Sequence[Any]:
        raise KeyError(name)

    def rows(self) -> list[dict[str, Any]]:
        return []


def is_done(result: PGresult) -> bool:
    return result.status in _DONE


def is_skipped(result: PGresult) -> bool:
    """Whether the statement was not run since one before it in its segment has failed."""
    return result.status == _ABORTED


def sqlstate_of(result: PGresult) -> str | None:
    """The server's code for an error or a notice; none where libpq speaks for itself."""
    state = result.error_field(DiagnosticField.SQLSTATE)
    return None if state is None else state.decode()


def error_of(result: PGresult) -> asyncpg.PostgresError:
    """Put a server's error as the house knows it from its other driver, fields and all.

    So what it means is decided in one place (`errors`), whichever connection it came over.
    """
    told = {
        letter: value.decode(errors="replace")
        for field, letter in _ASKED.items()
        if (value := result.error_field(field)) is not None
    }
    error: asyncpg.PostgresError = asyncpg.PostgresError.new(told)
    return error


def is_last_word(result: PGresult) -> bool:
    """Whether a result is libpq's own, which has lost the connection or its thread."""
    return not is_done(result) and not is_skipped(result) and sqlstate_of(result) is None
