"""A server is lost in mid-opening, and brought back from a backup taken minutes before."""

import json
from pathlib import Path

from sunseo.passes.keys import KeyRing
from tests.acceptance.serving import Serving, ended_at_last, running, serving, until
from tests.acceptance.test_room_server import Guest


def called_up_to(server: Serving, room: int, number: int) -> None:
    until(
        lambda: server.ask("GET", f"/v1/rooms/{room}/state").json["serving"] >= number,
        f"number {number} is called",
    )


def test_visitors_keep_their_places_over_a_restore(tmp_path: Path) -> None:
    """Passes, numbers and guest sessions count on, as do places that only their tokens tell of."""
    file = tmp_path / "opening.backup"
    with running(tmp_path / "lost") as server:
        operator = server.create_key()
        sale = server.create_concert(operator)
        settings = {"capacity": 2, "session_max_s": 3600}
        made = server.ask(
            "POST", "/v1/rooms", {"name": "Room", "settings": settings}, bearer=operator
        )
        room: int = made.json["room"]
        until(lambda: server.ask("GET", f"/v1/rooms/{room}/state").status == 200, "it is known")
        session = server.ask("POST", "/v1/guests").json["token"]
        hold = server.ask("POST", f"/v1/sales/{sale}/holds", {"seats": [1, 2]}, bearer=session)
        assert hold.status == 201, hold
        inside, waiting, late, later = (Guest(server, room) for _ in range(4))
        numbers = [inside.join().json["number"], waiting.join().json["number"]]
        inside.inside()

        saved = server.run("backup", str(file), "--json")
        assert saved.returncode == 0, saved.stderr
        numbers += [late.join().json["number"], later.join().json["number"]]
        renewed = inside.say("renew")
        assert (numbers, renewed.status) == ([1, 2, 3, 4], 200)
        ring = KeyRing(1, {0: (server.data / "secret").read_bytes()}, 0)
        pass_id = ring.open_pass(inside.ticket, room).pass_id
        server.kill()

    back = serving(tmp_path / "new")
    restored = back.run("restore", str(file), "--compare", str(server.data), "--json")
    assert restored.returncode == 0, restored.stderr
    told = json.loads(restored.stdout)
    assert [(one["numbers"], one["issued"]) for one in told["rooms"]] == [(2, 2)]

    with ended_at_last(back):
        back.start()
        for guest in (inside, waiting, late, later):
            guest.server = back
        # Whether the pass has lapsed meanwhile or not, it is the same one that goes on.
        assert inside.say("renew").status == 200 or inside.enter().status in (200, 201)
        assert ring.open_pass(inside.ticket, room).pass_id == pass_id
        assert waiting.inside().json["pass"]
        assert {late.enter().status, later.enter().status} <= {202, 409}  # full, or not called yet
        mine = back.ask("GET", f"/v1/sales/{sale}/holds", bearer=session)
        assert [one["hold"] for one in mine.json["holds"]] == [hold.json["hold"]]
        newcomer = Guest(back, room)
        assert newcomer.join().json["number"] == 5
        for leaving in (inside, waiting):
            assert leaving.say("leave").status == 200
        called_up_to(back, room, 4)
        assert [late.inside().status, later.inside().status] == [201, 201]
        assert back.verify().clean
