"""A house with rooms on a real database: set up as operators do, asked as lanes do."""

from itertools import count
from typing import Any
from uuid import UUID, uuid4

import msgspec

from sunseo.engine.entry import Answer
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.identity.persons import Persons
from sunseo.operators.command import By, EffectAnswer, OperatorCommands
from sunseo.passes.keys import KeyRing
from sunseo.postgres.connection import LaneConnection
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.board.board import RoomBoard, RoomView
from sunseo.room.board.ready import ReadyStates
from sunseo.room.board.state_routes import state_endpoints
from sunseo.room.line.commands import Enter, Join, Leave, RoomCommand, pass_id_of
from sunseo.room.line.lanes import StoreAnswer
from sunseo.room.postgres.batch import RoomFlush
from sunseo.room.postgres.store import postgres_store
from sunseo.room.setup.setup import RoomSetup
from sunseo.room.setup.setup_bodies import NewRoom, RoomChange
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import App, build_app
from sunseo.web.limits import Limits
from sunseo.web.raw import RawAnswer
from tests.effects import result_of
from tests.store.beside import Beside

ORGANISATION = 1
KEYS = KeyRing(ORGANISATION, {0: b"a secret that only the tests know"}, 0)


class House:
    """One database with its rooms, and as many workers on it as a test asks for."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.engine = create_cold_engine(dsn, size=8)
        self.sales: set[int] = set()
        self.store = postgres_store(
            self,
            cold=self.engine,
            commands=OperatorCommands(self.engine, ORGANISATION),
            rooms=self.engine,
        )
        self.setup = RoomSetup(self.store.setup, self._sale_exists)
        self.answers: dict[str, RawAnswer] = {}
        self.changed: list[RoomView] = []
        self.ready = ReadyStates(self.answers, KEYS)
        self.board = self.another_board(self.ready)
        self._connection = LaneConnection(dsn)
        self._beside = Beside(dsn)
        self._flush = RoomFlush(self._connection)
        self._keys = (f"key-{number}" for number in count(1))

    async def close(self) -> None:
        await self._beside.close()
        await self._connection.close()
        await self.engine.dispose()

    def another_board(self, ready: ReadyStates | None = None) -> RoomBoard:
        """A board as another worker has it."""
        return RoomBoard(self.store.board, ready or ReadyStates({}, KEYS), self._note)

    async def room(self, *, sale: int | None = None, **settings: Any) -> int:
        """Create a room with these settings."""
        if sale is not None:
            self.sales.add(sale)
        body = msgspec.convert({"name": "Room", "sale": sale, "settings": settings}, NewRoom)
        room: int = done(await self.setup.create(By("op", next(self._keys)), body))["room"]
        return room

    async def change(self, room: int, **settings: Any) -> None:
        body = msgspec.convert({"settings": settings}, RoomChange)
        done(await self.setup.change(By("op", next(self._keys)), room, body))

    async def ask(self, *commands: RoomCommand) -> list[Any]:
        return list(await self._flush(commands))

    async def submit(self, command: RoomCommand) -> Answer[StoreAnswer]:
        """Answer one command, as the lanes of a worker do."""
        (answer,) = await self.ask(command)
        return Answer(answer, 0.0, 0.0)

    async def join(self, room: int, people: int = 1) -> list[UUID]:
        """Let people join; their holders, in the order of their numbers."""
        holders = [uuid4() for _ in range(people)]
        key = (ORGANISATION, room)
        answers = await self.ask(*(Join(key, holder, uuid4()) for holder in holders))
        assert {answer.outcome.name for answer in answers} <= {"JOINED"}, answers
        return holders

    async def enter(self, room: int, number: int, holder: UUID, epoch: int = 1) -> str:
        command = Enter((ORGANISATION, room), epoch, number, holder, pass_id_of(number, number))
        (answer,) = await self.ask(command)
        outcome: str = answer.outcome.name
        return outcome

    async def leave(self, room: int, number: int, epoch: int = 1) -> str:
        (answer,) = await self.ask(Leave((ORGANISATION, room), epoch, pass_id_of(number, number)))
        outcome: str = answer.outcome.name
        return outcome

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return await self._beside.rows(query, *arguments)

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.rows(query, *arguments))[0][0]

    async def line(self, room: int) -> dict[str, Any]:
        """The room's row of `room_lines`."""
        query = "SELECT * FROM room_lines WHERE room = $1"
        (row,) = await self._beside.records(query, room)
        return dict(row)

    async def looked(self, room: int) -> RoomView:
        """The room after a tick of the board."""
        await self.board.run_once()
        view = self.board.look(room)
        assert view is not None
        return view

    def app(self) -> App:
        """The state of the rooms over HTTP, as a worker serves it."""
        return build_app(
            state_endpoints(self.board, self.ready),
            Authenticator(Persons(ORGANISATION, []), OperatorKeys(_no_operator)),
            limits=Limits(),
            metrics=Metrics(),
            logs=Logs("error"),
            raw=self.answers,
        )

    async def _sale_exists(self, sale: int) -> bool:
        return sale in self.sales

    def _note(self, view: RoomView) -> None:
        self.changed.append(view)


async def _no_operator(_key_id: str) -> bytes | None:
    return None


def done(answer: EffectAnswer) -> dict[str, Any]:
    assert answer.outcome.kind.is_success, answer
    assert result_of(answer) is not None
    return result_of(answer)
