"""Seats, stock and holds in one worker."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.booking.availability.availability import AvailabilityBoard
from sunseo.booking.commands import PlaceHoldOutcome
from sunseo.booking.expirer import Expirer
from sunseo.booking.halt import OF_DISK, SellingHalt
from sunseo.booking.routes import hold_endpoints
from sunseo.booking.service import HoldService, RoomAccessRule
from sunseo.booking.setup.setup import SaleSetup
from sunseo.booking.setup.setup_routes import setup_endpoints
from sunseo.capability import BackgroundTurn, Capability, Check
from sunseo.engine.lanes import EngineLanes
from sunseo.journal.tail import JournalTail
from sunseo.operators.command import OperatorCommands
from sunseo.settings import Settings
from sunseo.telemetry.aside import SetAside
from sunseo.telemetry.metrics import Metrics
from sunseo.web.endpoint import Endpoint


class BookingCapability(Capability):
    """Sales of one organisation.

    Args:
        lanes: of all sales.
        tail: of the journal, on a connection of its own.
        halt: whether nothing may be sold now.
        aside: of what cannot be read.

    Attributes:
        board: what sales have left.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        engine: AsyncEngine,
        commands: OperatorCommands,
        lanes: EngineLanes,
        tail: JournalTail,
        halt: SellingHalt,
        aside: SetAside,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._engine = engine
        self._commands = commands
        self._lanes = lanes
        self._halt = halt
        organisation = settings.organisation
        self.board = AvailabilityBoard(
            engine,
            organisation,
            tail,
            on_lag=metrics.journal_tail_lag_seconds.set,
            aside=aside,
        )
        self._expirer = Expirer(engine, organisation, lanes, on_turn=self._note_expired)

    def endpoints(self) -> list[Endpoint]:
        setup = SaleSetup(self._commands)
        return setup_endpoints(setup, self._engine, self._settings.organisation, self.board)

    def hold_endpoints(self, access: RoomAccessRule) -> list[Endpoint]:
        """Those of holds, for whoever knows which passes let somebody book."""
        organisation, first = self._settings.organisation, self._halt.first
        holds = HoldService(self._lanes, self._engine, organisation, first, access)
        return hold_endpoints(holds, self.board)

    def turns(self) -> list[BackgroundTurn]:
        settings = self._settings
        return [
            BackgroundTurn("availability", self.board.run_once, settings.tail_every_s),
            BackgroundTurn("expirer", self._expirer.run_once, settings.expire_every_s),
        ]

    def checks(self) -> Mapping[str, Check]:
        return {
            "rooms": self._halt.checking(PlaceHoldOutcome.ROOMS_NOT_READ),
            "disk": self._halt.checking(*OF_DISK.values()),
        }

    async def leave(self) -> None:
        await self._expirer.leave()

    async def has_sale(self, sale: int) -> bool:
        return await self.board.look(sale) is not None

    async def left_of(self, sale: int) -> tuple[int, int] | None:
        """Units not yet sold, those on hold included, and units sold; none for an unknown sale."""
        snapshot = await self.board.look(sale)
        if snapshot is None:
            return None
        seats = [seat_map.counts for seat_map in snapshot.seat_maps.values()]
        stocks = snapshot.stocks.values()
        left = sum(free + held for free, held, _ in seats)
        left += sum(max(0, level.capacity - level.sold) for level in stocks)
        return left, sum(sold for _, _, sold in seats) + sum(level.sold for level in stocks)

    def _note_expired(self, expired: int, late_s: float) -> None:
        self._metrics.holds_expired.inc(expired)
        self._metrics.expirer_lag_seconds.set(late_s)
