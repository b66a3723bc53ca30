"""The report: what it says, and that it says it in both languages."""

from typing import Any

import msgspec
import pytest

from sunseo.rehearsal.report.compare import Compared, compare
from sunseo.rehearsal.report.page import render_report
from sunseo.rehearsal.report.result import Result
from sunseo.rehearsal.report.slowest import SlowMoment
from sunseo.rehearsal.scenes.kinds import check_names
from tests.rehearsed import an_outcome, options


def against(earlier: Result, now: Result) -> Result:
    """The later one, compared with the earlier."""
    one, other = (msgspec.convert(msgspec.to_builtins(of), Compared) for of in (earlier, now))
    return msgspec.structs.replace(now, comparison=compare(one, other))


def slow(**given: Any) -> Result:
    moment = {"from_s": 3, "to_s": 5, "operation": "hold", "p99": 1234.4, "figures": {}} | given
    return an_outcome(slowest=[moment])


def test_page_stands_alone_with_all_its_parts() -> None:
    """Verdict, why, figures, pictures, funnel, machine and the way to run it again; no other
    host.
    """
    page = render_report(an_outcome())

    for text in ("Everything held.", "모두 지켜졌습니다.", "p99 of holds", "선점 p99"):
        assert text in page
    checks = len(check_names())
    things = 40 * checks
    assert f"{checks} checks compared {things} things and found 0 faults; 0 checks could" in page
    assert page.count("<svg") == 20  # ten pictures in each language
    assert "--seed 5" in page
    assert "--compare FILE" in page
    for way in ("src=", "href=", "url(", "<script"):
        assert way not in page


def test_slow_moments_are_told_with_their_causes() -> None:
    """When, what, how slow; the probable cause with its figures first, then what else was seen."""
    figures = {"cores": 1.95, "server": 1.0, "database": 0.5, "crowd": 0.4, "others": 0.05}
    figures |= {"flush_ms": 80.0, "lane_wait_ms": 400.0, "shed": 0.12}
    page = render_report(slow(causes=["cpu", "lane", "shed"], figures=figures))

    assert "3 to 5 s: hold, p99 up to 1,234 ms" in page
    assert "Probably the processor: 1.95 of 2 cores were busy (server 1.00, database 0.50," in page
    assert "Also seen: the wait in a lane: 400 ms for the batch, 80 ms for a flush." in page
    assert "Also seen: overload: the server was full and told 12% of the requests" in page
    assert "짐작되는 원인: 프로세서. 코어 2개 가운데 1.95개" in page


@pytest.mark.parametrize("cause", ["unseen", "cpu", "crowd", "database", "lane", "shed", "unknown"])
def test_every_cause_has_its_words(cause: str) -> None:
    """Whatever a moment's cause is, the page finds words for it."""
    assert (
        cause
        in msgspec.json.schema(SlowMoment)["$defs"]["SlowMoment"]["properties"]["causes"]["items"][
            "enum"
        ]
    )
    assert "Probably" in render_report(slow(causes=[cause]))


def test_smooth_rehearsal_says_so() -> None:
    """Where nothing was slow the page says that, too."""
    assert "No moment was slow" in render_report(an_outcome())


def test_comparison_with_the_same_settings() -> None:
    """The page says that settings are the same, then what is worse, then what is better."""
    page = render_report(against(an_outcome(sold_out_s=20.0, retries=0), an_outcome(retries=50)))

    assert "the same scenario, the same settings." in page
    english = page[page.index('<main lang="en">') :]
    assert english.index("Sent again") < english.index(">Sold out<")
    assert "-50% better" in page
    assert "나아짐" in page
    assert "which was asked for otherwise" not in page


def test_comparison_with_other_settings_says_so_first() -> None:
    """What was asked for otherwise is named, with both values, ahead of any figure."""
    earlier = an_outcome(options=options(visitors=70))
    page = render_report(against(earlier, an_outcome()))

    assert "these figures are those of two different rehearsals" in page
    assert "<tr><td><code>scenario.visitors</code></td><td>70</td><td>140</td></tr>" in page


def test_names_in_an_earlier_file_are_harmless() -> None:
    """Text out of a file that somebody handed on is text on the page, never markup."""
    earlier = an_outcome(started_at="<script>alert(1)</script>")
    page = render_report(against(earlier, an_outcome()))

    assert "<script>" not in page
