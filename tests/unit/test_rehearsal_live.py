"""The live page: what it is told, and whom it answers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sunseo.rehearsal.report.live import server
from sunseo.rehearsal.report.live.server import LiveError, LivePage
from sunseo.rehearsal.report.live.texts import CATALOGUES
from sunseo.rehearsal.report.live.view import CHARTS, LiveView
from tests.rehearsed import an_outcome, progress, sample


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is, a page that looks on is waited for."""
    monkeypatch.setattr(server, "LOOKS_ON_S", 600.0)
    monkeypatch.setattr(server, "LINGER_S", 600.0)


@pytest.fixture
async def live() -> AsyncIterator[LivePage]:
    """A page that is served, ten seconds after the opening."""
    page = LivePage(LiveView(visitors=140, units=40, last_arrival_s=12.0))
    async with page.served(0):
        for second in range(11):
            page.view.note_sample(sample(second))
            page.view.note_progress(progress(float(second), 12 * second))
        yield page


async def read(url: str, host: str = "") -> tuple[int, str, Any]:
    headers = {"Host": host} if host else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers


async def tell(live: LivePage) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(live.url + "now") as response:
        told: dict[str, Any] = await response.json()
        return told


async def test_page_stands_alone_in_both_languages(live: LivePage) -> None:
    """One document with a place for each picture, loading nothing and allowed to load nothing."""
    status, text, headers = await read(live.url)

    assert status == 200
    assert live.url.startswith("http://127.0.0.1:")
    for name in CHARTS:
        assert text.count(f'data-chart="{name}"') == 2
    assert "예행연습 중입니다" in text
    assert "The rehearsal is under way" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_it_tells_progress_figures_and_pictures(live: LivePage) -> None:
    """Bars, figures and every picture are those of the latest look."""
    told = await tell(live)

    assert told["phase"] == "playing"
    assert told["at_s"] == 10.0
    assert told["bars"] == {"came": [120, 140], "gone": [30, 140], "sold": [40, 40]}
    assert told["remaining_s"] == pytest.approx(110 * 10 / 30)
    assert told["figures"]["hold_p99"] == "33 ms"
    assert told["figures"]["connections"] == "7"
    assert told["charts"].keys() == CHARTS.keys()
    assert all("<polyline" in svg for svg in told["charts"].values())


async def test_pages_of_other_sites_are_not_answered(live: LivePage) -> None:
    """Whoever comes by another name, as a name rebound to this machine would, is sent away."""
    for path in ("", "now", "report"):
        status, text, _ = await read(live.url + path, host="evil.example")
        assert status == 403
        assert "svg" not in text


async def test_report_is_there_when_it_is_finished(live: LivePage) -> None:
    """While it runs there is no report; whoever looks on at the end is told so, and fetches it."""
    assert (await read(live.url + "report"))[0] == 404
    assert (await tell(live))["phase"] == "playing"

    ending = asyncio.create_task(live.finish(an_outcome()))
    told: dict[str, Any] = {}
    while told.get("phase") != "done":
        told = await tell(live)
    assert told["standing"] == "held"
    status, text, _ = await read(live.url + "report")

    await ending
    assert status == 200
    assert "Everything held." in text


async def test_nobody_is_waited_for_when_nobody_looks_on(live: LivePage) -> None:
    """Without anybody at the page the rehearsal ends at once."""
    await live.finish(an_outcome())

    assert live.view.phase == "done"


async def test_trouble_is_told_to_who_looks_on() -> None:
    """What ends a rehearsal is on the page before it goes."""
    page = LivePage(LiveView(visitors=1, units=1, last_arrival_s=1.0))
    told: dict[str, Any] = {}

    async def look_on() -> None:
        while told.get("phase") != "failed":
            told.update(await tell(page))

    async def run() -> None:
        async with page.served(0):
            await tell(page)
            looking.append(asyncio.create_task(look_on()))
            raise RuntimeError("a driver broke down")

    looking: list[asyncio.Task[None]] = []
    with pytest.raises(RuntimeError):
        await run()
    await looking[0]
    assert told["trouble"] == "a driver broke down"


async def test_port_that_is_taken_is_named(live: LivePage) -> None:
    """A port in use ends with a line that names it."""
    port = int(live.url.rsplit(":", 1)[1].strip("/"))
    other = LivePage(LiveView(visitors=1, units=1, last_arrival_s=1.0))

    with pytest.raises(LiveError, match=f"port {port}"):
        async with other.served(port):
            pass


def test_live_page_says_everything_in_both_languages() -> None:
    """No text is missing in either language."""
    assert CATALOGUES["ko"].keys() == CATALOGUES["en"].keys()
