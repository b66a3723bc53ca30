"""The waiting page before an opening and in a room that draws: what is told to whom."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.store.foyer import COMMITMENT, Browser, Foyer, open_foyer


@pytest.fixture
async def foyer(database_dsn: str) -> AsyncIterator[Foyer]:
    async with open_foyer(database_dsn) as opened:
        yield opened


async def test_page_of_a_draw_shows_what_to_note_down(foyer: Foyer) -> None:
    """Count, commitment, keeper, her receipt and how to check; also when it is drawn."""
    opens_at = datetime.now(UTC) + timedelta(hours=1)
    room = await foyer.open_room(mode="random", opens_at=opens_at, join_early_s=86_400)
    await foyer.promise(room, independent=True)
    browser, other = Browser(foyer, room), Browser(foyer, room)
    await other.arrive()
    await browser.arrive()
    await foyer.board.run_once()
    await browser.refresh()
    page = browser.page
    receipt = foyer.keys.open_receipt(page.texts["draw-receipt"], room)
    ((entrant,),) = await foyer.lobby.rows(
        "SELECT entrant FROM room_entrants WHERE entrant = $1", receipt.entrant
    )

    assert page.texts["draw-entrants"] == "2"
    assert page.texts["draw-commitment"] == COMMITMENT.hex()
    assert page.texts["draw-id"] == entrant.hex
    assert page.texts["draw-command"] == (
        f"sunseo draw verify draw-{room}.gz --commitment {COMMITMENT.hex()} --receipt {entrant.hex}"
    )
    assert "A notary, who is not the organiser" in page.text
    assert f"/v1/rooms/{room}/draw/file" in page.text
    assert f"/v1/rooms/{room}/draw/file" not in page.links  # there is none yet
    korean = await browser.open(f"/r/{room}?lang=ko")
    assert "A notary (주최 측이 아닌 제삼자)" in korean.text
    assert korean.texts["draw-receipt"] == page.texts["draw-receipt"]

    await foyer.draw_all(room)
    drawn = await browser.open(f"/r/{room}?lang=en")
    assert drawn.texts["draw-id"] == entrant.hex
    assert f"/v1/rooms/{room}/draw/file" in drawn.links
    assert "You have your place" in drawn.text


@pytest.mark.parametrize(
    ("kept", "said"),
    [(True, "the organiser's own server. This is the weaker kind"), (False, "A notary, for the")],
)
async def test_page_labels_a_secret_of_the_operators(foyer: Foyer, kept: bool, said: str) -> None:
    """Where nobody else keeps the secret, visitors are told that this is weaker."""
    opens_at = datetime.now(UTC) + timedelta(hours=1)
    room = await foyer.open_room(mode="random", opens_at=opens_at, join_early_s=60)
    await foyer.promise(room, kept=kept)
    browser = Browser(foyer, room)
    page = await browser.open()

    assert said in page.text.replace("&#39;", "'")
    assert "you have to trust the organiser" in page.text
    assert page.heading == "Not open yet"
    assert "takes part in a draw for the order" in page.text
    assert "draw-receipt" not in page.texts


async def test_who_is_too_early_hears_of_no_place(foyer: Foyer) -> None:
    """What the controller says of a line at rest is not told to people who have no place in it."""
    opens_at = datetime.now(UTC) + timedelta(hours=3)
    room = await foyer.open_room(opens_at=opens_at, join_early_s=60)
    await foyer.lobby.rows(
        "INSERT INTO room_pacings (organisation, room, epoch, state, ticked_at)"
        " VALUES (1, $1, 1, $2::text::jsonb, clock_timestamp())",
        room,
        '{"shown": {"slowed": "paused"}}',
    )
    await foyer.board.run_once()
    browser = Browser(foyer, room)
    page = await browser.open()

    assert page.heading == "Not open yet"
    assert "notice" not in page.texts
    assert "place" not in page.text.replace("marketplace", "")
    assert "순번" not in (await browser.open(f"/r/{room}?lang=ko")).text


async def test_who_registered_keeps_her_page_when_joining_is_over(foyer: Foyer) -> None:
    """While her draw waits she is told so, not that the line is closed; others are told truly."""
    opens_at = datetime.now(UTC) + timedelta(hours=1)
    room = await foyer.open_room(mode="random", opens_at=opens_at, join_early_s=86_400)
    await foyer.promise(room, independent=True)
    browser, stranger = Browser(foyer, room), Browser(foyer, room)
    await browser.arrive()
    await foyer.lobby.rows("UPDATE room_lines SET sealed = true, issued = entrants")
    await foyer.promise(room, state="sealed")
    now = datetime.now(UTC)
    times = {"opens_at": now - timedelta(hours=1), "closes_at": now - timedelta(seconds=5)}
    await foyer.change(room, mode="random", **times)
    await browser.refresh()
    await stranger.open()

    assert browser.page.heading == "You take part in the draw"
    assert "The draw waits for its secret" in browser.page.text
    assert stranger.page.heading == "Nobody else can join now"
    assert not stranger.set_cookies
