"""Networks and their buckets: whose header is believed, and how often each may ask."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.core.networks import (
    HOPS_MAX,
    MINUTE_S,
    Buckets,
    TrustedProxies,
    address_of,
    network_of,
    whole_seconds,
)

PROXY = "10.0.0.7"
OURS = TrustedProxies.named("10.0.0.0/8, 2001:db8:ffff::/48")


def test_without_trusted_proxies_the_header_is_never_looked_at() -> None:
    """A visitor who reaches us directly cannot choose her own network."""
    nobody = TrustedProxies.named(None)

    assert nobody.client_of("198.51.100.1", ["203.0.113.9"]) == ip_address("198.51.100.1")


def test_header_counts_only_from_a_proxy_of_ours() -> None:
    """The same header is believed from the proxy and ignored from a stranger."""
    assert OURS.client_of(PROXY, ["203.0.113.9"]) == ip_address("203.0.113.9")
    assert OURS.client_of("198.51.100.1", ["203.0.113.9"]) == ip_address("198.51.100.1")


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["1.1.1.1, 203.0.113.9"], "203.0.113.9"),  # she wrote 1.1.1.1, the proxy her address
        (["10.9.9.9, 203.0.113.9"], "203.0.113.9"),  # she claims to be one of ours
        (["1.1.1.1", "203.0.113.9"], "203.0.113.9"),  # as a line of its own, as HAProxy writes
        (["203.0.113.9, 10.0.0.8"], "203.0.113.9"),  # two proxies of ours
        (["203.0.113.9", "10.0.0.8"], "203.0.113.9"),
        (["203.0.113.9:51312"], "203.0.113.9"),
        (['"[2001:db8::1]:443"'], "2001:db8::1"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1, unknown"], PROXY),  # what our own proxy says is all that we know
        (["1.1.1.1, "], PROXY),
        ([""], PROXY),
        (["10.0.0.9, 10.0.0.8"], "10.0.0.9"),  # a machine of ours that asks for itself
        ([", ".join(["203.0.113.1"] + ["10.0.0.8"] * 1000)], "10.0.0.8"),
    ],
)
def test_client_is_the_last_hop_that_is_not_ours(lines: list[str], client: str) -> None:
    """The header is read from its end, as far as its writers are ours, and not without end."""
    assert OURS.client_of(PROXY, lines) == ip_address(client)


@given(written=st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=30))
def test_nothing_that_a_visitor_writes_moves_her(written: list[str]) -> None:
    """Whatever the header held when it reached our proxy, what the proxy appended decides."""
    seen = OURS.client_of(PROXY, [", ".join([*written, "203.0.113.9"])])

    assert seen == ip_address("203.0.113.9")
    assert OURS.client_of(PROXY, [*written, "203.0.113.9"]) == seen


@given(text=st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    """No header makes the reading of addresses fail."""
    address = address_of(text)
    assert address is None or address_of(str(address)) == address


@given(address=st.ip_addresses(v=4), last=st.integers(0, 255))
def test_neighbours_in_a_24_share_a_network(address: object, last: int) -> None:
    """Whoever has 256 IPv4 addresses has one bucket."""
    first = address_of(str(address))
    assert first is not None
    neighbour = address_of(str(ip_address(first.packed[:3] + bytes([last]))))

    assert network_of(first) == network_of(neighbour)
    assert len(network_of(first)) == 3


@given(
    address=st.ip_addresses(v=6, network="2001:db8::/32"), rest=st.binary(min_size=9, max_size=9)
)
def test_neighbours_in_a_56_share_a_network(address: object, rest: bytes) -> None:
    """Whoever was given a whole IPv6 prefix for her home has one bucket, not 2^72."""
    first = address_of(str(address))
    assert first is not None
    neighbour = address_of(str(ip_address(first.packed[:7] + rest)))

    assert network_of(first) == network_of(neighbour)
    assert len(network_of(first)) == 7


def test_unknown_addresses_share_one_network() -> None:
    """To hide one's address gains nothing."""
    assert network_of(None) == network_of(address_of("unknown")) == b""


def test_proxies_that_are_no_networks_stop_the_start() -> None:
    """A slip in the setting must not silently trust nobody, or everybody."""
    with pytest.raises(ValueError):
        TrustedProxies.named("10.0.0.1/8")
    with pytest.raises(ValueError):
        TrustedProxies.named("proxy.example")


PAUSES = st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=200)


@given(burst=st.integers(1, 50), pauses=PAUSES)
def test_a_bucket_never_gives_more_than_it_may(burst: int, pauses: list[float]) -> None:
    """In any stretch of time, at most the burst and what has flowed in meanwhile."""
    buckets = Buckets()
    now, taken = 1000.0, []
    for pause in pauses:
        now += pause
        if buckets.take(b"one", burst, now) == 0:
            taken.append(now)

    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            flowed_in = (taken[last] - start) * burst / MINUTE_S
            assert last - first + 1 <= burst + flowed_in + 1e-6


@given(burst=st.integers(1, 50), pauses=PAUSES)
def test_whoever_waits_as_told_is_let_in(burst: int, pauses: list[float]) -> None:
    """The time that a refusal names is enough."""
    buckets = Buckets()
    now = 0.0
    for pause in pauses:
        now += pause
        wait_s = buckets.take(b"one", burst, now)
        if wait_s:
            assert 0 < wait_s <= MINUTE_S / burst + 1e-6
            now += wait_s
            assert buckets.take(b"one", burst, now) == 0


@given(burst=st.integers(1, 50), pauses=PAUSES, failed=st.sets(st.integers(0, 199)))
def test_what_is_given_back_was_never_taken(
    burst: int, pauses: list[float], failed: set[int]
) -> None:
    """A bucket that got some back answers like one that was not asked for them."""
    asked, unasked = Buckets(), Buckets()
    now = 1000.0
    for number, pause in enumerate(pauses):
        now += pause
        taken = asked.take(b"one", burst, now) == 0
        if taken and number in failed:
            asked.give_back(b"one", burst)
        elif number not in failed:
            assert taken == (unasked.take(b"one", burst, now) == 0)


def test_refusals_cost_nothing() -> None:
    """Who knocks all the time is let in as soon as who waits in silence."""
    noisy, quiet = Buckets(), Buckets()
    for buckets in (noisy, quiet):
        assert [buckets.take(b"k", 2, 0.0) for _ in range(2)] == [0, 0]
    assert all(noisy.take(b"k", 2, at / 10) > 0 for at in range(299))

    assert noisy.take(b"k", 2, 30.0) == quiet.take(b"k", 2, 30.0) == 0


@given(keys=st.lists(st.binary(max_size=3), max_size=300))
def test_memory_has_a_bound_and_keys_do_not_meet(keys: list[bytes]) -> None:
    """However many networks come, no more than the bound are remembered, the latest ones."""
    buckets = Buckets(keys_max=10)
    for at, key in enumerate(keys):
        buckets.take(key, 1, float(at))
        assert len(buckets) <= 10
    if keys:
        assert buckets.take(keys[-1], 1, float(len(keys))) > 0


def test_header_of_many_hops_is_not_read_to_its_end() -> None:
    """A long header costs no more than its last hops."""
    lines = [",".join(["203.0.113.1", *["10.0.0.8"] * HOPS_MAX])]

    assert OURS.client_of(PROXY, lines) == ip_address("10.0.0.8")


@pytest.mark.parametrize(("wait_s", "header"), [(0.01, 1), (1.0, 1), (1.2, 2)])
def test_retry_after_is_never_too_early(wait_s: float, header: int) -> None:
    """Whole seconds, rounded up."""
    assert whole_seconds(wait_s) == header
