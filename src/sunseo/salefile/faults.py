"""What is wrong with a file, where, and what would be right."""

import re
from difflib import get_close_matches
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from sunseo.core.errors import OneLineError
from sunseo.salefile.places import Path, Position, Positions

S = TypeVar("S", bound=msgspec.Struct)

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "array": "a list in brackets",
    "datetime": "a date and time, such as 2037-05-01T19:00:00",
    "decimal": "an amount of money",
    "object": "a table",
    "null": "nothing",
    "bool": "true or false",
}
_EXPECTED = re.compile(r"^Expected `(?P<what>[^`]*)`(?P<bound>.*?)(?:, got `(?P<got>[^`]*)`)?$")
_ENUM = re.compile(r"^Invalid enum value .*$", re.DOTALL)
_SLUG = "small letters and digits with single hyphens, such as spring-2037"


class FileFault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong."""

    line: int
    column: int
    wrong: str
    right: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.wrong}. Right would be: {self.right}."


class SaleFileError(OneLineError):
    """A file that says no sale; nothing was done with it.

    Attributes:
        faults: all that were found, in the order of the file.
    """

    def __init__(self, file: str, faults: list[FileFault]) -> None:
        self.faults = sorted(faults)
        lines = [f"{file}:{fault}" for fault in self.faults]
        super().__init__("\n".join([*lines, "Nothing was done."]))


class FaultFinder:
    """Gathers faults of one file."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.faults: list[FileFault] = []

    def at_key(self, path: Path, wrong: str, right: str) -> None:
        self._add(self._positions.of_key(path), wrong, right)

    def at_value(self, path: Path, wrong: str, right: str) -> None:
        self._add(self._positions.of_value(path), wrong, right)

    def line_of(self, path: Path) -> int:
        return self._positions.of_value(path).line

    def read(self, table: Any, struct: type[S], path: Path = ()) -> S | None:
        """Make a struct of a table, field by field, so that all faults are found at once."""
        if not isinstance(table, dict):
            self.at_value(path, f"{_shown(path)} is no table", "keys with values")
            return None
        hints = get_type_hints(struct, include_extras=True)
        for key in table.keys() - hints.keys():
            near = get_close_matches(key, hints, 1)
            right = near[0] if near else "one of " + ", ".join(hints)
            self.at_key((*path, key), f"there is no key {key!r} here", right)
        before = len(self.faults)
        fields = {}
        for field in msgspec.structs.fields(struct):
            where = (*path, field.name)
            if field.name in table:
                fields[field.name] = self._field(table[field.name], hints[field.name], where)
            elif field.required:
                self.at_key(where, f"{field.name} is missing", f"{field.name} = …")
        return struct(**fields) if len(self.faults) == before else None

    def _field(self, value: Any, hint: Any, path: Path) -> Any:
        inner = _struct_in(hint)
        if inner is not None and isinstance(value, list):
            return tuple(self.read(one, inner, (*path, n)) for n, one in enumerate(value))
        if inner is not None and isinstance(value, dict) and hint is inner:
            return self.read(value, inner, path)
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            self.at_value(path, f"{_shown(path)} cannot be {_written(value)}", _right(error, hint))
            return None

    def _add(self, position: Position, wrong: str, right: str) -> None:
        self.faults.append(FileFault(position.line, position.column, wrong, right))


def _struct_in(hint: Any) -> Any:
    """The struct that a field is, or is a list of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    inside = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for one in inside:
        arguments = get_args(one)
        if len(arguments) == 2 and arguments[1] is ...:
            kind = arguments[0]
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                return kind
    return None


def _shown(path: Path) -> str:
    return str(path[-1]) if path and isinstance(path[-1], str) else "this"


def _written(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _right(error: msgspec.ValidationError, hint: Any) -> str:
    claim = str(error).partition(" - at ")[0]
    if _ENUM.match(claim):
        kinds = get_args(hint)
        literals = [k for k in kinds if isinstance(k, str)] or [
            k for one in kinds for k in get_args(one) if isinstance(k, str)
        ]
        return "one of " + ", ".join(literals)
    if "matching regex" in claim:
        return _SLUG if "a-z0-9" in claim else "a text that is not blank"
    if "RFC3339" in claim:
        return _WORDS["datetime"]
    if match := _EXPECTED.match(claim):
        words = [_WORDS.get(w.strip(), w.strip()) for w in match["what"].split("|")]
        words = [word for word in words if word != "nothing"]
        return " or ".join(words) + match["bound"]
    return claim
