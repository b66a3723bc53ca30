"""The HTTP face of set-up: what operators do to rooms, and what they read of them."""

from typing import Any

import msgspec

from sunseo.core.outcome import Refusal
from sunseo.operators.command import Effect
from sunseo.operators.replies import by_of, reply
from sunseo.passes.keys import GateKeys, KeyRing
from sunseo.room.board.board import RoomBoard, decode_shown, shown_draw
from sunseo.room.board.halted import halted_of
from sunseo.room.board.state import Shown
from sunseo.room.setup.changes import ROOM_SETUP_OUTCOMES, RoomSetupOutcome
from sunseo.room.setup.schedule import phase_at
from sunseo.room.setup.setup import RoomSetup
from sunseo.room.setup.setup_bodies import (
    LineBody,
    NewRoom,
    ResetRoom,
    RoomBody,
    RoomChange,
    RoomChanged,
    RoomCreated,
    RoomList,
    RoomReset,
    UnreadableRoom,
)
from sunseo.room.setup.stored import UnreadableSettingsError, read_settings
from sunseo.room.store import RoomRecord, SetupStore
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Reply, Urgency

ROOMS_MAX = 1000  # that one answer lists
READ_OUTCOMES = (RoomSetupOutcome.UNKNOWN_ROOM, RoomSetupOutcome.ROOM_UNREADABLE)


def room_setup_endpoints(
    setup: RoomSetup, store: SetupStore, keys: KeyRing, board: RoomBoard
) -> list[Endpoint]:
    handlers = RoomSetupHandlers(setup, board)
    reads = RoomReads(store, keys)
    return [
        Endpoint(
            name="create_room",
            method="POST",
            path="/v1/rooms",
            summary="Create a room, of a sale or by itself",
            handler=handlers.create,
            request=NewRoom,
            response=RoomCreated,
            success=201,
            outcomes=ROOM_SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
        ),
        Endpoint(
            name="list_rooms",
            method="GET",
            path="/v1/rooms",
            summary="List all rooms with their lines and settings",
            handler=reads.rooms,
            response=RoomList,
            auth=Auth.OPERATOR,
        ),
        Endpoint(
            name="read_room",
            method="GET",
            path="/v1/rooms/{room:int}",
            summary="Read a room with its line and settings",
            handler=reads.room,
            response=RoomBody,
            outcomes=READ_OUTCOMES,
            auth=Auth.OPERATOR,
        ),
        Endpoint(
            name="change_room",
            method="PATCH",
            path="/v1/rooms/{room:int}",
            summary="Change some of a room's settings while it runs",
            handler=handlers.change,
            request=RoomChange,
            response=RoomChanged,
            outcomes=ROOM_SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
            description="Absent settings stay as they are; null brings back a setting's default.",
        ),
        _action("pause_room", "pause", "Call nobody until the room is resumed", handlers.pause),
        _action("resume_room", "resume", "Let a paused room go on", handlers.resume),
        _action("close_room", "close", "Take no more joins; the line is served", handlers.close),
        Endpoint(
            name="reset_room",
            method="POST",
            path="/v1/rooms/{room:int}/reset",
            summary="Begin a new epoch: all places and passes become void, for good",
            handler=handlers.reset,
            request=ResetRoom,
            response=RoomReset,
            outcomes=ROOM_SETUP_OUTCOMES,
            auth=Auth.OPERATOR,
            idempotent_key=True,
            description="Name the epoch that is to end. With `dry_run` nothing is done, and the "
            "answer tells what would become void.",
        ),
        Endpoint(
            name="read_room_keys",
            method="GET",
            path="/v1/rooms/{room:int}/keys",
            summary="Read the keys that a gate of this room verifies with",
            handler=reads.gate_keys,
            response=GateKeys,
            outcomes=READ_OUTCOMES,
            auth=Auth.OPERATOR,
        ),
    ]


def _action(name: str, verb: str, summary: str, handler: Any) -> Endpoint:
    return Endpoint(
        name=name,
        method="POST",
        path=f"/v1/rooms/{{room:int}}/{verb}",
        summary=summary,
        handler=handler,
        response=RoomChanged,
        outcomes=ROOM_SETUP_OUTCOMES,
        auth=Auth.OPERATOR,
        idempotent_key=True,
        urgency=Urgency.ALWAYS,  # what is wanted most when there is too much of everything
    )


class RoomSetupHandlers:
    def __init__(self, setup: RoomSetup, board: RoomBoard) -> None:
        self._setup = setup
        self._board = board

    async def create(self, call: Call) -> Answer:
        answer = await self._setup.create(by_of(call), call.body)
        if isinstance(answer, Effect):  # here at once; on other workers with their next tick
            await self._board.read_room(answer.result["room"])
        return reply(answer, RoomCreated)

    async def change(self, call: Call) -> Answer:
        answer = await self._setup.change(by_of(call), call.path["room"], call.body)
        return reply(answer, RoomChanged)

    async def pause(self, call: Call) -> Answer:
        return reply(await self._setup.pause(by_of(call), call.path["room"]), RoomChanged)

    async def resume(self, call: Call) -> Answer:
        return reply(await self._setup.resume(by_of(call), call.path["room"]), RoomChanged)

    async def close(self, call: Call) -> Answer:
        return reply(await self._setup.close(by_of(call), call.path["room"]), RoomChanged)

    async def reset(self, call: Call) -> Answer:
        return reply(await self._setup.reset(by_of(call), call.path["room"], call.body), RoomReset)


class RoomReads:
    def __init__(self, store: SetupStore, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys

    async def rooms(self, _call: Call) -> Answer:
        found = await self._read(None)
        return Reply(
            200,
            RoomList(
                [one for one in found if isinstance(one, RoomBody)],
                [one for one in found if isinstance(one, UnreadableRoom)],
            ),
        )

    async def room(self, call: Call) -> Answer:
        body = await self._one(call.path["room"])
        if isinstance(body, Refusal):
            return body
        return Reply(200, body)

    async def gate_keys(self, call: Call) -> Answer:
        body = await self._one(call.path["room"])
        if isinstance(body, Refusal):
            return body
        ed25519 = body.settings.pass_signature == "ed25519"  # noqa: S105 - an algorithm's name
        return Reply(200, self._keys.gate_keys(body.room, ed25519))

    async def _one(self, room: int) -> RoomBody | Refusal:
        for body in await self._read(room):
            if isinstance(body, UnreadableRoom):
                return Refusal(RoomSetupOutcome.ROOM_UNREADABLE, f"{body.fault}.")
            return body
        return Refusal(RoomSetupOutcome.UNKNOWN_ROOM)

    async def _read(self, room: int | None) -> list[RoomBody | UnreadableRoom]:
        return [_room_body(one) for one in await self._store.read(room, rooms_max=ROOMS_MAX)]


def _room_body(read: RoomRecord) -> RoomBody | UnreadableRoom:
    try:
        settings = read_settings(read.settings, read.now)
    except UnreadableSettingsError as error:
        return UnreadableRoom(read.room, read.version, read.name, read.sale, str(error))
    line = LineBody(**{name: getattr(read, name) for name in LineBody.__struct_fields__})
    situation = phase_at(settings, read.now, line_is_empty=line.issued == line.serving)
    draw = shown_draw(read, settings)
    return RoomBody(
        room=read.room,
        version=read.version,
        name=read.name,
        sale=read.sale,
        created_at=read.created_at,
        phase=situation.phase,
        halted=halted_of(settings, situation.phase, draw, _shown(read.shown)),
        opens_at=situation.opens_at,
        next_change=situation.next_change,
        line=line,
        draw=draw,
        settings=settings,
    )


def _shown(stored: str | None) -> Shown:
    """What the leader last said; where that cannot be read, nothing, as on the board."""
    try:
        return Shown() if stored is None else decode_shown(stored)
    except msgspec.DecodeError:
        return Shown()
