"""What is checked before serving: the endpoint table, request structs, limits; and health."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pytest

from sunseo.booking.routes import hold_endpoints
from sunseo.core.fields import Number32
from sunseo.core.outcome import Kind, Outcome
from sunseo.telemetry.metrics import Metrics
from sunseo.web.endpoint import Auth, Endpoint, Reply, Urgency
from sunseo.web.health import health_endpoints
from sunseo.web.input.bodies import UnboundedRequestError, check_request_type
from sunseo.web.input.paths import BadTemplateError, Template
from sunseo.web.limits import Limits
from sunseo.web.problems import ConflictingProblemsError, ProblemCatalogue
from tests.asgi import Response, ask
from tests.unit.web_http.shop import Hold, HoldOutcome, Shop


async def nothing(_: Any) -> Reply:
    return Reply()


def row(**changes: Any) -> Endpoint:
    return Endpoint(
        **{"name": "a", "method": "GET", "path": "/a", "summary": "", "handler": nothing, **changes}
    )


def app_of(rows: Sequence[Endpoint]) -> Any:
    shop = Shop()
    shop.table = lambda: list(rows)  # type: ignore[method-assign]  # another table, same app
    shop.__post_init__()
    return shop.app


@pytest.mark.parametrize(
    "rows",
    [
        [row(), row()],
        [row(), row(name="b")],
        [row(method="BREW")],
        [row(request=Hold)],
        [row(success=404)],
        [row(path="a")],
        [row(path="/a/")],
        [row(path="/{a}")],
        [row(path="/{a:float}")],
    ],
)
def test_contradicting_table_stops_the_start(rows: list[Endpoint]) -> None:
    """Doubled names or routes, unknown methods and bad templates are found before serving."""
    with pytest.raises(ValueError):
        app_of(rows)


def test_one_code_has_one_status() -> None:
    """Two outcomes of one name and different kinds cannot both be served."""

    class Other(Outcome):
        SEAT_TAKEN = Kind.GONE, "Gone."

    with pytest.raises(ConflictingProblemsError):
        ProblemCatalogue.of([row(outcomes=HoldOutcome), row(outcomes=Other)])


def test_templates_refuse_what_they_do_not_know() -> None:
    """A parameter without a type is a mistake, not a text."""
    with pytest.raises(BadTemplateError):
        Template("/v1/{sale}")


class Loose(msgspec.Struct):
    a: Number32


class NoMinimum(msgspec.Struct, forbid_unknown_fields=True):
    a: Annotated[int, msgspec.Meta(le=5)]


class LongText(msgspec.Struct, forbid_unknown_fields=True):
    a: str | None = None


class LongList(msgspec.Struct, forbid_unknown_fields=True):
    a: list[Number32]


class Anything(msgspec.Struct, forbid_unknown_fields=True):
    a: Any


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    a: Annotated[list[Loose], msgspec.Meta(max_length=1)]


@pytest.mark.parametrize("kind", [Loose, NoMinimum, LongText, LongList, Anything, Inner])
def test_unbounded_request_stops_the_start(kind: type[msgspec.Struct]) -> None:
    """A struct that would let something unlimited in is refused, and says where."""
    with pytest.raises(UnboundedRequestError, match=kind.__name__):
        check_request_type(kind)


@pytest.mark.parametrize(
    "changes",
    [
        {"body_timeout_s": 30.0},
        {"connections_max": 4096},
        {"retry_after_shortest_s": 9},
        {"headers_max": 0},
    ],
)
def test_limits_are_checked_value_against_value(changes: dict[str, Any]) -> None:
    """Limits that would undo each other stop the start."""
    with pytest.raises(ValueError):
        Limits(**changes)


async def ask_health(path: str, **results: Any) -> Response:
    async def answer(result: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    checks = {name: lambda result=result: answer(result) for name, result in results.items()}
    shop = Shop()
    rows = health_endpoints(checks, shop.metrics)
    return await ask(app_of(rows), "GET", path)


async def test_ready_lists_every_check() -> None:
    """One failing check makes 503; the body tells all, and nothing of an exception but its name."""
    fine = await ask_health("/readyz", database=True, disk=True)
    broken = await ask_health(
        "/readyz", database=RuntimeError("password=hunter2"), disk="2 % free", lane=False
    )

    assert (fine.status, fine.json["ready"]) == (200, True)
    assert broken.status == 503
    assert broken.json == {
        "ready": False,
        "checks": {"database": "failed: RuntimeError", "disk": "2 % free", "lane": "not ready"},
        "set_aside": [],
    }


async def test_what_is_set_aside_is_named_and_keeps_no_traffic_away() -> None:
    """A worker that cannot read one room serves all else: it is ready, and says what it lacks."""
    rows = health_endpoints({}, Metrics(), set_aside=lambda: ["room 7"])
    told = await ask(app_of(rows), "GET", "/readyz")

    assert (told.status, told.json["ready"]) == (200, True)
    assert told.json["set_aside"] == ["room 7"]


async def test_live_and_metrics_answer() -> None:
    """The process says that it is up, and Prometheus can read it."""
    assert (await ask_health("/livez")).json == {"alive": True}
    scraped = await ask_health("/metrics")
    assert scraped.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"# HELP sunseo_http_requests_total" in scraped.body


async def test_health_is_never_shed() -> None:
    """A full server still says that it lives."""
    rows = health_endpoints({}, Metrics())

    assert {endpoint.shed_as for endpoint in rows} == {Urgency.ALWAYS}
    assert {e.auth for e in health_endpoints({}, Metrics(), metrics_auth=Auth.OPERATOR)} == {
        Auth.PUBLIC,
        Auth.OPERATOR,
    }


def test_looks_at_what_is_free_outlast_joins() -> None:
    """However many come, those inside can still see what is left: that is refused after joins."""
    nobody: Any = None
    rows = {endpoint.name: endpoint for endpoint in hold_endpoints(nobody, nobody)}

    assert rows["read_availability"].shed_as is Urgency.LOOK
    assert rows["place_hold"].shed_as is Urgency.WRITE
    assert list(Urgency) == sorted(Urgency, key=lambda urgency: urgency.value)
