"""Which requests need a pass, and which paths nobody can be sure about."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.gate.policy import BypassRules, GateRequest, Policy, clean_path

SECRET = "the operators' own way in, 32 characters"


def asked(path: str = "/", method: str = "GET", **more: Any) -> GateRequest:
    return GateRequest(
        method=method,
        path=path,
        raw_path=more.get("raw_path"),
        query=more.get("query", ""),
        headers=more.get("headers", {}),
        scheme="https",
        client=ip_address(more["client"]) if "client" in more else None,
    )


AMBIGUOUS = {
    "two slashes": ("/static//buy", None),
    "two slashes first": ("//evil.example/buy", None),
    "a parent": ("/static/../buy", None),
    "a parent, encoded": ("/static/../buy", b"/static/%2e%2e/buy"),
    "a parent at the end": ("/static/..", None),
    "itself": ("/static/./buy", None),
    "an encoded slash": ("/static/../buy", b"/static%2f..%2fbuy"),
    "an encoded slash alone": ("/static/buy", b"/static%2Fbuy"),
    "a backslash": ("/static\\..\\buy", None),
    "an encoded backslash": ("/static\\buy", b"/static%5cbuy"),
    "encoded twice": ("/static/%2e%2e/buy", b"/static/%252e%252e/buy"),
    "a zero byte": ("/static/a\0.css", b"/static/a%00.css"),
    "a control character": ("/static/a\r\nb", b"/static/a%0d%0ab"),
    "parameters": ("/static;x=1/../buy", None),
    "a parameter": ("/static/a;jsessionid=1", None),
    "no UTF-8": ("/static/\ufffd", b"/static/%ff"),
    "an overlong slash": ("/static\ufffd\ufffdbuy", b"/static%c0%afbuy"),
    "fullwidth dots": ("/static/\uff0e\uff0e/buy", b"/static/%ef%bc%8e%ef%bc%8e/buy"),
    "a name ending in a dot": ("/static./buy", None),
    "a name ending in a blank": ("/static /buy", b"/static%20/buy"),
    "an absolute URI": ("http://shop.example/static/a", None),
    "an absolute URI in the request line": ("/static/a", b"http://shop.example/static/a"),
    "another path in the request line": ("/static/a", b"/buy"),
    "an asterisk": ("*", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("path", "raw"), AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_path_is_guarded(path: str, raw: bytes | None) -> None:
    """No bypass opens a path that two servers could read differently, nor does partial guarding."""
    assert clean_path(path, raw) is None
    bypassed = Policy(bypass=BypassRules(paths=("/static",)))
    partial = Policy(protect=("/buy",))

    assert bypassed.needs_pass(asked(path, raw_path=raw))
    assert partial.needs_pass(asked(path, raw_path=raw))


@given(st.text(min_size=1, max_size=20))
def test_a_clean_path_reads_the_same_decoded_again(name: str) -> None:
    """What counts as clean has one decoding, and no segment that leads elsewhere."""
    path = "/" + name
    clean = clean_path(path, quote(path, safe="/").encode())

    if clean is not None:
        assert clean == path
        assert not {"", ".", ".."} & set(clean[1:].split("/")[:-1])
        assert "%" not in clean
        assert "\\" not in clean


@pytest.mark.parametrize(
    "path", ["/", "/buy/7", "/공연/예매", "/a b/c", "/~x/@y:z", "/caf\u00e9.html"]
)
def test_ordinary_path_is_clean(path: str) -> None:
    """Names in any script, blanks inside and the usual punctuation are no reason for doubt."""
    assert clean_path(path, quote(path, safe="/~@:").encode()) == path


def test_everything_is_guarded_by_default() -> None:
    """A gate without rules lets nobody pass, whatever she asks for."""
    for method in ("GET", "POST", "OPTIONS", "TRACE", "get", "PROPFIND"):
        assert Policy().needs_pass(asked("/anything", method))


def test_prefixes_end_where_segments_end() -> None:
    """`/buy` guards `/buy` and all below it, not `/buyers`; `/static` opens no `/statically`."""
    partial = Policy(protect=("/buy",))
    assert partial.needs_pass(asked("/buy"))
    assert partial.needs_pass(asked("/buy/"))
    assert partial.needs_pass(asked("/buy/7"))
    assert not partial.needs_pass(asked("/buyers"))

    opened = Policy(bypass=BypassRules(paths=("/static",)))
    assert not opened.needs_pass(asked("/static/a.css"))
    assert not opened.needs_pass(asked("/static"))
    assert opened.needs_pass(asked("/statically"))


def test_case_is_on_the_side_of_the_guard() -> None:
    """Guarded in any case of letters, opened only in its own: some servers do not tell apart."""
    assert Policy(protect=("/buy",)).needs_pass(asked("/BUY/7"))
    assert Policy(protect=("/Buy",)).needs_pass(asked("/buy"))
    assert Policy(bypass=BypassRules(paths=("/static",))).needs_pass(asked("/STATIC/a.css"))


@pytest.mark.parametrize("name", ["x-original-url", "x-rewrite-url"])
def test_a_rewritten_address_opens_nothing(name: str) -> None:
    """An app that believes such a header would serve another path than the one that is open."""
    policy = Policy(bypass=BypassRules(paths=("/static",)))

    assert policy.needs_pass(asked("/static/a.css", headers={name: "/buy"}))


def test_networks_and_operators_pass() -> None:
    """By the address of the client, by the shared secret; with neither nobody does."""
    policy = Policy(
        bypass=BypassRules(networks=("192.0.2.0/24", "2001:db8::/56"), operator_secret=SECRET)
    )

    assert not policy.needs_pass(asked(client="192.0.2.7"))
    assert not policy.needs_pass(asked(client="2001:db8::1"))
    assert policy.needs_pass(asked(client="192.0.3.7"))
    assert policy.needs_pass(asked())
    assert not policy.needs_pass(asked(headers={"sunseo-operator": SECRET}))
    assert policy.needs_pass(asked(headers={"sunseo-operator": SECRET + "x"}))
    assert policy.needs_pass(asked(headers={"sunseo-operator": ""}))
    assert policy.needs_pass(asked(headers={"sunseo-operator": SECRET[:-1] + "\udcff"}))


def test_crawlers_only_read() -> None:
    """Anybody can call herself a crawler: that opens reading, and no way around the method."""
    policy = Policy(bypass=BypassRules(user_agents=("Googlebot", "Yeti")))
    crawler = {"user-agent": "Mozilla/5.0 (compatible; googlebot/2.1)"}

    assert not policy.needs_pass(asked("/buy", headers=crawler))
    assert not policy.needs_pass(asked("/buy", "HEAD", headers=crawler))
    assert policy.needs_pass(asked("/buy", "POST", headers=crawler))
    assert policy.needs_pass(asked("/buy", headers={"user-agent": "Mozilla/5.0"}))
    assert policy.needs_pass(asked("/buy", query="_method=POST", headers=crawler))
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        assert policy.needs_pass(asked("/buy", headers={**crawler, name: "POST"}))


def test_preflights_pass_where_they_are_let() -> None:
    """A CORS preflight carries no pass; one that an app could take for a POST is none."""
    preflight = {"origin": "https://app.example", "access-control-request-method": "POST"}
    policy = Policy(bypass=BypassRules(preflight=True))

    assert not policy.needs_pass(asked("/buy", "OPTIONS", headers=preflight))
    assert Policy().needs_pass(asked("/buy", "OPTIONS", headers=preflight))
    assert policy.needs_pass(asked("/buy", "OPTIONS"))
    overridden = {**preflight, "x-http-method-override": "POST"}
    assert policy.needs_pass(asked("/buy", "OPTIONS", headers=overridden))
    assert policy.needs_pass(asked("/buy", "OPTIONS", query="a=1&_method=POST", headers=preflight))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"networks": ("192.0.2.0/33",)}, "192.0.2.0/33"),
        ({"operator_secret": "short"}, "shorter"),
        ({"user_agents": ("",)}, "open everything"),
        ({"paths": ("static",)}, "no path"),
        ({"paths": ("/a/../b",)}, "no path"),
    ],
)
def test_rules_that_would_open_by_mistake_are_refused(wrong: Any, says: str) -> None:
    """The gate does not start with a rule that means nothing, or everything."""
    with pytest.raises(ValueError, match=says):
        BypassRules(**wrong)


def test_a_gate_that_guards_nothing_is_refused() -> None:
    """An empty list is a mistake, not a wish."""
    with pytest.raises(ValueError, match="guard nothing"):
        Policy(protect=())
