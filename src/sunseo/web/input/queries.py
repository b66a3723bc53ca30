"""From a query string, and from a form that is written like one, to its struct."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from sunseo.web.input.bodies import check_request_type, refusal_of, refuse_unstorable
from sunseo.web.problems import INVALID_FIELD, INVALID_QUERY, ProblemError, ProblemType

PARAMETERS_MAX = 50  # no endpoint has nearly as many
QUERY_BYTES_MAX = 8192  # of a page's address; what is behind is not read


class QueryReader:
    """Decodes one endpoint's query strings. Without a struct, no parameter is allowed.

    Args:
        query: the endpoint's struct.
        drop_unknown: let unknown and repeated parameters fall instead of refusing them: to the
            address of a page others append what they like.
    """

    def __init__(self, query: type[msgspec.Struct] | None, *, drop_unknown: bool = False) -> None:
        self._struct = query
        self._drop_unknown = drop_unknown
        if query is not None:
            check_request_type(query)
            self._type = inspect.type_info(query)

    def read(self, query_string: bytes) -> msgspec.Struct | None:
        """Decode a query string.

        Raises:
            ProblemError: a parameter is unknown, repeated or not as the struct says.
        """
        if self._drop_unknown:
            known = () if self._struct is None else self._struct.__struct_encode_fields__
            parameters = _first_known(query_string, known)
        else:
            parameters = _split(query_string, INVALID_QUERY) if query_string else {}
        if self._struct is None:
            if parameters:
                name = next(iter(parameters))[:100]
                raise ProblemError(
                    INVALID_QUERY,
                    f"`{name}` is not known here.",
                    field=name,
                    expected="no query parameters",
                )
            return None
        try:
            decoded = msgspec.convert(parameters, self._struct, strict=False)
        except msgspec.ValidationError as error:
            raise refusal_of(str(error), self._type, INVALID_QUERY) from None
        refuse_unstorable(decoded, INVALID_QUERY)
        return decoded


class FormReader:
    """Decodes one endpoint's forms (`application/x-www-form-urlencoded`)."""

    def __init__(self, form: type[msgspec.Struct]) -> None:
        check_request_type(form)
        self._struct = form
        self._type = inspect.type_info(form)

    def read(self, body: bytes) -> msgspec.Struct:
        """Decode a form.

        Raises:
            ProblemError: a field is unknown, repeated or not as the struct says.
        """
        fields = _split(body, INVALID_FIELD) if body else {}
        try:
            decoded = msgspec.convert(fields, self._struct, strict=False)
        except msgspec.ValidationError as error:
            raise refusal_of(str(error), self._type, INVALID_FIELD) from None
        refuse_unstorable(decoded, INVALID_FIELD)
        return decoded


def _first_known(query_string: bytes, known: Sequence[str]) -> dict[str, str]:
    """The known parameters at their first mention; what cannot be read is as if not there."""
    pairs = parse_qsl(query_string[:QUERY_BYTES_MAX].decode("latin-1"), keep_blank_values=True)
    return {name: value for name, value in reversed(pairs) if name in known}


def _undecodable(query_string: bytes) -> str:
    """The name, as it was sent, of the first parameter that is no text."""
    for pair in query_string.split(b"&"):
        try:
            parse_qsl(pair.decode("ascii"), errors="strict")
        except UnicodeError:
            return pair.partition(b"=")[0].decode("ascii", "replace")[:100]
    return ""


def _split(query_string: bytes, problem: ProblemType) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except UnicodeError:
        name = _undecodable(query_string)
        raise ProblemError(
            problem,
            f"`{name}` is not percent-encoded UTF-8.",
            field=name,
            expected="percent-encoded UTF-8",
        ) from None
    except ValueError:
        raise ProblemError(
            problem, f"There are more than {PARAMETERS_MAX} parameters.", field=""
        ) from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise ProblemError(
                problem,
                f"`{name[:100]}` is there more than once.",
                field=name[:100],
                expected="to be there once",
            )
        parameters[name] = value
    return parameters
