"""Every text of the live page, in each language that it speaks; curves are named as in reports."""

from collections.abc import Mapping
from types import MappingProxyType

from sunseo.core.languages import Language
from sunseo.rehearsal.report.texts import CATALOGUES as OF_REPORTS

_ENGLISH = {
    "phase.preparing": "Getting ready ...",
    "phase.playing": "The rehearsal is under way",
    "phase.judging": "The crowd has gone. Holding what it was told against what is stored ...",
    "phase.failed": "The rehearsal could not be run to its end.",
    "phase.lost": "The rehearsal has ended, and nobody answers here any more.",
    "clock.before": "T",
    "clock.after": "s from the opening",
    "left.before": "about",
    "left.after": "s to go",
    "bar.came": "came",
    "bar.gone": "gone home",
    "bar.sold": "sold",
    "figure.in_line": "in line",
    "figure.inside": "inside",
    "figure.orders": "orders",
    "figure.requests": "requests",
    "figure.hold_p99": "p99 of holds",
    "figure.connections": "database connections",
    "open": "Open the report",
    "kept": "It is kept by this tab, whatever becomes of the rehearsal's process.",
}

_KOREAN = {
    "phase.preparing": "준비하고 있습니다 ...",
    "phase.playing": "예행연습 중입니다",
    "phase.judging": "방문자가 모두 돌아갔습니다. 들은 것과 저장된 것을 대조하고 있습니다 ...",
    "phase.failed": "예행연습을 끝까지 하지 못했습니다.",
    "phase.lost": "예행연습이 끝나 더는 응답이 없습니다.",
    "clock.before": "오픈 기준",
    "clock.after": "초",
    "left.before": "약",
    "left.after": "초 남음",
    "bar.came": "도착",
    "bar.gone": "돌아감",
    "bar.sold": "판매",
    "figure.in_line": "줄 서 있음",
    "figure.inside": "안에 있음",
    "figure.orders": "주문",
    "figure.requests": "요청",
    "figure.hold_p99": "선점 p99",
    "figure.connections": "데이터베이스 연결",
    "open": "보고서 열기",
    "kept": "예행연습 프로그램이 끝나도 이 탭이 보고서를 간직합니다.",
}

CATALOGUES: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {
        "ko": MappingProxyType({**OF_REPORTS["ko"], **_KOREAN}),
        "en": MappingProxyType({**OF_REPORTS["en"], **_ENGLISH}),
    }
)
