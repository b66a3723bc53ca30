"""What is read from a request's headers before anything is decided."""

import random
import re

from sunseo.web.problems import (
    HEADERS_TOO_LARGE,
    INVALID_IDEMPOTENCY_KEY,
    MISSING_HOST,
    REPEATED_HEADER,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemError,
)

Headers = dict[bytes, bytes]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.{0,200}")
_IDEMPOTENCY_KEY = re.compile(rb"[!-~]{1,255}")
_STANDS_ONCE = (b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key")
_JSON = re.compile(rb"application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*;?", re.IGNORECASE)
_FORM = re.compile(
    rb"application/x-www-form-urlencoded(?:\s*;\s*charset=\"?utf-8\"?)?\s*;?", re.IGNORECASE
)
_NO_TRACE = b"0" * 32


def request_id_of(headers: Headers) -> str:
    """The caller's X-Request-Id or trace id where it is well formed, else a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    parent = headers.get(b"traceparent")
    if (
        parent is not None
        and (match := _TRACEPARENT.fullmatch(parent))
        and match["trace"] != _NO_TRACE
    ):
        return match["trace"].decode()
    return f"{random.getrandbits(128):032x}"


def refuse_odd_headers(
    pairs: list[tuple[bytes, bytes]], headers: Headers, count_max: int, bytes_max: int
) -> None:
    """Refuse what the server let through but we do not take.

    Raises:
        ProblemError: too many, too large, one that decides something came twice, or no Host.
    """
    if len(pairs) > count_max or len(b"".join(headers.values())) > bytes_max:
        raise ProblemError(
            HEADERS_TOO_LARGE,
            expected=f"at most {count_max} headers with {bytes_max} bytes of values",
        )
    if b"host" not in headers:
        raise ProblemError(MISSING_HOST, field="Host", expected="one Host")
    if len(pairs) != len(headers):
        names = [name for name, _ in pairs]
        for name in _STANDS_ONCE:
            if names.count(name) > 1:
                raise ProblemError(REPEATED_HEADER, field=name.decode().title())


def idempotency_key_of(headers: Headers) -> str:
    """The Idempotency-Key, as sent.

    Raises:
        ProblemError: it is missing, too long or has other than visible ASCII characters.
    """
    key = headers.get(b"idempotency-key")
    if key is not None and _IDEMPOTENCY_KEY.fullmatch(key):
        return key.decode()
    raise ProblemError(
        INVALID_IDEMPOTENCY_KEY,
        "Idempotency-Key is missing." if key is None else "Idempotency-Key is not usable.",
        field="Idempotency-Key",
        expected="1 to 255 visible ASCII characters without spaces",
    )


def refuse_other_media(headers: Headers) -> None:
    """Refuse a body that does not say it is JSON.

    Raises:
        ProblemError: it is of another type, charset or content encoding.
    """
    media = headers.get(b"content-type")
    if media != b"application/json" and (media is None or not _JSON.fullmatch(media)):
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE, field="Content-Type", expected="application/json"
        )
    _refuse_encoding(headers)


def refuse_other_forms(headers: Headers) -> None:
    """Refuse a page's body that does not say it is a form without files.

    Raises:
        ProblemError: it is of another type, charset or content encoding.
    """
    if not _FORM.fullmatch(headers.get(b"content-type", b"")):
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            field="Content-Type",
            expected="application/x-www-form-urlencoded",
        )
    _refuse_encoding(headers)


def _refuse_encoding(headers: Headers) -> None:
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise ProblemError(
            UNSUPPORTED_MEDIA_TYPE,
            "Compressed bodies are not taken.",
            field="Content-Encoding",
            expected="no Content-Encoding",
        )
