"""Every text of an incident report, in each language that it speaks."""

from collections.abc import Mapping
from types import MappingProxyType

from sunseo.core.languages import Language

_ENGLISH = {
    "language": "English",
    "title": "Incident report",
    "lead": "“{scenario}” was rehearsed with {visitors} visitors and seed {seed}, on {started}."
    " {count} faults were planned; {done} were done.",
    "zero": "Moments are counted from the opening (T+0).",
    "overview": "At a glance",
    "fault": "fault",
    "at": "at",
    "noticed": "noticed after",
    "served": "served as before after",
    "hurt": "visitors hurt",
    "lost": "acknowledged, then lost",
    "seconds": "{seconds} s",
    "moment": "T+{seconds} s",
    "nobody": "by nobody",
    "not_seen": "not seen",
    "not_checked": "not checked",
    "not_done": "It was not done: {why}.",
    "gone_by_then": "the crowd had gone by then",
    "fault.kill-worker": "A worker is killed",
    "fault.kill-server": "The whole server is killed",
    "fault.pause-server": "The server stands still",
    "fault.kill-db": "PostgreSQL is killed",
    "fault.pause-db": "PostgreSQL stands still",
    "fault.cut-network": "The network is cut",
    "fault.hang-network": "The network hangs",
    "fault.slow-network": "The network is slow",
    "cause.kill-worker": "SIGKILL to one worker process; its supervisor replaces it.",
    "cause.kill-server": "SIGKILL to the supervisor, all workers and all of PostgreSQL at once, as"
    " when a machine loses its power. The server was started again when the fault was over.",
    "cause.pause-server": "SIGSTOP to the supervisor and all workers, SIGCONT at the end.",
    "cause.kill-db": "SIGKILL to all processes of PostgreSQL; the server starts it again, and it"
    " recovers from its log.",
    "cause.pause-db": "SIGSTOP to all processes of PostgreSQL, SIGCONT at the end.",
    "cause.cut-network": "Between visitors and server all connections were broken and new ones"
    " refused.",
    "cause.hang-network": "Between visitors and server nothing moved and nothing broke.",
    "cause.slow-network": "Between visitors and server every byte came {delay} ms later, each way.",
    "cause.processes": "Process numbers ({count}): {numbers}.",
    "cause.connections": "{count} connections were open at that moment.",
    "timeline": "Timeline",
    "impact": "Impact",
    "cause": "Cause",
    "recovery": "Recovery",
    "held": "What held",
    "line.over": "It is over",
    "line.cut_short": "The next fault begins, or the crowd has gone",
    "line.visitors": "Visitors notice",
    "line.readyz": "/readyz says no, or nothing",
    "line.metrics": "/metrics shows it: {metric}",
    "line.log": "The server's log: {event} {about}",
    "line.times": "({times} times)",
    "line.ready": "/readyz says yes again, and goes on saying so",
    "line.served": "For a second nobody is turned away, and nobody waits longer than before",
    "line.level": "As many are answered as before",
    "line.settled": "The last visitor in trouble has her answer",
    "metric.silence": "no answer",
    "metric.database_errors": "database errors",
    "metric.loop_failures": "background work that fails",
    "metric.shed": "requests shed",
    "impact.hurt": "Visitors in trouble",
    "impact.kinds": "Their requests, by first trouble",
    "impact.at": "What they wanted",
    "impact.waited": "They waited: half of them up to; longest",
    "impact.unanswered": "Requests never answered",
    "impact.slow": "Answers that took over a second",
    "impact.good": "Answers a second: before; at worst",
    "impact.p99": "p99 in ms: before; in the worst second",
    "impact.fewer": "Answers missing, compared with before",
    "kind.no_connection": "connection refused",
    "kind.no_answer": "connection broken",
    "kind.later": "told to come back",
    "kind.error": "error",
    "recovery.served": "{after} s after it began, {over} s after it was over, visitors were served"
    " as before.",
    "recovery.level": "After {after} s as many a second were answered as before.",
    "recovery.no_level": "As many answers a second as before were not seen again within {watched}"
    " s:"
    " fewer visitors were there to ask, or another fault began.",
    "recovery.none": "Within {watched} s, when another fault began or the crowd had gone, visitors"
    " were not served as before.",
    "recovery.settled": "The last visitor in trouble was answered after {after} s.",
    "held.kept": "In the second before and until all was well, visitors were told {acknowledged}"
    " orders and places. Not stored are: {lost}.",
    "held.unknown": "Visitors were told {acknowledged} orders and places; the database was out of"
    " reach to compare them with.",
    "picture.answers": "Answers per second",
    "picture.latency": "Latency in milliseconds",
    "picture.axis": "Seconds from the beginning of the fault (0); the dashed red line is its end.",
    "curve.good": "good answers",
    "curve.troubled": "put off, refused or lost",
    "verdict": "The verdict on the whole rehearsal",
    "again": "Run it again",
}

_KOREAN = {
    "language": "한국어",
    "title": "장애 보고서",
    "lead": "“{scenario}” 예행연습을 방문자 {visitors}명, 시드 {seed}로 {started}에 했습니다."
    " 계획한 장애 {count}건 가운데 {done}건을 일으켰습니다.",
    "zero": "시각은 오픈(T+0)부터 셉니다.",
    "overview": "한눈에 보기",
    "fault": "장애",
    "at": "시각",
    "noticed": "알아차리기까지",
    "served": "예전처럼 응대하기까지",
    "hurt": "피해 방문자",
    "lost": "약속했다가 잃은 것",
    "seconds": "{seconds}초",
    "moment": "T+{seconds}초",
    "nobody": "아무도 모름",
    "not_seen": "보지 못함",
    "not_checked": "확인하지 못함",
    "not_done": "일으키지 못했습니다: {why}.",
    "gone_by_then": "그때는 방문자가 모두 떠난 뒤였습니다",
    "fault.kill-worker": "워커 하나를 강제 종료",
    "fault.kill-server": "서버 전체를 강제 종료",
    "fault.pause-server": "서버가 멈춰 섬",
    "fault.kill-db": "PostgreSQL을 강제 종료",
    "fault.pause-db": "PostgreSQL이 멈춰 섬",
    "fault.cut-network": "네트워크가 끊김",
    "fault.hang-network": "네트워크가 먹통",
    "fault.slow-network": "네트워크가 느려짐",
    "cause.kill-worker": "워커 프로세스 하나에 SIGKILL을 보냈습니다. 감독 프로세스가 새 워커로"
    " 바꿉니다.",
    "cause.kill-server": "기계의 전원이 나간 것처럼 감독 프로세스, 모든 워커, PostgreSQL 전체에"
    " 한꺼번에"
    " SIGKILL을 보냈습니다. 장애가 끝났을 때 서버를 다시 시작했습니다.",
    "cause.pause-server": "감독 프로세스와 모든 워커에 SIGSTOP을 보내고, 끝에 SIGCONT를"
    " 보냈습니다.",
    "cause.kill-db": "PostgreSQL의 모든 프로세스에 SIGKILL을 보냈습니다. 서버가 다시 시작하고,"
    " PostgreSQL은 로그에서 복구합니다.",
    "cause.pause-db": "PostgreSQL의 모든 프로세스에 SIGSTOP을 보내고, 끝에 SIGCONT를 보냈습니다.",
    "cause.cut-network": "방문자와 서버 사이의 연결을 모두 끊고 새 연결을 거절했습니다.",
    "cause.hang-network": "방문자와 서버 사이에서 아무것도 오가지 않았고 끊어지지도 않았습니다.",
    "cause.slow-network": "방문자와 서버 사이의 모든 바이트가 한 방향에 {delay} ms씩 늦게"
    " 왔습니다.",
    "cause.processes": "프로세스 {count}개: {numbers}.",
    "cause.connections": "그때 열려 있던 연결은 {count}개입니다.",
    "timeline": "시간 순서",
    "impact": "영향",
    "cause": "원인",
    "recovery": "복구",
    "held": "지켜진 것",
    "line.over": "장애가 끝남",
    "line.cut_short": "다음 장애가 시작되거나 방문자가 모두 떠남",
    "line.visitors": "방문자가 알아차림",
    "line.readyz": "/readyz가 준비되지 않았다고 하거나 답이 없음",
    "line.metrics": "/metrics에 드러남: {metric}",
    "line.log": "서버 로그: {event} {about}",
    "line.times": "({times}번)",
    "line.ready": "/readyz가 다시 준비되었다고 하고, 그대로 이어짐",
    "line.served": "1초 동안 돌려보낸 사람이 없고, 예전보다 오래 기다린 사람도 없음",
    "line.level": "예전만큼 많이 응대함",
    "line.settled": "어려움을 겪은 마지막 방문자가 답을 받음",
    "metric.silence": "답이 없음",
    "metric.database_errors": "데이터베이스 오류",
    "metric.loop_failures": "실패한 뒷일",
    "metric.shed": "나중에 오라고 한 요청",
    "impact.hurt": "어려움을 겪은 방문자",
    "impact.kinds": "그 요청들이 처음 겪은 일",
    "impact.at": "하려던 일",
    "impact.waited": "기다린 시간: 절반은 이 안에, 최장",
    "impact.unanswered": "끝내 답을 받지 못한 요청",
    "impact.slow": "1초 넘게 걸린 답",
    "impact.good": "초당 응답: 이전, 최악",
    "impact.p99": "p99(밀리초): 이전, 최악의 1초",
    "impact.fewer": "이전 수준에 견주어 모자란 응답",
    "kind.no_connection": "연결 거절",
    "kind.no_answer": "연결 끊김",
    "kind.later": "나중에 오라는 답",
    "kind.error": "오류",
    "recovery.served": "시작된 지 {after}초 뒤, 끝난 지 {over}초 뒤에 방문자를 예전처럼"
    " 응대했습니다.",
    "recovery.level": "{after}초 뒤에는 1초에 예전만큼 많이 응대했습니다.",
    "recovery.no_level": "{watched}초 안에 초당 응답이 예전 수준으로 돌아온 것은 보지 못했습니다."
    " 물어볼"
    " 방문자가 줄었거나 다음 장애가 시작되었습니다.",
    "recovery.none": "다음 장애가 시작되거나 방문자가 모두 떠난 {watched}초 안에는 예전처럼"
    " 응대하지"
    " 못했습니다.",
    "recovery.settled": "어려움을 겪은 마지막 방문자는 {after}초 뒤에 답을 받았습니다.",
    "held.kept": "장애 1초 전부터 모두 나아질 때까지 방문자에게 주문과 번호 {acknowledged}건을"
    " 알렸습니다. 그 가운데 저장되지 않은 것: {lost}건.",
    "held.unknown": "방문자에게 주문과 번호 {acknowledged}건을 알렸습니다. 데이터베이스에 닿을 수"
    " 없어"
    " 대조하지 못했습니다.",
    "picture.answers": "초당 응답",
    "picture.latency": "지연(밀리초)",
    "picture.axis": "장애가 시작된 때(0)부터의 초. 붉은 점선이 장애의 끝입니다.",
    "curve.good": "제대로 된 답",
    "curve.troubled": "미룸, 거절, 끊김",
    "verdict": "예행연습 전체의 판정",
    "again": "다시 실행하기",
}

CATALOGUES: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {"ko": MappingProxyType(_KOREAN), "en": MappingProxyType(_ENGLISH)}
)
