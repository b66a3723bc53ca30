"""The pages of a rehearsal in a real browser: the live page to its end, and reports on a phone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
import pytest

from sunseo.rehearsal.capacity.page import render_page
from sunseo.rehearsal.capacity.result import CapacityResult, SearchTerms
from sunseo.rehearsal.report.compare import Compared, compare
from sunseo.rehearsal.report.live import server
from sunseo.rehearsal.report.live.server import LivePage
from sunseo.rehearsal.report.live.view import LiveView
from sunseo.rehearsal.report.page import render_report
from sunseo.rehearsal.report.result import Options
from tests.acceptance.browsers import FLAGS, chromium_path, needs_chromium
from tests.probes import a_probe
from tests.rehearsed import an_outcome, progress, sample

if TYPE_CHECKING:  # which it takes half a second to import
    from playwright.async_api import Browser, Page

pytestmark = needs_chromium

PATIENCE_MS = 120_000
PHONE, DESK = 390, 1280


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path(), args=list(FLAGS), timeout=PATIENCE_MS
        )
        yield browser
        await browser.close()


async def open_page(browser: Browser, width: int) -> Page:
    page = await browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(PATIENCE_MS)
    return page


async def overflow(page: Page) -> int:
    """How far the page is wider than the screen."""
    wider: int = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return wider


async def test_live_page_shows_the_crowd_and_keeps_the_report(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fills in figures and pictures, speaks both languages, and outlives the rehearsal."""
    monkeypatch.setattr(server, "LOOKS_ON_S", 600.0)  # however busy this machine is
    monkeypatch.setattr(server, "LINGER_S", 600.0)
    live = LivePage(LiveView(visitors=140, units=40, last_arrival_s=12.0))
    complaints: list[str] = []
    async with live.served(0):
        page = await open_page(browser, PHONE)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(live.url)
        for second in range(11):
            live.view.note_sample(sample(second))
            live.view.note_progress(progress(float(second), 12 * second))
        await page.wait_for_selector("main[lang=ko] h1:visible:text('예행연습 중입니다')")
        await page.wait_for_selector("main[lang=ko] [data-bar=came]:text('120 / 140')")
        await page.click("label[for=en]")
        await page.wait_for_selector("main[lang=en] [data-chart=latency] svg")
        assert await overflow(page) <= 0

        ending = asyncio.create_task(live.finish(an_outcome()))
        await page.wait_for_selector("main[lang=en] [data-end]:visible")
        await ending
    async with page.expect_popup() as opened:
        await page.click("main[lang=en] [data-report]")
    report = await opened.value
    await report.wait_for_selector("h1:visible")
    assert "모두 지켜졌습니다." in await report.inner_text("h1:visible")
    assert complaints == []


@pytest.mark.parametrize("width", [PHONE, DESK])
async def test_reports_fit_the_screen(browser: Browser, width: int) -> None:
    """Neither report is wider than a phone or a desk's screen, in either language."""
    earlier, now = an_outcome(sold_out_s=30.0), an_outcome()
    one, other = (msgspec.convert(msgspec.to_builtins(of), Compared) for of in (earlier, now))
    compared = msgspec.structs.replace(now, comparison=compare(one, other))
    capacity = CapacityResult(
        started_at=now.started_at,
        options=Options(name="concert", scenario=now.options.scenario, seed=5),
        terms=SearchTerms(
            slos=("p99(hold) <= 500 ms",), probe_s=20.0, first=10.0, ceiling=99.0, precision=0.1
        ),
        machine=now.machine,
        found=50.0,
        failed_at=100.0,
        binding="cpu",
        probes=[a_probe(rate=50.0, held=True, broken=[]), a_probe()],
        advice=[],
        whole=True,
    )
    page = await open_page(browser, width)
    for html in (render_report(compared), render_page(capacity)):
        await page.set_content(html)
        for language in ("ko", "en"):
            await page.click(f"label[for={language}]")
            assert await overflow(page) <= 0
