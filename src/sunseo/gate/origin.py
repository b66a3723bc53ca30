"""The gate's way to Sunseo: plain blocking HTTP of the standard library, for its own threads.

A gate lives in other people's apps, under any server and event loop, or none. A thread with
`http.client` works in all of them and imports nothing.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 1_048_576  # of a state document with every revoked pass of a large room

LOST = (OSError, http.client.HTTPException)
"""What a request may raise: nobody answered, or not in HTTP."""


class OriginAnswer(NamedTuple):
    """What Sunseo answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Origin:
    """One kept-alive connection to Sunseo, used by one thread.

    Args:
        url: `https://rooms.example`, with a path in front if Sunseo lives under one.
        timeout_s: for connecting, and for each read.

    Raises:
        ValueError: the URL is none of http or https.
    """

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"sunseo_url must be like https://rooms.example, not {url!r}")
        self._path = parts.path.rstrip("/")
        if parts.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname,
                parts.port,
                timeout=timeout_s,
                context=ssl.create_default_context(),
            )
        else:
            self._connection = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=timeout_s
            )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> OriginAnswer:
        """Send one request and read its answer. Redirects are not followed.

        Raises:
            OSError, http.client.HTTPException: see `LOST`. The connection is closed then, and
                the next request opens another.
        """
        content = None if body is None else json.dumps(body).encode()
        sent = {"accept": "application/json", **(headers or {})}
        if content is not None:
            sent["content-type"] = "application/json"
        try:
            self._connection.request(method, self._path + path, content, sent)
            response = self._connection.getresponse()
            read = response.read(ANSWER_BYTES_MAX + 1)
        except LOST:
            self._connection.close()
            raise
        if len(read) > ANSWER_BYTES_MAX:
            self._connection.close()
            raise http.client.HTTPException("the answer is too long")
        found = {name.lower(): value for name, value in response.getheaders()}
        return OriginAnswer(response.status, found, read)

    def close(self) -> None:
        self._connection.close()
