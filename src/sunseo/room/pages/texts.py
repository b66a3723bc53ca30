"""Every text of the pages, Korean and English.

A typed catalogue instead of gettext: there are two languages, a hundred short texts and no plural
that a number in front does not settle; the type checker then finds a text that is missing or
misspelt, and nothing has to be compiled. Names in braces are filled in by `str.format`; what the
page's script fills in as well is sent along as it stands.
"""

import msgspec

from sunseo.core.languages import Language


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a page can say in one language."""

    name: str  # of the language, in itself
    direction: str = "ltr"

    # On every page
    waiting_room: str
    language: str
    kept: str
    no_script: str
    reference: str

    # Getting a number
    joining: str
    joining_more: str
    joining_draw: str
    joining_draw_more: str
    joining_over: str
    joining_over_more: str
    cookies_off: str
    cookies_off_more: str
    site_cookies_off: str
    site_cookies_off_more: str
    accounts_only: str
    accounts_only_more: str
    accounts_link: str
    challenge: str
    challenge_more: str
    challenge_working: str
    challenge_failed: str
    challenge_away: str
    challenge_needs_script: str
    challenge_done: str

    # In line
    in_line: str
    ahead: str
    ahead_unit: str
    your_number: str
    wait: str
    wait_unknown: str
    less_than_a_minute: str
    minutes: str
    minutes_range: str
    hours: str
    hours_range: str
    units_left: str
    from_operator: str
    progress: str
    updated: str
    offline: str
    slowed: str
    paused: str
    unhealthy: str
    paused_title: str
    paused_out: str
    stock_holds: str
    draining: str
    next: str

    # Before it opens
    before: str
    opens_at: str
    opens_in: str
    countdown: str
    countdown_days: str
    join_from: str
    place_ready: str
    before_paused: str

    # In a room that draws
    registered: str
    registered_more: str
    draw_soon: str
    draw_at_opening: str
    draw_now: str
    draw_held: str
    draw_waits: str
    draw_withheld: str
    draw_after_pause: str
    draw_behind: str
    place_behind: str
    draw_first: str
    draw_first_waits: str
    draw_first_withheld: str
    no_draw: str
    no_draw_more: str
    draw: str
    draw_entrants: str
    draw_keeper: str
    keeper_server: str
    keeper_operator: str
    keeper_second_party: str
    draw_commitment: str
    draw_receipt: str
    draw_id: str
    draw_check: str
    draw_check_note: str
    draw_check_file: str
    draw_check_run: str
    draw_check_says: str

    # At the front
    turn: str
    turn_more: str
    enter: str
    entering: str
    full: str
    full_more: str
    turn_title: str
    inside: str
    inside_more: str
    proceed: str

    # The end
    sold_out: str
    sold_out_more: str
    closed: str
    closed_more: str
    revoked: str
    revoked_more: str
    done: str
    done_more: str
    session_over: str
    session_over_more: str
    again: str
    started_anew: str

    # What is wrong
    unknown: str
    unknown_more: str
    bad_return: str
    bad_return_more: str
    too_many: str
    too_many_more: str
    busy: str
    busy_more: str
    stale_form: str
    stale_form_more: str
    wrong: str
    wrong_more: str
    reload: str


EN = Texts(
    name="English",
    waiting_room="Waiting room",
    language="Language",
    kept="Your place is kept in this browser. You may reload this page, close it and come back.",
    no_script="This page renews itself. You need not do anything.",
    reference="Reference",
    joining="One moment, you are getting your number",
    joining_more="This page continues by itself in a second.",
    joining_draw="One moment, you are being registered for the draw",
    joining_draw_more="This page continues by itself in a second.",
    joining_over="Nobody else can join now",
    joining_over_more="Those who are in line are still let in.",
    site_cookies_off="The site you want to visit needs cookies",
    site_cookies_off_more="It is your turn, and you were sent there twice; but your browser keeps "
    "no cookies of that site, and so lost your pass. Please allow cookies for it, then go on. "
    "Your place is kept meanwhile.",
    cookies_off="This page needs cookies",
    cookies_off_more="Your place in line is kept in a cookie, and your browser did not keep it. "
    "Please allow cookies for this site and load the page again.",
    accounts_only="Please come from the site itself",
    accounts_only_more="In this line everybody waits under her own account. Sign in on the site "
    "and start from there: you will have the same number on all your devices.",
    accounts_link="To {site}",
    challenge="A short check before you join",
    challenge_more="It keeps automated visitors out and takes a few seconds.",
    challenge_working="Your browser is doing a small calculation …",
    challenge_failed="The check did not succeed or took too long. Please try again.",
    challenge_away="The check cannot be made at the moment. Please try again in a few seconds.",
    challenge_needs_script="This check needs JavaScript. Please allow it for this page, or come "
    "with another browser.",
    challenge_done="Join the line",
    in_line="You are in line",
    ahead="People ahead of you",
    ahead_unit="",
    your_number="Your number",
    wait="Expected wait",
    wait_unknown="not known yet",
    less_than_a_minute="less than a minute",
    minutes="about {to} min",
    minutes_range="about {from} to {to} min",
    hours="about {to} h",
    hours_range="about {from} to {to} h",
    units_left="Still available",
    from_operator="Message from the organiser",
    progress="How far you have come",
    updated="As of {time}",
    offline="No connection at the moment. Your place is kept; we keep trying.",
    slowed="It is slower than expected, so the wait grows.",
    paused="Nobody is being let in for the moment. Your place is kept.",
    unhealthy="The site behind this line is under strain, so fewer are let in for now.",
    paused_title="The line has been stopped for a moment",
    paused_out="Nobody is being let in for the moment.",
    stock_holds="Those who are inside could take all that is left. Your place is kept; the line "
    "goes on if something remains.",
    draining="Nobody else can join now. Those who are in line are still let in.",
    next="You are next",
    before="Not open yet",
    opens_at="Opens",
    opens_in="Time left",
    countdown="{hours}:{minutes}:{seconds}",
    countdown_days="{days} d {hours}:{minutes}:{seconds}",
    join_from="You can join the line from {time} on.",
    place_ready="You have your place. The line begins to move when it opens.",
    before_paused="The organiser has stopped this line for now. Nobody is let in at the opening "
    "unless it goes on by then.",
    registered="You take part in the draw",
    registered_more="When it opens, all who came before are put in random order. It makes no "
    "difference when you came. Your number then appears here.",
    draw_soon="Whoever joins before the opening takes part in a draw for the order. It makes no "
    "difference who comes first.",
    draw_at_opening="Registration is over. The draw is held when it opens, and your number then "
    "appears here.",
    draw_now="The draw is being held. Your number appears here in a moment.",
    draw_held="The draw has been held. Your number appears here in a moment.",
    draw_waits="Registration is over. The draw waits for its secret, which is not kept on this "
    "server. It is held as soon as that is revealed, and your number then appears here.",
    draw_withheld="The secret for the draw was not revealed, so the draw could not be held yet. "
    "You still take part: it is held as soon as there is a secret.",
    draw_after_pause="You take part in the draw. It is held when the line goes on, and your number "
    "then appears here.",
    draw_behind="Registration for the draw is over. Whoever joins now stands behind those who took "
    "part.",
    place_behind="You have your place, behind those who take part in the draw. The line begins to "
    "move when it has opened and the draw has been held.",
    draw_first="Those who registered before you are being drawn first. Your place behind them is "
    "kept.",
    draw_first_waits="Those who registered before you come first, and their draw still waits for "
    "its secret. Your place behind them is kept.",
    draw_first_withheld="Those who registered before you come first, and their draw could not be "
    "held yet. Your place behind them is kept.",
    no_draw="No draw is held here any more",
    no_draw_more="You had registered for a draw, and the organiser has changed the line since. "
    "Please come back later, or ask the organiser.",
    draw="The draw",
    draw_entrants="Taking part",
    draw_keeper="Secret kept by",
    keeper_server="the organiser's own server. This is the weaker kind: you have to trust the "
    "organiser",
    keeper_operator="{committer}, for the organiser. This is the weaker kind: you have to trust "
    "the organiser",
    keeper_second_party="{committer}, who is not the organiser",
    draw_commitment="Commitment",
    draw_receipt="Your receipt",
    draw_id="Your id in the list",
    draw_check="How to check the draw",
    draw_check_note="Note the commitment and your receipt before the draw is held.",
    draw_check_file="When it has been held, download the list with all numbers:",
    draw_check_run="Check it with Sunseo, or with one of the two small programs that come with it "
    "and need nothing else (verifier.py, verify-draw.mjs):",
    draw_check_says="It says whether the secret is the one that was promised, whether every number "
    "follows from it, and which one is yours.",
    turn="It is your turn",
    turn_more="Please go in now. Your turn is kept for you for a few minutes.",
    enter="Go in",
    entering="Letting you in …",
    full="One moment more",
    full_more="It is your turn, but everything inside is taken just now. Your place is kept; you "
    "are let in as soon as somebody leaves.",
    turn_title="Your turn!",
    inside="You are in",
    inside_more="You have been let in. You may go back to the page from which you came.",
    proceed="Go on to {site}",
    sold_out="Sold out",
    sold_out_more="Nothing is left, so there is no point in waiting. We are sorry.",
    closed="This line is closed",
    closed_more="Nobody is being let in any more.",
    revoked="Your access has been withdrawn",
    revoked_more="It was used in two places at once, or the organiser withdrew it.",
    done="You have already been in",
    done_more="Your place has been used. To come back, join the line again.",
    session_over="Your time inside is over",
    session_over_more="To come back, join the line again.",
    again="Join the line again",
    started_anew="The organiser has started the line anew. Places from before do not count any "
    "more; you have been given a new one.",
    unknown="There is no such line",
    unknown_more="Please check the address, or start again from the site that you wanted to visit.",
    bad_return="This link is not valid",
    bad_return_more="It leads to an address that does not belong to this line. Please start again "
    "from the site that you wanted to visit.",
    too_many="Too many visitors from your network",
    too_many_more="Many people came from the same network within a short time. This page tries "
    "again by itself.",
    busy="Very many people are here right now",
    busy_more="Your place, if you have one, is kept. This page tries again by itself.",
    stale_form="Please try that again",
    stale_form_more="The page was too old, or was opened in another browser.",
    wrong="Something went wrong on our side",
    wrong_more="Your place, if you have one, is kept. Please try again in a moment.",
    reload="Try again",
)

KO = Texts(
    name="한국어",
    waiting_room="대기실",
    language="언어",
    kept="순번은 이 브라우저에 저장되어 있습니다. 새로 고치거나 창을 닫았다가 다시 와도 "
    "그대로입니다.",
    no_script="이 페이지는 자동으로 갱신됩니다. 그대로 기다려 주세요.",
    reference="참조 번호",
    joining="순번을 받고 있습니다",
    joining_more="잠시 후 자동으로 넘어갑니다.",
    joining_draw="추첨 참여를 등록하고 있습니다",
    joining_draw_more="잠시 후 자동으로 넘어갑니다.",
    joining_over="지금은 새로 줄을 설 수 없습니다",
    joining_over_more="이미 줄을 선 분들은 계속 입장합니다.",
    site_cookies_off="방문하려는 사이트의 쿠키를 허용해 주세요",
    site_cookies_off_more="차례가 되어 두 번 이동했지만, 브라우저가 그 사이트의 쿠키를 저장하지 "
    "않아 입장권이 남지 않았습니다. 그 사이트의 쿠키를 허용한 뒤 계속해 주세요. "
    "그동안 순번은 유지됩니다.",
    cookies_off="쿠키를 허용해 주세요",
    cookies_off_more="순번은 쿠키에 저장되는데, 브라우저가 쿠키를 저장하지 않았습니다. "
    "이 사이트의 쿠키를 허용한 뒤 페이지를 다시 열어 주세요.",
    accounts_only="사이트에서 로그인한 뒤 이용해 주세요",
    accounts_only_more="이 대기열은 본인 계정으로 줄을 섭니다. 사이트에서 로그인한 뒤 다시 "
    "시작하면 어느 기기에서나 같은 순번이 유지됩니다.",
    accounts_link="{site}(으)로 이동",
    challenge="줄을 서기 전에 간단한 확인을 합니다",
    challenge_more="자동 접속을 막기 위한 절차이며 몇 초면 끝납니다.",
    challenge_working="브라우저가 확인을 위한 계산을 하고 있습니다 …",
    challenge_failed="확인에 실패했거나 시간이 지났습니다. 다시 시도해 주세요.",
    challenge_away="지금은 확인을 할 수 없습니다. 잠시 후 다시 시도해 주세요.",
    challenge_needs_script="이 확인에는 자바스크립트가 필요합니다. 자바스크립트를 허용하거나 다른 "
    "브라우저로 접속해 주세요.",
    challenge_done="줄 서기",
    in_line="줄을 서 있습니다",
    ahead="내 앞 대기",
    ahead_unit="명",
    your_number="내 순번",
    wait="예상 대기 시간",
    wait_unknown="아직 알 수 없음",
    less_than_a_minute="1분 이내",
    minutes="약 {to}분",
    minutes_range="약 {from}~{to}분",
    hours="약 {to}시간",
    hours_range="약 {from}~{to}시간",
    units_left="남은 수량",
    from_operator="주최 측 안내",
    progress="진행 상황",
    updated="{time} 기준",
    offline="지금은 연결되지 않습니다. 순번은 그대로이며 계속 연결을 시도합니다.",
    slowed="예상보다 천천히 진행되어 대기 시간이 늘어났습니다.",
    paused="잠시 입장을 멈췄습니다. 순번은 그대로 유지됩니다.",
    unhealthy="사이트에 부하가 걸려 당분간 입장 인원을 줄였습니다.",
    paused_title="잠시 멈춰 있습니다",
    draining="새로 줄을 설 수는 없습니다. 이미 줄을 선 분들은 계속 입장합니다.",
    paused_out="잠시 입장을 멈췄습니다.",
    stock_holds="지금 입장해 있는 분들이 남은 수량을 모두 가져갈 수 있습니다. 순번은 그대로이며, "
    "남는 것이 있으면 계속 진행합니다.",
    next="다음 차례입니다",
    before="아직 열리지 않았습니다",
    opens_at="시작 시각",
    opens_in="남은 시간",
    countdown="{hours}:{minutes}:{seconds}",
    countdown_days="{days}일 {hours}:{minutes}:{seconds}",
    join_from="{time}부터 줄을 설 수 있습니다.",
    place_ready="순번을 받았습니다. 시작 시각이 되면 입장이 시작됩니다.",
    before_paused="주최 측이 진행을 멈춰 두었습니다. 시작 시각이 되어도 다시 진행할 때까지는 "
    "입장하지 않습니다.",
    registered="추첨에 참여했습니다",
    registered_more="열리기 전에 온 분들의 순서는 추첨으로 정해집니다. 먼저 왔는지 나중에 왔는지는 "
    "상관없습니다. 추첨이 끝나면 순번이 여기에 표시됩니다.",
    draw_soon="열리기 전에 줄을 서는 분들의 순서는 추첨으로 정해집니다. 먼저 와도 앞서지 않습니다.",
    draw_at_opening="추첨 참여 접수가 끝났습니다. 시작 시각에 추첨하며, 추첨이 끝나면 순번이 "
    "여기에 표시됩니다.",
    draw_now="지금 추첨하고 있습니다. 잠시 후 순번이 여기에 표시됩니다.",
    draw_held="추첨이 끝났습니다. 잠시 후 순번이 여기에 표시됩니다.",
    draw_waits="추첨 참여 접수가 끝났습니다. 이 서버 밖에서 보관하는 비밀값이 공개되기를 기다리고 "
    "있습니다. 공개되는 대로 추첨하며, 추첨이 끝나면 순번이 여기에 표시됩니다.",
    draw_withheld="추첨에 쓸 비밀값이 공개되지 않아 아직 추첨하지 못했습니다. 참여는 그대로 "
    "유효하며, 비밀값이 마련되는 대로 추첨합니다.",
    draw_after_pause="추첨에 참여했습니다. 진행이 다시 시작되면 추첨하며, 추첨이 끝나면 순번이 "
    "여기에 표시됩니다.",
    draw_behind="추첨 참여 접수가 끝났습니다. 지금부터 줄을 서면 추첨 참여자 다음 순서가 됩니다.",
    place_behind="추첨 참여자 다음으로 순번을 받았습니다. 시작 시각이 되고 추첨이 끝나면 입장이 "
    "시작됩니다.",
    draw_first="먼저 참여한 분들의 추첨이 진행 중입니다. 그 뒤의 순번은 그대로 유지됩니다.",
    draw_first_waits="먼저 참여한 분들의 추첨이 비밀값 공개를 기다리고 있습니다. 그 뒤의 순번은 "
    "그대로 유지됩니다.",
    draw_first_withheld="먼저 참여한 분들의 추첨이 아직 이루어지지 못했습니다. 그 뒤의 순번은 "
    "그대로 유지됩니다.",
    no_draw="이 대기열은 더 이상 추첨하지 않습니다",
    no_draw_more="추첨에 참여하셨지만 그 뒤 주최 측이 진행 방식을 바꾸었습니다. 잠시 후 다시 "
    "오시거나 주최 측에 문의해 주세요.",
    draw="추첨",
    draw_entrants="참여 인원",
    draw_keeper="비밀값 보관",
    keeper_server="주최 측 서버가 직접 보관. 주최 측을 믿어야 하는 약한 방식입니다",
    keeper_operator="{committer} (주최 측). 주최 측을 믿어야 하는 약한 방식입니다",
    keeper_second_party="{committer} (주최 측이 아닌 제삼자)",
    draw_commitment="공개된 약속값",
    draw_receipt="내 참여 확인증",
    draw_id="명단에서의 내 ID",
    draw_check="추첨을 직접 확인하는 방법",
    draw_check_note="추첨 전에 약속값과 참여 확인증을 적어 두세요.",
    draw_check_file="추첨이 끝나면 모든 순번이 담긴 명단을 내려받으세요:",
    draw_check_run="Sunseo로 확인하거나, 함께 제공되며 따로 설치할 것이 없는 작은 프로그램 두 개"
    "(verifier.py, verify-draw.mjs) 중 하나로 확인하세요:",
    draw_check_says="약속한 비밀값이 맞는지, 모든 순번이 그 값에서 나왔는지, 내 순번이 몇 번인지 "
    "알려 줍니다.",
    turn="입장할 차례입니다",
    turn_more="지금 입장해 주세요. 몇 분 동안 차례가 유지됩니다.",
    enter="입장하기",
    entering="입장하고 있습니다 …",
    full="잠시만 더 기다려 주세요",
    full_more="차례가 되었지만 지금은 안이 가득 찼습니다. 순번은 그대로이며, "
    "자리가 나는 대로 입장합니다.",
    turn_title="입장할 차례!",
    inside="입장했습니다",
    inside_more="입장이 허용되었습니다. 처음에 오신 페이지로 돌아가셔도 됩니다.",
    proceed="{site}(으)로 계속하기",
    sold_out="매진되었습니다",
    sold_out_more="남은 수량이 없어 더 기다리셔도 입장하실 수 없습니다. 죄송합니다.",
    closed="대기열이 닫혔습니다",
    closed_more="더 이상 입장을 받지 않습니다.",
    revoked="입장이 취소되었습니다",
    revoked_more="두 곳에서 동시에 사용되었거나 주최 측이 취소했습니다.",
    done="이미 다녀가셨습니다",
    done_more="이 순번은 사용되었습니다. 다시 들어가려면 새로 줄을 서 주세요.",
    session_over="이용 시간이 끝났습니다",
    session_over_more="다시 들어가려면 새로 줄을 서 주세요.",
    again="다시 줄 서기",
    started_anew="주최 측이 대기열을 새로 시작했습니다. 이전 순번은 더 이상 유효하지 않아 새 "
    "순번을 드렸습니다.",
    unknown="대기열을 찾을 수 없습니다",
    unknown_more="주소를 확인하거나, 방문하려던 사이트에서 다시 시작해 주세요.",
    bad_return="올바르지 않은 링크입니다",
    bad_return_more="이 대기열과 관계없는 주소로 연결되는 링크입니다. 방문하려던 사이트에서 다시 "
    "시작해 주세요.",
    too_many="같은 네트워크에서 접속이 너무 많습니다",
    too_many_more="짧은 시간에 같은 네트워크에서 많은 분이 접속했습니다. 잠시 후 자동으로 다시 "
    "시도합니다.",
    busy="지금 접속자가 매우 많습니다",
    busy_more="순번을 받으셨다면 그대로 유지됩니다. 잠시 후 자동으로 다시 시도합니다.",
    stale_form="다시 시도해 주세요",
    stale_form_more="페이지가 오래되었거나 다른 브라우저에서 연 페이지입니다.",
    wrong="문제가 발생했습니다",
    wrong_more="순번을 받으셨다면 그대로 유지됩니다. 잠시 후 다시 시도해 주세요.",
    reload="다시 시도",
)

CATALOGUES: dict[Language, Texts] = {"ko": KO, "en": EN}
