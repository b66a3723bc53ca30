"""Every text of a capacity report, in each language that it speaks."""

from collections.abc import Mapping
from types import MappingProxyType

from sunseo.core.languages import Language
from sunseo.rehearsal.report.texts import CATALOGUES as OF_REPORTS

_ENGLISH = {
    "title": "Capacity",
    "found": "{rate} arrivals a second hold.",
    "none": "Not even the lowest rate holds the bounds.",
    "partial": "Stopped before the search had ended; this is what was known by then.",
    "interval": "At {failed} a second they broke: {broken}.",
    "ceiling": "That is the highest rate that was asked for; where the bounds break is not known.",
    "binding": "What binds",
    "binding.nothing": "Nothing did, up to the highest rate that was asked for. Raise --to.",
    "binding.crowd": "The crowd's own processes ({crowd} cores, late by {late} ms): the server was"
    " not measured to its end. Use more --drivers, or rehearse from another machine.",
    "binding.cpu": "The processor: {busy} of {cores} cores were busy (server {server}, database"
    " {database}, crowd {crowd}, other programs {others}).",
    "binding.others": "Other programs on this machine: all {cores} cores were busy, {others} of"
    " them not with this rehearsal (server {server}, database {database}, crowd {crowd}). Search"
    " again when they are quiet.",
    "binding.worker": "The workers: {server} cores for {workers}, while the machine had some left.",
    "binding.lane": "The lane: it flushed {lane} of each second, and most of that was thinking.",
    "binding.database": "The database: lanes flushed {lane} of each second, and most of that was"
    " waiting for PostgreSQL.",
    "binding.unknown": "Nothing that the looks show.",
    "bounds": "Bounds",
    "law": "Little's law with the measured numbers put in: L = λ W",
    "law.station": "where",
    "law.rate": "λ, per second",
    "law.wait": "W",
    "law.product": "λ W",
    "law.seen": "L, as counted",
    "law.inside": "people inside the room",
    "law.server": "requests under way in the server",
    "law.lanes": "lanes at work, each on its connection",
    "law.note": "Taken at {rate} arrivals a second. Where L could be counted, too, it stands beside"
    " the product: the nearer they are, the more the figures can be trusted.",
    "advice": "What to set",
    "advice.setting": "setting",
    "advice.value": "value",
    "advice.why": "why",
    "advice.capacity": "{rate} people entered per second and stayed {wait_s} s: {people} inside at"
    " once, a tenth off. In this rehearsal they stay {wait_s} s; where yours stay longer, multiply:"
    " a minute each makes {a_minute}.",
    "advice.workers": "The server used {cores} of {machine} cores; one worker for each core that it"
    " needs, and none above the cores there are.",
    "advice.lanes": "A worker's busiest kind of lane was at work {busy} of the time. A sale always"
    " goes to the same lane: more than one helps many sales, never one (here {sales}).",
    "advice.requests_max": "About a second's worth of the {requests} requests per second: who comes"
    " on top is told at once to come back.",
    "advice.max_connections": "PostgreSQL's. {workers} worker(s) opened {opened} connections and"
    " used {used} at a time on average; ten are left for you. Each further worker opens as many.",
    "probes": "All probes",
    "probe.rate": "arrivals/s",
    "probe.requests": "requests/s",
    "probe.cores": "cores",
    "probe.held": "held",
    "probe.broken": "broken: {what}",
    "chart.rates": "p99 in milliseconds, by arrivals per second",
    "settings.probe": "Each probe",
    "settings.probe.text": "{seconds} s, of which the later half counts; a rate is too high when it"
    " fails twice, and found when it holds twice",
}

_KOREAN = {
    "title": "수용량",
    "found": "초당 {rate}명까지 버팁니다.",
    "none": "가장 낮은 도착률에서도 기준을 지키지 못했습니다.",
    "partial": "찾기가 끝나기 전에 멈췄습니다. 그때까지 알게 된 것입니다.",
    "interval": "초당 {failed}명에서는 지키지 못했습니다: {broken}.",
    "ceiling": "시험하도록 한 가장 높은 도착률입니다. 어디서 무너지는지는 알 수 없습니다.",
    "binding": "무엇이 한계인가",
    "binding.nothing": "가장 높은 도착률까지 한계에 닿은 것이 없습니다. --to를 높여 보십시오.",
    "binding.crowd": "방문자 모사 자신입니다(코어 {crowd}개, {late} ms 늦음). 서버는 끝까지 재지"
    " 못했습니다. --drivers를 늘리거나 다른 기계에서 실행하십시오.",
    "binding.cpu": "프로세서입니다. 코어 {cores}개 가운데 {busy}개를 쓰고 있었습니다(서버 {server},"
    " 데이터베이스 {database}, 방문자 모사 {crowd}, 다른 프로그램 {others}).",
    "binding.others": "이 기계의 다른 프로그램입니다. 코어 {cores}개가 모두 바빴고 그 가운데"
    " {others}개는 예행연습이 쓰지 않았습니다(서버 {server}, 데이터베이스 {database}, 방문자 모사"
    " {crowd}). 조용할 때 다시 찾으십시오.",
    "binding.worker": "워커입니다. 기계에 코어가 남는데 워커 {workers}개가 코어 {server}개를 다"
    " 썼습니다.",
    "binding.lane": "레인입니다. 1초에 {lane}초를 처리에 썼고, 대부분 계산이었습니다.",
    "binding.database": "데이터베이스입니다. 레인이 1초에 {lane}초를 처리에 썼고, 대부분"
    " PostgreSQL을 기다렸습니다.",
    "binding.unknown": "관측값에 드러나지 않습니다.",
    "bounds": "기준",
    "law": "잰 값을 넣은 리틀의 법칙: L = λ W",
    "law.station": "어디",
    "law.rate": "λ(초당)",
    "law.wait": "W",
    "law.product": "λ W",
    "law.seen": "세어 본 L",
    "law.inside": "대기실 안에 있는 사람",
    "law.server": "서버가 처리하고 있는 요청",
    "law.lanes": "연결 하나씩을 쥐고 일하는 레인",
    "law.note": "초당 {rate}명일 때의 값입니다. L을 따로 셀 수 있으면 곱 옆에 적었습니다. 두 값이"
    " 가까울수록 믿을 만합니다.",
    "advice": "무엇을 얼마로",
    "advice.setting": "설정",
    "advice.value": "값",
    "advice.why": "까닭",
    "advice.capacity": "초당 {rate}명이 들어와 {wait_s}초씩 머물러 {people}명이 안에 있었고, 1할을"
    " 뺐습니다. 이 예행연습에서는 {wait_s}초를 머뭅니다. 실제로 더 오래 머물면 그만큼 곱하십시오."
    " 1분씩이면 {a_minute}명입니다.",
    "advice.workers": "서버가 코어 {machine}개 가운데 {cores}개를 썼습니다. 필요한 코어마다 워커"
    " 하나, 코어 수보다 많지 않게.",
    "advice.lanes": "워커에서 가장 바쁜 레인이 시간의 {busy}만큼 일했습니다. 한 판매는 늘 같은"
    " 레인으로 가므로, 둘 이상은 판매가 많을 때만 도움이 됩니다(여기서는 {sales}개).",
    "advice.requests_max": "초당 {requests}건의 약 1초어치입니다. 그보다 많이 온 요청에는 곧바로"
    " 나중에 오라고 합니다.",
    "advice.max_connections": "PostgreSQL의 설정입니다. 워커 {workers}개가 연결 {opened}개를 열어"
    " 평균 {used}개를 썼고, 열 개를 남겨 둡니다. 워커를 하나 늘릴 때마다 그만큼 더 엽니다.",
    "probes": "모든 시험",
    "probe.rate": "초당 도착",
    "probe.requests": "초당 요청",
    "probe.cores": "코어",
    "probe.held": "지킴",
    "probe.broken": "못 지킴: {what}",
    "chart.rates": "초당 도착에 따른 p99(밀리초)",
    "settings.probe": "시험 하나",
    "settings.probe.text": "{seconds}초, 그 뒤쪽 절반만 셉니다. 두 번 못 지키면 너무 높은 것이고,"
    " 두 번 지키면 찾은 것입니다",
}

CATALOGUES: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {
        "ko": MappingProxyType({**OF_REPORTS["ko"], **_KOREAN}),
        "en": MappingProxyType({**OF_REPORTS["en"], **_ENGLISH}),
    }
)
