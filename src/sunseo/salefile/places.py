"""Where in a TOML file each key and value stands.

The parser says what a file means, and where it is no TOML; it does not say where a value came
from. This walks over a text that the parser has taken, and so has nothing to refuse.
"""

import re
from typing import NamedTuple, TypeAlias

import tomli

Path: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TEXTS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"(?!"""))?"?', re.DOTALL),
    re.compile(r"'''.*?'''(?:'(?!'''))?'?", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)
_OTHER = re.compile(r"[^\s,#\]}]+(?: [0-9]{2}:[^\s,#\]}]+)?")  # a time may follow a blank


class Position(NamedTuple):
    """Counted from one, columns in characters."""

    line: int
    column: int


class Positions(NamedTuple):
    """By paths such as `("stocks", 0, "name")`; a table's key is its header."""

    keys: dict[Path, Position]
    values: dict[Path, Position]

    def of_key(self, path: Path) -> Position:
        """The key's own, or that of the nearest table around it that is written down."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, Position(1, 1))

    def of_value(self, path: Path) -> Position:
        return self.values.get(path) or self.of_key(path)


def positions_in(text: str) -> Positions:
    """Find the positions in a text that is TOML."""
    walk = _Walk(text)
    walk.document()
    return walk.found


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._line_at = 1, 0
        self._tables: dict[Path, int] = {}  # how many an array of tables has
        self.found = Positions({}, {})

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        here = self._position()
        of_array = self._text.startswith("[[", self._at)
        self._at += 2 if of_array else 1
        path: Path = ()
        names = self._key()
        for name in names[:-1]:
            path = self._last((*path, name))
        path = (*path, names[-1])
        if of_array:
            self._tables[path] = self._tables.get(path, -1) + 1
            self.found.keys.setdefault(path, here)
        path = self._last(path)
        self.found.keys[path] = here
        self._skip(_SPACE)
        self._at += 2 if of_array else 1
        return path

    def _last(self, path: Path) -> Path:
        return (*path, self._tables[path]) if path in self._tables else path

    def _pair(self, table: Path) -> None:
        here = self._position()
        path = table
        for name in self._key():
            path = (*path, name)
            self.found.keys.setdefault(path, here)
        self._skip(_SPACE)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            bare = _BARE_KEY.match(self._text, self._at)
            raw = bare[0] if bare else self._quoted()
            names.append(raw if bare else tomli.loads(f"key = {raw}")["key"])
            self._at += len(raw)
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self, path: Path) -> None:
        self.found.values[path] = self._position()
        opening = self._text[self._at]
        if opening == "[":
            self._list(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in "\"'":
            self._at += len(self._quoted())
        else:
            self._skip(_OTHER)

    def _list(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._text[self._skip(_BLANK)] != "]":
            self._value((*path, index))
            index += 1
            self._comma()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._text[self._skip(_BLANK)] != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        if self._text[self._skip(_BLANK)] == ",":
            self._at += 1

    def _quoted(self) -> str:
        found = (pattern.match(self._text, self._at) for pattern in _TEXTS)
        return next(match[0] for match in found if match)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()
        return self._at

    def _position(self) -> Position:
        lines = self._text.count("\n", self._line_at, self._at)
        if lines:
            self._line += lines
            self._line_at = self._text.rindex("\n", 0, self._at) + 1
        return Position(self._line, self._at - self._line_at + 1)
