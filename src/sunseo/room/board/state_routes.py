"""The state and the events of a room, in the table: for the API document, and for rooms unknown.

What exists is answered ahead of the router, from memory; whoever gets here asks for a room that is
not on the board.
"""

from typing import Any

from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Kind, Outcome, Refusal
from sunseo.room.board.board import RoomBoard
from sunseo.room.board.ready import STATE_HEADERS, ReadyStates
from sunseo.room.board.state import SignedState
from sunseo.web.documents import UNCHANGED
from sunseo.web.endpoint import Answer, Call, Endpoint, Reply


class StateOutcome(Outcome):
    """Why there is no state to be had."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."


class StreamOutcome(Outcome):
    """Why there is no stream to be had."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    STREAMS_FULL = Kind.LATER, "This server keeps no more streams open; poll the state instead."


def state_endpoints(board: RoomBoard, ready: ReadyStates) -> list[Endpoint]:
    async def state(call: Call) -> Answer:
        room: int = call.path["room"]
        if board.look(room) is None:
            return Refusal(StateOutcome.UNKNOWN_ROOM)
        return Reply(200, ready.document_of(room), tuple(STATE_HEADERS))

    async def events(call: Call) -> Answer:
        if board.look(call.path["room"]) is None:
            return Refusal(StreamOutcome.UNKNOWN_ROOM)
        return Refusal(StreamOutcome.STREAMS_FULL)

    described: dict[str, Any] = {"method": "GET", "cross_origin": True}
    return [
        Endpoint(
            name="read_room_state",
            path="/v1/rooms/{room:int}/state",
            summary="Read how far the line is: the same signed bytes for everybody",
            handler=state,
            response=SignedState,
            answers=UNCHANGED,
            outcomes=(*StateOutcome, LaterOutcome.UNREADABLE),
            description="Served from memory, whatever the query string. Answers 304 to a known "
            "ETag. Caches may keep it for a second.",
            **described,
        ),
        Endpoint(
            name="listen_to_room",
            path="/v1/rooms/{room:int}/events",
            summary="Be told of every change of a room's state, as server-sent events",
            handler=events,
            outcomes=(*StreamOutcome, LaterOutcome.UNREADABLE),
            media=("text/event-stream",),
            description="An event `state` with every change, its data the state without its "
            "signature; a comment every 15 s in between.",
            **described,
        ),
    ]
