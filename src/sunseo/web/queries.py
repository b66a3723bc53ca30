"""From a query string to its struct."""

from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from sunseo.web.bodies import check_request_type, refusal_of, refuse_unstorable
from sunseo.web.problems import INVALID_QUERY, ProblemError

PARAMETERS_MAX = 50  # no endpoint has nearly as many


class QueryReader:
    """Decodes one endpoint's query strings. Without a struct, no parameter is allowed."""

    def __init__(self, query: type[msgspec.Struct] | None) -> None:
        self._struct = query
        if query is not None:
            check_request_type(query)
            self._type = inspect.type_info(query)

    def read(self, query_string: bytes) -> msgspec.Struct | None:
        """Decode a query string.

        Raises:
            ProblemError: a parameter is unknown, repeated or not as the struct says.
        """
        parameters = _split(query_string) if query_string else {}
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


def _split(query_string: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except UnicodeError:
        raise ProblemError(
            INVALID_QUERY, "The query is not percent-encoded UTF-8.", field=""
        ) from None
    except ValueError:
        raise ProblemError(
            INVALID_QUERY, f"There are more than {PARAMETERS_MAX} parameters.", field=""
        ) from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in parameters:
            raise ProblemError(
                INVALID_QUERY,
                f"`{name[:100]}` is there more than once.",
                field=name[:100],
                expected="to be there once",
            )
        parameters[name] = value
    return parameters
