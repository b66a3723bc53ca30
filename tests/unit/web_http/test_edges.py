"""The edges of HTTP, over a connection: hosts, spellings, lengths, HEAD, and what is known."""

import asyncio
import re

import pytest
from uvicorn import Config

from sunseo.web.endpoint import Reply
from sunseo.web.server.http_protocol import Connections, HttpProtocol
from tests.unit.web_http.shop import Shop, token

HOLDS = "/v1/sales/7/holds"
PERSON = f"authorization: Bearer {token()}\r\n"
WRITING = f"{PERSON}idempotency-key: k\r\ncontent-type: application/json\r\n"


class Wire:
    """One connection to a shop, and what came over it."""

    def __init__(self, shop: Shop) -> None:
        self.sent = b""
        self.answered = asyncio.Event()
        self.is_closed = False
        config = Config(shop.app, http=HttpProtocol, ws="none", log_config=None)
        config.load()
        state = Connections(shop.limits, shop.app)
        self.protocol = HttpProtocol(config, state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self)  # type: ignore[arg-type]  # as much of it as is used

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.sent += data
        self.answered.set()

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    async def tell(self, text: str, *, whole: bool) -> tuple[int, bytes]:
        """Status and the rest of the answer to a request, sent whole or in two pieces."""
        sent = text.encode("latin-1")
        cut = len(sent) if whole else sent.index(b"\r\n\r\n") + 4
        for piece in (sent[:cut], sent[cut:]):
            if piece:
                self.protocol.data_received(piece)
            await asyncio.sleep(0)
        await self.answered.wait()
        head, _, body = self.sent.partition(b"\r\n\r\n")
        return int(head.split()[1]), head + body


def post(headers: str, target: str = HOLDS, version: str = "1.1") -> str:
    return f"POST {target} HTTP/{version}\r\n{headers}content-length: 2\r\n\r\n{{}}"


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (post(f"host: a\r\n{WRITING}"), 201, None),
        (post(f"host:\r\n{WRITING}"), 201, None),
        (post(WRITING), 400, b"missing_host"),
        (post(f"host: a\r\nhost: a\r\n{WRITING}"), 400, b"repeated_header"),
        (post(f"host: a\r\nHost: b\r\n{WRITING}"), 400, b"repeated_header"),
        (post(WRITING, version="1.0"), 201, None),
        (post(f"host: a\r\nhost: b\r\n{WRITING}", version="1.0"), 400, b"repeated_header"),
        (post(f"host: a\r\ncontent-length: 2\r\n{WRITING}"), 400, None),
        (post(f"host: a\r\ncontent-length: 3\r\n{WRITING}"), 400, None),
        (post(f"host: a\r\ntransfer-encoding: chunked\r\n{WRITING}"), 400, None),
        (post(f"host: a\r\n{WRITING}", "/v1/s%61les/7/holds"), 404, b"no_such_path"),
        (post(f"host: a\r\n{WRITING}", "/v1/sales/%37/holds"), 404, b"no_such_path"),
        (post(f"host: a\r\n{WRITING}", "/v1/sales/7/holds#"), 404, b"no_such_path"),
        (post(f"host: a\r\n{WRITING}", "/v1/sales/7%2Fholds"), 404, b"no_such_path"),
        (post(f"host: a\r\n{WRITING}", "/v1/./sales/7/holds"), 404, b"no_such_path"),
        (post(f"host: a\r\n{WRITING}", "http://a/v1/s%61les/7/holds"), 404, b"no_such_path"),
    ],
)
async def test_both_ways_of_a_request_have_the_same_edges(
    text: str, status: int, code: bytes | None, whole: bool
) -> None:
    """Refused alike where it comes in one piece and where it goes through ASGI; nothing is done."""
    shop = Shop()

    answered, rest = await Wire(shop).tell(text, whole=whole)

    assert answered == status, rest
    assert code is None or code in rest
    assert len(shop.calls) == (status == 201)


async def test_an_id_has_one_spelling() -> None:
    """An UUID in capitals names nothing, and the answer says how it is written."""
    hold = "/v1/sales/7/holds/0F8FAD5B-D9CB-469F-A165-70867728950E"
    shop = Shop(answer=Reply(200, b""))

    status, rest = await Wire(shop).tell(
        f"GET {hold} HTTP/1.1\r\nhost: a\r\n{PERSON}\r\n", whole=True
    )

    assert status == 404
    assert re.search(rb"a UUID in lower case", rest)
    assert shop.calls == []
