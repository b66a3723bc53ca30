"""Path templates: `/v1/sales/{sale:int}/holds/{hold:uuid}`.

Starlette compiles the template; which template a path belongs to is looked up by its number of
segments and its last one, so that a request is matched against one or two expressions, not against
every route in turn.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sunseo.core.fields import INT64_MAX
from sunseo.web.problems import NO_SUCH_PATH, ProblemError

T = TypeVar("T")

_PARAMETER = re.compile(r"\{(?P<name>[a-z_]+):(?P<kind>int|uuid|str)\}")
_ANY_BRACE = re.compile(r"[{}]")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REMEMBERED_MAX = 8192  # paths, about 5 MB of them: one for each of many sales
REMEMBERED_LENGTH_MAX = 100  # characters
TEXT_MAX = 100  # characters of a `str` parameter; all of them are short codes


class BadTemplateError(ValueError):
    """A path template that cannot be served; the server does not start."""


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or len(text) > 19:
        return None
    number = int(text)
    return number if number <= INT64_MAX else None


def _uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID.fullmatch(text) else None


def _text(text: str) -> str | None:
    return text if len(text) <= TEXT_MAX and text.isprintable() else None


class _Kind(NamedTuple):
    convert: Callable[[str], Any]
    expected: str
    schema: dict[str, Any]


KINDS: Mapping[str, _Kind] = {
    "int": _Kind(
        _number,
        "a whole number from 1 to 9223372036854775807, without leading zeros",
        {"type": "integer", "format": "int64", "minimum": 1, "maximum": INT64_MAX},
    ),
    "uuid": _Kind(
        _uuid,
        "a UUID in lower case such as 0f8fad5b-d9cb-469f-a165-70867728950e",
        {"type": "string", "format": "uuid"},
    ),
    "str": _Kind(
        _text,
        f"a text of at most {TEXT_MAX} printable characters",
        {"type": "string", "minLength": 1, "maxLength": TEXT_MAX},
    ),
}


class Template:
    """One path template, compiled."""

    def __init__(self, path: str) -> None:
        self.kinds: dict[str, _Kind] = {
            match["name"]: KINDS[match["kind"]] for match in _PARAMETER.finditer(path)
        }
        self.path = _PARAMETER.sub(r"{\g<name>}", path)
        literal = _PARAMETER.sub("", path)
        if not path.startswith("/") or _ANY_BRACE.search(literal):
            raise BadTemplateError(
                f"{path}: parameters are {{name:int}}, {{name:uuid}}, {{name:str}}"
            )
        if path != "/" and path.endswith("/"):
            raise BadTemplateError(f"{path}: paths do not end in a slash")
        # Starlette compiles the expression and refuses repeated names; `fullmatch` on it closes
        # the gap that `$` leaves for a trailing newline.
        self._match = Route(self.path, _Nowhere()).path_regex.fullmatch

    def match(self, path: str) -> dict[str, str] | None:
        found = self._match(path)
        return None if found is None else found.groupdict()

    def convert(self, raw: dict[str, str]) -> dict[str, Any]:
        """Convert parameters to their types.

        Raises:
            ProblemError: one cannot be an id of its kind, so there is nothing at the path.
        """
        converted: dict[str, Any] = {}
        for name, text in raw.items():
            kind = self.kinds[name]
            value = converted[name] = kind.convert(text)
            if value is None:
                raise ProblemError(
                    NO_SUCH_PATH,
                    f"`{name}` in the path must be {kind.expected}.",
                    field=name,
                    expected=kind.expected,
                )
        return converted


class PathTable(Generic[T]):
    """Finds what belongs to a path, and remembers it: most paths are asked for again at once."""

    def __init__(self, entries: Iterable[tuple[Template, T]]) -> None:
        self._exact: dict[str, tuple[Template, T]] = {}
        self._shapes: dict[tuple[int, str], list[tuple[Template, T]]] = {}
        self._remembered: dict[str, tuple[Template, T, dict[str, str]]] = {}
        for template, target in entries:
            if not template.kinds:
                self._exact[template.path] = (template, target)
                continue
            last = template.path.rpartition("/")[2]
            shape = (template.path.count("/"), "" if "{" in last else last)
            self._shapes.setdefault(shape, []).append((template, target))

    def find(self, path: str) -> tuple[Template, T, dict[str, str]] | None:
        """The template, its target and the raw parameters, not to be changed; or None."""
        found = self._remembered.get(path)
        if found is None and (found := self._search(path)) and len(path) <= REMEMBERED_LENGTH_MAX:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[path] = found
        return found

    def _search(self, path: str) -> tuple[Template, T, dict[str, str]] | None:
        exact = self._exact.get(path)
        if exact is not None:
            return exact[0], exact[1], {}
        slashes = path.count("/")
        for last in (path.rpartition("/")[2], ""):
            for template, target in self._shapes.get((slashes, last), ()):
                raw = template.match(path)
                if raw is not None:
                    return template, target, raw
        return None


class _Nowhere:
    """Stands where Starlette wants an app, in a route that only compiles a path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError
