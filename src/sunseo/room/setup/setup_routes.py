"""The HTTP face of set-up: what operators do to rooms, and what they read of them."""

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.operators.effects import EffectAnswer
from sunseo.passes.keys import GateKeys, KeyRing
from sunseo.room.board.board import RoomBoard, decode_shown, shown_draw
from sunseo.room.board.halted import halted_of
from sunseo.room.board.state import Shown
from sunseo.room.postgres.cold import QUERIES
from sunseo.room.postgres.stored import UnreadableSettingsError, read_settings
from sunseo.room.setup.schedule import phase_at
from sunseo.room.setup.setup import ROOM_SETUP_OUTCOMES, RoomSetup, RoomSetupOutcome
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
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, Refusal, Reply, Urgency

ROOMS_MAX = 1000  # that one answer lists
READ_OUTCOMES = (RoomSetupOutcome.UNKNOWN_ROOM, RoomSetupOutcome.ROOM_UNREADABLE)


def room_setup_endpoints(
    setup: RoomSetup, engine: AsyncEngine, organisation: int, keys: KeyRing, board: RoomBoard
) -> list[Endpoint]:
    handlers = RoomSetupHandlers(setup, board)
    reads = RoomReads(engine, organisation, keys)
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
        answer = await self._setup.create(call.operator, call.idempotency_key, call.body)
        await self._board.run_once()  # here at once; on other workers with their next tick
        return _reply(answer, RoomCreated)

    async def change(self, call: Call) -> Answer:
        answer = await self._setup.change(*_who_and_which(call), call.body)
        return _reply(answer, RoomChanged)

    async def pause(self, call: Call) -> Answer:
        return _reply(await self._setup.pause(*_who_and_which(call)), RoomChanged)

    async def resume(self, call: Call) -> Answer:
        return _reply(await self._setup.resume(*_who_and_which(call)), RoomChanged)

    async def close(self, call: Call) -> Answer:
        return _reply(await self._setup.close(*_who_and_which(call)), RoomChanged)

    async def reset(self, call: Call) -> Answer:
        return _reply(await self._setup.reset(*_who_and_which(call), call.body), RoomReset)


def _who_and_which(call: Call) -> tuple[str, str, int]:
    return call.operator, call.idempotency_key, call.path["room"]


def _reply(answer: EffectAnswer, body: type[msgspec.Struct]) -> Answer:
    if not answer.outcome.kind.is_success:
        return Refusal(answer.outcome, answer.detail)
    return Reply(None, msgspec.convert(answer.result, body), outcome=answer.outcome)


class RoomReads:
    def __init__(self, engine: AsyncEngine, organisation: int, keys: KeyRing) -> None:
        self._engine = engine
        self._organisation = organisation
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
        where = {"organisation": self._organisation, "room": room, "rows_max": ROOMS_MAX}
        async with self._engine.connect() as connection:
            found = await connection.execute(QUERIES["read_rooms"], where)
            return [_room_body(row) for row in found]


def _room_body(read: Any) -> RoomBody | UnreadableRoom:
    row = read._mapping  # noqa: SLF001 - documented, and underscored only to keep clear of columns
    try:
        settings = read_settings(row["settings"], row["now"])
    except UnreadableSettingsError as error:
        named = {name: row[name] for name in ("room", "version", "name", "sale")}
        return UnreadableRoom(**named, fault=str(error))
    line = LineBody(**{name: row[name] for name in LineBody.__struct_fields__})
    situation = phase_at(settings, row["now"], line_is_empty=line.issued == line.serving)
    draw = shown_draw(read, settings)
    return RoomBody(
        room=row["room"],
        version=row["version"],
        name=row["name"],
        sale=row["sale"],
        created_at=row["created_at"],
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
