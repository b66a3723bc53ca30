"""From bytes to request structs, with a refusal that names the field and what is right.

`check_request_type` runs when the app is built: a struct that lets unknown fields pass, or that
leaves a number, text or list without bounds, stops the start. So nothing that PostgreSQL could not
store reaches a handler, whatever the bytes.

Repeated keys of one JSON object: the last one counts, as in JavaScript and Python. Nothing that
reads the body before us (a proxy) decides by it, so there is no one to be deceived.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import inspect

from sunseo.web.problems import INVALID_FIELD, MALFORMED_JSON, ProblemError, ProblemType

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # an opening before computers is a slip of the keyboard
LATEST = datetime(3000, 1, 1, tzinfo=UTC)  # and converting year 9999 to UTC can overflow
ECHO_MAX = 200  # of a sender's own text, what we repeat in an answer

_AT = re.compile(r" - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_AT_KEY = re.compile(r" - at `key in \$\.?(?P<path>.*)`$", re.DOTALL)
_FIELD = re.compile(
    r"^Object (?:contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL
)
_EXPECTED = re.compile(r"^Expected `(?P<what>[^`]*)`(?P<bound>.*?)(?:, got `(?P<got>[^`]*)`)?$")
_SUBJECT = re.compile(r"(?P<path>(?P<name>[a-z][a-z0-9_]*)(?:\[[0-9]+\])*) (?P<rule>.+)", re.DOTALL)
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "an RFC 3339 time",
    "uuid": "a UUID",
}
_BOUNDS = {r" matching regex '\\S'": " that is not blank"}
_INVALID = {
    "Invalid UUID": "a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e",
    "Invalid RFC3339 encoded datetime": "an RFC 3339 time such as 2026-11-22T20:00:00+09:00",
    "Number out of range": "a number within the range of a 64-bit float",
    "Integer value out of range": "a whole number within 64 bits",
}


class UnboundedRequestError(TypeError):
    """A request struct would let something unlimited in; the server does not start."""


def check_request_type(request: type[msgspec.Struct]) -> None:
    """Refuse a struct that accepts unknown fields or unbounded values.

    Raises:
        UnboundedRequestError: names the struct's field and what it lacks.
    """
    for path, fault in _faults(inspect.type_info(request), request.__name__, set()):
        raise UnboundedRequestError(f"{path}: {fault}")


class BodyReader:
    """Decodes one endpoint's bodies."""

    def __init__(self, request: type[msgspec.Struct]) -> None:
        check_request_type(request)
        self._decode = msgspec.json.Decoder(request).decode
        self._type = inspect.type_info(request)
        self._has_times = _mentions(self._type, inspect.DateTimeType, set())

    def read(self, body: bytes) -> msgspec.Struct:
        """Decode a body.

        Raises:
            ProblemError: the body is not JSON, or not as the struct says.
        """
        try:
            decoded: msgspec.Struct = self._decode(body)
        except msgspec.ValidationError as error:
            raise refusal_of(str(error), self._type, INVALID_FIELD) from None
        except UnicodeDecodeError:
            raise ProblemError(MALFORMED_JSON, "The body is not valid UTF-8.") from None
        except RecursionError:
            raise ProblemError(MALFORMED_JSON, "The body is nested too deeply.") from None
        except msgspec.DecodeError as error:
            raise ProblemError(MALFORMED_JSON, _malformed(body, str(error))) from None

        # Raw NUL bytes are not JSON, so that a NUL can only have come as this escape.
        if self._has_times or b"\\u0000" in body:
            refuse_unstorable(decoded, INVALID_FIELD)
        return decoded


def refusal_of(message: str, root: inspect.Type, problem: ProblemType) -> ProblemError:
    """Turn msgspec's sentence into `field`, `expected` and a sentence of ours."""
    message = message if len(message) <= 1000 else message[:1000] + "`"
    path, claim = "", message
    if at := _AT.search(message) or _AT_KEY.search(message):
        path, claim = at["path"], message[: at.start()]
    expected = _INVALID.get(claim)
    if named := _FIELD.match(claim):
        known = _fields_at(root, path)
        path = f"{path}.{named['name']}" if path else named["name"]
        if claim.startswith("Object missing"):
            return _refuse(problem, path, "to be present", "is missing")
        return _refuse(problem, path, f"one of: {', '.join(known)}", "is not known here")
    if expected is None:
        # A rule of the struct's own begins with the field that it is about.
        subject = _SUBJECT.match(claim)
        if subject and subject["name"] in _fields_at(root, path):
            path = f"{path}.{subject['path']}" if path else subject["path"]
            rule = subject["rule"]
            return _refuse(problem, path, rule.removeprefix("must be "), rule)
        return _refuse(problem, path, *_wanted(claim))
    return _refuse(problem, path, expected, f"must be {expected}")


def refuse_unstorable(decoded: msgspec.Struct, problem: ProblemType) -> None:
    """Refuse NUL characters and times that cannot be stored.

    Raises:
        ProblemError: names the first such field.
    """
    for path, value in _leaves(decoded, ""):
        if isinstance(value, str) and "\x00" in value:
            raise _refuse(problem, path, "text without NUL characters", "has a NUL character")
        if isinstance(value, datetime) and not EARLIEST <= value < LATEST:
            raise _refuse(
                problem, path, "a time in the years 1970 to 2999", "is too far from today"
            )


def _refuse(problem: ProblemType, path: str, expected: str, predicate: str) -> ProblemError:
    path = path[:ECHO_MAX]
    subject = f"`{path}`" if path else "The whole"
    return ProblemError(
        problem, f"{subject} {predicate[:ECHO_MAX]}.", field=path, expected=expected[:ECHO_MAX]
    )


def _wanted(claim: str) -> tuple[str, str]:
    """`expected` and a predicate for "Expected `int` >= 1" and its relatives."""
    match = _EXPECTED.match(claim)
    if match is None:
        return "a valid value", f"is not valid: {claim}"
    words = [_WORDS.get(word.strip(), word.strip()) for word in match["what"].split("|")]
    bound = _BOUNDS.get(match["bound"], match["bound"])
    what = " or ".join(words) + bound
    got = match["got"]
    if got == "float":  # 17.0, too: what is counted is not measured, and none is rounded
        return what, f"must be {what}, written without a point or an exponent"
    instead = f", not {_WORDS.get(got, got)}" if got else ""
    return what, f"must be {what}{instead}"


def _malformed(body: bytes, message: str) -> str:
    if not body.strip():
        return "The body is empty."
    reason = message.removeprefix("JSON is malformed: ").rstrip(".")
    return f"The body is not valid JSON: {reason[:ECHO_MAX].lower()}."


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        for name, wire in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            yield from _leaves(getattr(value, name), f"{path}.{wire}" if path else wire)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _leaves(item, f"{path}[...]")
    else:
        yield path, value


def _fields_at(root: inspect.Type, path: str) -> list[str]:
    """The names that an object at a JSON path may have."""
    here: list[inspect.Type] = [root]
    for step in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        here = [inner for kind in here for inner in _step(kind, step)]
    structs = [kind for at in here for kind in _alternatives(at)]
    return [f.encode_name for s in structs if isinstance(s, inspect.StructType) for f in s.fields]


def _step(kind: inspect.Type, step: str) -> Iterator[inspect.Type]:
    for one in _alternatives(kind):
        if isinstance(one, inspect.StructType):
            yield from (f.type for f in one.fields if f.encode_name == step)
        elif isinstance(one, inspect.ListType | inspect.VarTupleType):
            yield one.item_type
        elif isinstance(one, inspect.DictType):
            yield one.value_type


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.UnionType):
        yield from kind.types
    elif isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    else:
        yield kind


def _inner(kind: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    if isinstance(kind, inspect.StructType):
        yield from ((f".{f.name}", f.type) for f in kind.fields)
    elif isinstance(kind, inspect.UnionType):
        yield from (("", one) for one in kind.types)
    elif isinstance(kind, inspect.Metadata):
        yield "", kind.type
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield "[]", kind.item_type
    elif isinstance(kind, inspect.DictType):
        yield from (("[key]", kind.key_type), ("[]", kind.value_type))


def _mentions(kind: inspect.Type, wanted: type[inspect.Type], seen: set[type]) -> bool:
    if isinstance(kind, inspect.StructType):
        if kind.cls in seen:
            return False
        seen.add(kind.cls)
    return isinstance(kind, wanted) or any(
        _mentions(inner, wanted, seen) for _, inner in _inner(kind)
    )


def _faults(kind: inspect.Type, path: str, seen: set[type]) -> Iterator[tuple[str, str]]:
    if isinstance(kind, inspect.StructType):
        if kind.cls in seen:
            return
        seen.add(kind.cls)
    if fault := _fault(kind):
        yield path, fault
    for step, inner in _inner(kind):
        yield from _faults(inner, path + step, seen)


def _fault(kind: inspect.Type) -> str | None:
    match kind:
        case inspect.StructType():
            return None if kind.forbid_unknown_fields else "set forbid_unknown_fields=True"
        case inspect.IntType():
            low = kind.ge if kind.ge is not None else kind.gt
            high = kind.le if kind.le is not None else kind.lt
            if low is not None and high is not None:  # msgspec itself keeps bounds in 64 bits
                return None
            return "bound the number on both sides, for instance with fields.Number32"
        case inspect.StrType() | inspect.ListType() | inspect.VarTupleType() | inspect.DictType():
            return None if kind.max_length is not None else "give it a max_length"
        case inspect.DateTimeType():
            return None if kind.tz else "demand a time zone, for instance with fields.Moment"
        case (
            inspect.FloatType()
            | inspect.BoolType()
            | inspect.NoneType()
            | inspect.UUIDType()
            | inspect.DateType()
            | inspect.LiteralType()
            | inspect.EnumType()
            | inspect.UnionType()
            | inspect.Metadata()
        ):
            return None
    return f"{type(kind).__name__} has no bounds that could be checked"
