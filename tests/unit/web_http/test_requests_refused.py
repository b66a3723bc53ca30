"""Bad requests: each is refused with a problem that names the field and what is right."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asgi import Response, ask
from tests.unit.web_http.shop import OPERATOR, Shop, person_headers

JSON_TYPE = {"Content-Type": "application/json"}


async def send(body: bytes, shop: Shop | None = None) -> Response:
    return await ask((shop or Shop()).app, "POST", "/echo", body, headers=JSON_TYPE)


@pytest.mark.parametrize(
    ("body", "status", "code", "field", "expected"),
    [
        (b"", 400, "malformed_json", None, None),
        (b"   ", 400, "malformed_json", None, None),
        (b"nul", 400, "malformed_json", None, None),
        (b"{} {}", 400, "malformed_json", None, None),
        (b"\xef\xbb\xbf{}", 400, "malformed_json", None, None),
        (b'{"note":"\xff"}', 400, "malformed_json", None, None),
        (b'{"note":"\xed\xa0\x80"}', 400, "malformed_json", None, None),
        (b'{"note":"\\ud800"}', 400, "malformed_json", None, None),
        (b'{"note":"\x00"}', 400, "malformed_json", None, None),
        (b"[]", 422, "invalid_field", "", "an object"),
        (b'{"seats":1}', 422, "invalid_field", "seats", "a list"),
        (b'{"seats":[1,"2"]}', 422, "invalid_field", "seats[1]", "a whole number"),
        (b'{"seats":[17.0]}', 422, "invalid_field", "seats[0]", "a whole number"),
        (b'{"seats":[1e1]}', 422, "invalid_field", "seats[0]", "a whole number"),
        (b'{"seats":[true]}', 422, "invalid_field", "seats[0]", "a whole number"),
        (b'{"seats":[0]}', 422, "invalid_field", "seats[0]", "a whole number >= 1"),
        (
            b'{"seats":[2147483648]}',
            422,
            "invalid_field",
            "seats[0]",
            "a whole number <= 2147483647",
        ),
        (b'{"seats":[9223372036854775808]}', 422, "invalid_field", "seats[0]", None),
        (b'{"seats":[1e400]}', 422, "invalid_field", "seats[0]", None),
        (b'{"seats":[' + b"9" * 5000 + b"]}", 422, "invalid_field", "seats[0]", None),
        (b'{"seats":null}', 422, "invalid_field", "seats", "a list"),
        (
            b'{"seats":[' + b",".join([b"1"] * 101) + b"]}",
            422,
            "invalid_field",
            "seats",
            "a list of length <= 100",
        ),
        (
            b'{"seat":[1]}',
            422,
            "invalid_field",
            "seat",
            "one of: seats, products, note, until",
        ),
        (
            b'{"products":[{"product":1,"quantity":1,"colour":2}]}',
            422,
            "invalid_field",
            "products[0].colour",
            "one of: product, quantity",
        ),
        (
            b'{"products":[{"product":1}]}',
            422,
            "invalid_field",
            "products[0].quantity",
            "to be present",
        ),
        (b'{"note":""}', 422, "invalid_field", "note", "a text of length >= 1"),
        (b'{"note":" \\u3000"}', 422, "invalid_field", "note", "a text that is not blank"),
        (b'{"note":"a\\u0000b"}', 422, "invalid_field", "note", "text without NUL characters"),
        (b'{"until":"tomorrow"}', 422, "invalid_field", "until", None),
        (b'{"until":"2026-01-01T00:00:00"}', 422, "invalid_field", "until", None),
        (
            b'{"until":"0001-01-01T00:00:00+14:00"}',
            422,
            "invalid_field",
            "until",
            "a time in the years 1970 to 2999",
        ),
        (b'{"until":"9999-12-31T23:59:59-05:00"}', 422, "invalid_field", "until", None),
        (b"[" * 100_000, 413, "too_large", None, "at most 65536 bytes"),
        (b'{"seats":' + b"[" * 60_000, 422, "invalid_field", "seats[0]", None),
        (b'{"x":' + b"[" * 60_000, 422, "invalid_field", "x", None),
        (b'{"' + b"x" * 5000 + b'":1}', 422, "invalid_field", "x" * 200, None),
    ],
)
async def test_bad_body_is_refused_by_name(
    body: bytes, status: int, code: str, field: str | None, expected: str | None
) -> None:
    """Every kind of bad body gets its status, its code, the field and what is right there."""
    shop = Shop()

    response = await send(body, shop)

    problem = response.json
    assert (response.status, problem["outcome"], problem.get("field")) == (status, code, field)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"/problems/{code}"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert expected is None or problem["expected"] == expected
    assert shop.calls == []


async def test_a_number_with_a_point_is_told_what_is_right() -> None:
    """A count is written without one; the sentence does not say that a number is none."""
    response = await send(b'{"seats":[17.0]}')

    assert response.json["detail"] == (
        "`seats[0]` must be a whole number, written without a point or an exponent."
    )


@pytest.mark.parametrize("offset", ["+09:00", "+0900"])
async def test_offsets_are_taken_with_and_without_their_colon(offset: str) -> None:
    """ISO 8601 writes both, RFC 3339 the first; they mean the same."""
    shop = Shop()

    response = await send(f'{{"until":"2026-11-22T20:00:00{offset}"}}'.encode(), shop)

    assert response.status == 200
    assert shop.calls[0].body.until == datetime(2026, 11, 22, 11, tzinfo=UTC)


async def test_last_of_repeated_keys_counts() -> None:
    """Of two members of one name, the last is taken, as the guide says."""
    shop = Shop()

    await send(b'{"seats":[1],"seats":[2]}', shop)

    assert shop.calls[0].body.seats == [2]


async def test_escaped_backslash_before_u0000_is_text() -> None:
    """A backslash followed by the letters u0000 is no NUL character and is let through."""
    shop = Shop()

    response = await send(b'{"note":"\\\\u0000"}', shop)

    assert response.status == 200
    assert shop.calls[0].body.note == "\\u0000"


async def test_chunked_body_is_cut_at_the_limit() -> None:
    """A body without a length is read no further than the limit."""
    shop = Shop()
    pieces = [b"x" * 30_000 for _ in range(100)]

    response = await ask(shop.app, "POST", "/echo", pieces, headers=JSON_TYPE)

    assert (response.status, response.json["outcome"]) == (413, "too_large")
    assert response.headers["connection"] == "close"


async def test_chunked_body_is_joined() -> None:
    """A body in pieces arrives whole."""
    shop = Shop()

    response = await ask(
        shop.app, "POST", "/echo", [b'{"seats"', b":[1,", b"2]}"], headers=JSON_TYPE
    )

    assert response.status == 200
    assert shop.calls[0].body.seats == [1, 2]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_other_media_are_refused(headers: dict[str, str]) -> None:
    """A body that is not plain JSON in UTF-8 is 415."""
    response = await ask(Shop().app, "POST", "/echo", b"{}", headers=headers)

    assert (response.status, response.json["outcome"]) == (415, "unsupported_media_type")


async def test_json_with_charset_is_taken() -> None:
    """Clients that name the charset are right as well."""
    headers = {"Content-Type": "application/json; charset=UTF-8"}

    assert (await ask(Shop().app, "POST", "/echo", b"{}", headers=headers)).status == 200


@pytest.mark.parametrize("key", [None, "", "a b", "k" * 256, "ключ", "a\x7f"])
async def test_bad_idempotency_key_is_refused(key: str | None) -> None:
    """A key that is missing, too long or not visible ASCII is 400, before anything is handled."""
    shop = Shop()
    headers = person_headers()
    del headers["Idempotency-Key"]
    if key is not None:
        headers["Idempotency-Key"] = key

    response = await ask(shop.app, "POST", "/v1/sales/1/holds", b"{}", headers=headers)

    assert response.status == 400
    assert response.json["outcome"] == "invalid_idempotency_key"
    assert response.json["field"] == "Idempotency-Key"
    assert shop.calls == []


@pytest.mark.parametrize(
    "name", [b"authorization", b"idempotency-key", b"content-type", b"content-length", b"host"]
)
async def test_deciding_header_stands_once(name: bytes) -> None:
    """A second Authorization, Idempotency-Key or Content-Type is refused, not chosen from."""
    response = await ask(
        Shop().app,
        "POST",
        "/v1/sales/1/holds",
        b"{}",
        headers=person_headers() | {"Host": "shop.example"},
        pairs=[(name, b"x")],
    )

    assert (response.status, response.json["outcome"]) == (400, "repeated_header")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sales/0/holds",
        "/v1/sales/-1/holds",
        "/v1/sales/01/holds",
        "/v1/sales/1.0/holds",
        "/v1/sales/\u0661/holds",
        "/v1/sales/1\n/holds",
        "/v1/sales/9223372036854775808/holds",
        "/v1/sales/" + "9" * 5000 + "/holds",
        "/v1/sales/abc/holds",
        "/v1/sales//holds",
        "/v1/sales/1/holds/",
        "/v1/sales/1/holds\n",
        "/V1/sales/1/holds",
        "/nowhere",
        "",
        "/",
        "\x00",
    ],
)
async def test_impossible_path_is_absent(path: str) -> None:
    """A path that cannot exist is a 404 problem, also with a trailing slash or a newline."""
    response = await ask(Shop().app, "POST", path, b"{}", headers=person_headers())

    assert (response.status, response.json["outcome"]) == (404, "no_such_path")


@pytest.mark.parametrize("hold", ["x", "{0f8fad5b-d9cb-469f-a165-70867728950e}", "0" * 32])
async def test_impossible_uuid_is_absent(hold: str) -> None:
    """Only the canonical form of a UUID names something."""
    response = await ask(Shop().app, "GET", f"/v1/sales/1/holds/{hold}", headers=person_headers())

    assert (response.status, response.json["field"]) == (404, "hold")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"", "occasion"),
        (b"occasion=x", "occasion"),
        (b"occasion=0", "occasion"),
        (b"occasion=99999999999999999999", "occasion"),
        (b"occasion=1&occasion=2", "occasion"),
        (b"occasion=1&colour=2", "colour"),
        (b"occasion=1&text=%00", "text"),
        (b"occasion=1&text=%ff", "text"),
        (b"occasion=1&text=\xff", "text"),
        (b"&".join(b"a=1" for _ in range(51)), ""),
    ],
)
async def test_bad_query_is_refused_by_name(query: bytes, field: str) -> None:
    """A query that is incomplete, unknown, repeated or out of range is 400 and names it."""
    response = await ask(Shop().app, "GET", "/v1/sales/1/seats", query=query)

    assert (response.status, response.json["outcome"]) == (400, "invalid_query")
    assert response.json["field"] == field


async def test_query_where_none_is_taken_is_refused() -> None:
    """An endpoint without a query struct takes no parameters."""
    response = await ask(
        Shop().app,
        "GET",
        f"/v1/sales/1/holds/{'0' * 8}-0000-0000-0000-{'0' * 12}",
        headers=person_headers(),
        query=b"a=1",
    )

    assert (response.status, response.json["field"]) == (400, "a")


async def test_unknown_method_lists_the_known() -> None:
    """405 comes with Allow, and HEAD counts where GET does."""
    post = await ask(Shop().app, "GET", "/echo")
    get = await ask(Shop().app, "DELETE", "/v1/sales/1/seats")

    assert (post.status, post.headers["allow"]) == (405, "POST")
    assert (get.status, get.headers["allow"]) == (405, "GET, HEAD")


async def test_too_many_headers_are_refused() -> None:
    """More headers or more bytes of headers than the limits allow are 431."""
    many = await ask(Shop().app, "GET", "/livez", pairs=[(b"x-%d" % n, b"1") for n in range(65)])
    large = await ask(Shop().app, "GET", "/livez", headers={"X": "x" * 17_000})

    assert (many.status, large.status) == (431, 431)


@pytest.mark.parametrize("body", [b"", b"{}", None])
async def test_endpoint_without_request_takes_empty_bodies(body: bytes | None) -> None:
    """Where there is nothing to say, an empty body and an empty object are both fine."""
    headers = {"Authorization": f"Bearer {OPERATOR.text}", **JSON_TYPE}

    assert (await ask(Shop().app, "POST", "/v1/sales/1/pause", body, headers=headers)).status == 200


async def test_endpoint_without_request_refuses_fields() -> None:
    """Where there is nothing to say, saying something is an error of the caller."""
    headers = {"Authorization": f"Bearer {OPERATOR.text}", **JSON_TYPE}
    response = await ask(Shop().app, "POST", "/v1/sales/1/pause", b'{"a":1}', headers=headers)

    assert (response.status, response.json["field"]) == (422, "a")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
named = st.sampled_from(["seats", "products", "note", "until", "product", "quantity"])
nearly_right = st.dictionaries(
    named, json_values | st.lists(st.dictionaries(named, json_values, max_size=3), max_size=3)
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | nearly_right.map(lambda value: json.dumps(value).encode()))
async def test_no_body_gives_a_server_error(body: bytes) -> None:
    """Whatever the bytes of a body are, the answer is below 500."""
    response = await send(body, SHOP)

    assert response.status < 500
    if response.status != 200:
        problem: dict[str, Any] = response.json
        assert problem["outcome"] in ("malformed_json", "invalid_field", "too_large")


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60),
    st.binary(max_size=60),
    st.text(max_size=80),
    st.sampled_from(["GET", "POST"]),
)
async def test_no_path_query_or_header_gives_a_server_error(
    path: str, query: bytes, header: str, method: str
) -> None:
    """Whatever path, query and headers are, the answer is below 500."""
    for prefix in ("", "/v1/sales/1/seats", "/v1/sales/", "/problems/"):
        response = await ask(
            SHOP.app,
            method,
            prefix + path,
            query=query,
            pairs=[
                (b"authorization", b"Bearer " + header.encode()),
                (b"idempotency-key", header.encode()),
                (b"x-request-id", header.encode()),
                (b"traceparent", header.encode()),
                (b"content-length", query),
            ],
        )
        assert response.status < 500


SHOP = Shop()
