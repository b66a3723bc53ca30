"""What a visitor is told in each situation, by the one table of the page and its script."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from sunseo.passes.polling import Poll
from sunseo.room.board.document import slowed_of
from sunseo.room.board.halted import HALTED, halted_of
from sunseo.room.board.state import DrawState, Shown, ShownDraw, StateDocument, pass_terms_of
from sunseo.room.pages.sentences import (
    FACTS,
    NOTICES,
    SAYINGS,
    Has,
    Words,
    facts_of,
    names,
    script,
    words_of,
)
from sunseo.room.pages.texts import CATALOGUES, EN, KO, Texts
from sunseo.room.setup.schedule import Phase
from sunseo.room.setup.settings import Mode, RoomSettings
from tests.docs.pages import ROOT

encode = msgspec.json.encode
NODE = shutil.which("node")
SCRIPT = ROOT / "src/sunseo/room/pages/static/sunseo.js"
KEEPERS = ("server", "operator", "second_party")
STANDINGS = (
    Shown(),
    Shown(slowed="slowed"),
    Shown(slowed="unhealthy"),
    Shown(slowed="paused"),  # left over from a moment ago, when nobody could enter
    Shown(stock_holds=True),
    Shown(sold_out=True, units_left=0),
)

OPENED = datetime(2026, 1, 1, tzinfo=UTC)

# What only somebody with a number has; a number that is still to come is nothing that she has.
OF_A_PLACE = re.compile(r"[Yy]our place|순번은 그대로|순번을 받았습니다|뒤의 순번")
OF_A_RECEIPT = re.compile(r"You (still )?take part|You had registered|참여했습니다|참여는|참여하셨")


def state_of(
    phase: Phase, mode: Mode, draw: ShownDraw | None, shown: Shown, *, paused: bool
) -> StateDocument:
    settings = RoomSettings(mode=mode, paused=paused, opens_at=OPENED)
    halted = halted_of(settings, phase, draw, shown)
    return StateDocument(
        room=1,
        epoch=1,
        phase=phase,
        mode=mode,
        issued=9,
        serving=3,
        speed=None,
        slowed=slowed_of(phase, halted, shown),
        halted=halted,
        draw=draw,
        units_left=shown.units_left,
        sold_out=shown.sold_out,
        message=None,
        opens_at=None,
        poll=Poll(2, 60, 10),
        pass_=pass_terms_of(settings),
        revoked=[],
        fail_mode="closed",
        now=0,
    )


def draws_of(mode: Mode) -> list[ShownDraw | None]:
    pairs = product(get_args(DrawState), KEEPERS)
    draws = [ShownDraw(state=state, keeper=keeper) for state, keeper in pairs]  # type: ignore[arg-type]  # from above
    if mode == "random":
        return [*draws]
    return [None, *(draw for draw in draws if mode == "closed" or draw.state == "revealed")]


def states() -> Iterator[StateDocument]:
    """All that a room's state document can say, as far as words depend on it."""
    for mode, phase in product(get_args(Mode), get_args(Phase)):
        if mode == "closed" and phase != "closed":
            continue
        for draw, shown, paused in product(draws_of(mode), STANDINGS, (False, True)):
            if paused and phase in ("open", "draining"):  # then the phase is "paused"
                continue
            if phase == "paused" and not paused:
                continue
            yield state_of(phase, mode, draw, shown, paused=paused)


def situations() -> Iterator[dict[str, str]]:
    for state, has in product(states(), get_args(Has)):
        yield facts_of(state, has)


def said(texts: Texts, words: Words) -> str:
    return " ".join(getattr(texts, name) for name in words if name)


def test_every_situation_has_its_sentence_in_both_languages() -> None:
    """Whatever phase, mode, pause, draw and place are, something is said, in Korean and English."""
    told = 0
    for facts in situations():
        words = words_of(facts)
        assert words.heading
        for texts in CATALOGUES.values():
            assert len(said(texts, words)) >= 6, facts
        told += 1

    assert told > 1500
    assert {facts["halted"] for facts in situations()} == {"", *HALTED}


def test_a_place_is_spoken_of_only_to_those_who_have_one() -> None:
    """Nobody without a number hears that her place is kept, and nobody else of a draw of hers."""
    for facts in situations():
        for texts in (EN, KO):
            told = said(texts, words_of(facts))
            if facts["has"] != "number":
                assert not OF_A_PLACE.search(told), (facts, told)
            if facts["has"] != "registered":
                assert not OF_A_RECEIPT.search(told), (facts, told)

    assert OF_A_PLACE.search(EN.paused)
    assert OF_A_PLACE.search(KO.paused)
    assert OF_A_RECEIPT.search(EN.registered)
    assert OF_A_RECEIPT.search(KO.registered)


def test_a_room_that_admits_nobody_is_not_told_of_like_one_that_does() -> None:
    """In each situation in which nobody is called, who waits reads something else than else."""
    moving = {
        has: {
            words_of(facts_of(state, has))
            for state in states()
            if state.halted is None and state.phase in ("open", "draining")
        }
        for has in get_args(Has)
    }
    for state in states():
        if state.halted is not None:
            words = words_of(facts_of(state, "number"))
            assert words not in moving["number"], (state, words)


def test_every_row_is_of_use() -> None:
    """No row is hidden by those before it, and every text that is named is said somewhere."""
    used: set[str] = set()
    first: set[int] = set()
    for facts in situations():
        used |= set(words_of(facts)) - {""}
        for rows in (SAYINGS, NOTICES):
            row = next(row for row in rows if all(facts[f] in v for f, v in row[0].items()))
            first.add(id(row))

    assert [row for row in (*SAYINGS, *NOTICES) if id(row) not in first] == []
    assert used == names()


def words_for(has: Has, phase: Phase, **more: Any) -> list[str]:
    """What is read by somebody with `has`, in English and Korean, one after another."""
    given = {"mode": "fifo", "draw": None, "shown": Shown(), "paused": phase == "paused"} | more
    words = words_of(facts_of(state_of(phase, **given), has))
    return [getattr(texts, name) for texts in (EN, KO) for name in words if name]


def test_before_an_opening_to_the_letter() -> None:
    """Who has nothing is told that it is not open; who has a place, that she has it."""
    assert words_for("nothing", "before") == ["Not open yet", "아직 열리지 않았습니다"]
    assert words_for("nothing", "before", shown=Shown(slowed="paused")) == [
        "Not open yet",
        "아직 열리지 않았습니다",
    ]
    assert words_for("number", "before") == [
        "Not open yet",
        "You have your place. The line begins to move when it opens.",
        "아직 열리지 않았습니다",
        "순번을 받았습니다. 시작 시각이 되면 입장이 시작됩니다.",
    ]
    stopped = "The organiser has stopped this line for now."
    stopped_ko = "주최 측이 진행을 멈춰 두었습니다."
    assert words_for("nothing", "before", paused=True) == [
        "Not open yet",
        f"{stopped} Nobody is let in at the opening unless it goes on by then.",
        "아직 열리지 않았습니다",
        f"{stopped_ko} 시작 시각이 되어도 다시 진행할 때까지는 입장하지 않습니다.",
    ]


def test_paused_to_the_letter() -> None:
    """Only who has a place hears that it is kept."""
    assert words_for("number", "paused") == [
        "The line has been stopped for a moment",
        "Nobody is being let in for the moment. Your place is kept.",
        "잠시 멈춰 있습니다",
        "잠시 입장을 멈췄습니다. 순번은 그대로 유지됩니다.",
    ]
    assert words_for("nothing", "paused") == [
        "The line has been stopped for a moment",
        "Nobody is being let in for the moment.",
        "잠시 멈춰 있습니다",
        "잠시 입장을 멈췄습니다.",
    ]


def test_a_draw_that_waits_to_the_letter() -> None:
    """Who registered and who came later each read what the room waits for."""
    draw = ShownDraw(state="sealed", keeper="second_party")
    waits = "The draw waits for its secret, which is not kept on this server."
    afterwards = "It is held as soon as that is revealed, and your number then appears here."
    waits_ko = "먼저 참여한 분들의 추첨이 비밀값 공개를 기다리고 있습니다."
    assert words_for("registered", "open", mode="random", draw=draw)[:2] == [
        "You take part in the draw",
        f"Registration is over. {waits} {afterwards}",
    ]
    assert words_for("number", "open", mode="random", draw=draw)[2:] == [
        "줄을 서 있습니다",
        f"{waits_ko} 그 뒤의 순번은 그대로 유지됩니다.",
    ]


@pytest.mark.skipif(NODE is None, reason="there is no Node: make tools")
def test_script_says_the_same_as_the_page(tmp_path: Path) -> None:
    """The browser's script finds the same words for every state document."""
    asked = [
        {"has": has, "state": json.loads(encode(state))}
        for state, has in product(states(), get_args(Has))
    ]
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    (tmp_path / "sentences.js").write_bytes(script())
    driver = tmp_path / "driver.cjs"
    driver.write_text(
        """
        const { readFileSync } = require("node:fs");
        globalThis.window = globalThis;
        const { rules } = require(process.argv[2]);
        require(`${__dirname}/sentences.js`);
        const { sayings, notices, texts } = window.sunseoSentences;
        const asked = JSON.parse(readFileSync(`${__dirname}/asked.json`));
        const told = asked.map(({ has, state }) => {
          const facts = rules.facts(state, has);
          return [...rules.said(sayings, facts), ...rules.said(notices, facts)];
        });
        console.log(JSON.stringify({ told, texts }));
        """
    )
    done = subprocess.run(
        [str(NODE), str(driver), str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    expected = [
        list(words_of(facts_of(state, has))) for state, has in product(states(), get_args(Has))
    ]
    assert answer["told"] == expected
    for language, texts in CATALOGUES.items():
        assert answer["texts"][language] == {name: getattr(texts, name) for name in names()}


def test_rows_ask_for_facts_that_there_are() -> None:
    """A misspelt condition would never hold."""
    (facts, *_) = situations()
    assert set(facts) == set(FACTS)
    with pytest.raises(LookupError, match="nothing is said"):
        words_of(dict.fromkeys(FACTS, "unheard of"))
