"""Health and metrics: `/livez`, `/readyz` and `/metrics`.

They are never shed: an orchestrator that cannot ask would restart a server for being busy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from sunseo.telemetry.metrics import CONTENT_TYPE, Metrics
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply, Urgency

CHECK_TIMEOUT_S = 2.0  # below the usual probe time-out, so that the probe hears which check hangs

Check = Callable[[], Awaitable[bool | str]]
"""True means fine. False, or a sentence without secrets, says that it is not."""


class Liveness(msgspec.Struct, frozen=True):
    """The process answers."""

    alive: bool = True


class Readiness(msgspec.Struct, frozen=True):
    """Whether traffic should come here, and each check's result: `ok` or what is wrong.

    `set_aside` names what cannot be read, as in `room 7`. All else is served, so that it is no
    reason to keep traffic away.
    """

    ready: bool
    checks: dict[str, str]
    set_aside: list[str] = []


def health_endpoints(
    checks: Mapping[str, Check],
    metrics: Metrics,
    *,
    metrics_auth: Auth = Auth.PUBLIC,
    set_aside: Callable[[], list[str]] = list,
) -> list[Endpoint]:
    """The endpoints for orchestrators and Prometheus.

    Args:
        checks: what must be fine for this worker to be ready, by name.
        metrics: of this process; what it renders covers all processes.
        metrics_auth: PUBLIC, or OPERATOR where the port is open to the world.
        set_aside: the names of what this worker cannot read.
    """

    async def live(_: Call) -> Answer:
        return Reply(200, Liveness(), _UNCACHED)

    async def ready(_: Call) -> Answer:
        results = await asyncio.gather(*(_result(check) for check in checks.values()))
        report = Readiness(
            all(text == "ok" for text in results),
            dict(zip(checks, results, strict=True)),
            set_aside(),
        )
        if not report.ready:
            return Reply(503, report, (*_UNCACHED, _RETRY_AFTER))
        return Reply(200, report, _UNCACHED)

    async def scrape(_: Call) -> Answer:
        text = await asyncio.to_thread(metrics.render)
        return Reply(200, text, ((b"content-type", CONTENT_TYPE.encode()), *_UNCACHED))

    return [
        Endpoint(
            name="live",
            method="GET",
            path="/livez",
            summary="Whether the process answers",
            handler=live,
            response=Liveness,
            urgency=Urgency.ALWAYS,
        ),
        Endpoint(
            name="ready",
            method="GET",
            path="/readyz",
            summary="Whether traffic should come here",
            description="503 when a check fails; the body lists all checks either way.",
            handler=ready,
            response=Readiness,
            answers={503: "A check fails; the body is the same."},
            urgency=Urgency.ALWAYS,
        ),
        Endpoint(
            name="metrics",
            method="GET",
            path="/metrics",
            summary="Metrics in the text format of Prometheus, over all workers",
            handler=scrape,
            media=("text/plain",),
            auth=metrics_auth,
            urgency=Urgency.ALWAYS,
        ),
    ]


_UNCACHED = ((b"cache-control", b"no-store"),)
_RETRY_AFTER = (b"retry-after", b"1")  # probes come as often as they like; this is for others


async def _result(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            result = await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails
        return f"failed: {type(error).__name__}"
    if result is True:
        return "ok"
    return result or "not ready"
