"""Who gets what: every rule about holds, pure.

`decide` answers commands in order of arrival, which is the order of right, and moves the inventory
as it goes. It does no I/O and is told the time.
"""

from datetime import timedelta
from uuid import UUID

import msgspec

from sunseo.booking import events
from sunseo.booking.commands import (
    ExpireHold,
    ExpireHoldOutcome,
    PlaceHold,
    PlaceHoldOutcome,
    ReleaseHold,
    ReleaseHoldOutcome,
    RenewHold,
    RenewHoldOutcome,
)
from sunseo.booking.inventory import (
    AMOUNT_MAX,
    WHOLE_SALE,
    Claim,
    Hold,
    HoldState,
    SaleState,
    SaleTerms,
)
from sunseo.core.clock import Instant
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Outcome
from sunseo.engine.part import AskAgain


class HoldAnswer(msgspec.Struct, frozen=True, gc=False):
    """An outcome with what it is about.

    `seats`, `products` and `stocks` name those that stood in the way; `currency` and
    `renewals_left` go with a hold; `room` is where to queue up first; `times` are those at which
    the sale opens and, if it does, closes.
    """

    outcome: Outcome
    hold: Hold | None = None
    currency: str = ""
    renewals_left: int = 0
    seats: tuple[int, ...] = ()
    products: tuple[int, ...] = ()
    stocks: tuple[int, ...] = ()
    room: int | None = None
    times: tuple[Instant, Instant | None] | None = None


Decision = HoldAnswer | AskAgain


def place_hold(command: PlaceHold, sale: SaleState | None, now: Instant) -> Decision:
    if sale is None or sale.terms is None:
        return HoldAnswer(PlaceHoldOutcome.UNKNOWN_SALE)
    if (hold := sale.holds.get(command.effect)) is not None:
        return _replayed(command, hold, sale)
    if refusal := _refuse_asking(command, sale, sale.terms, now) or _refuse_offer(
        command, sale, now
    ):
        return refusal

    for past_due in command.reclaim:
        expire_if_due(sale, past_due, now)
    claim = claim_of(command, sale)
    if refusal := _refuse_claim(command, claim, sale, sale.terms, now):
        return refusal

    # From here the hold must succeed.
    return _hold(command, claim, sale, sale.terms, now)


def renew_hold(command: RenewHold, sale: SaleState | None, now: Instant) -> Decision:
    hold = _own_hold(command, sale)
    if sale is None or sale.terms is None or hold is None:
        return HoldAnswer(RenewHoldOutcome.UNKNOWN_HOLD)
    if command.effect in hold.renewals:
        return _about(RenewHoldOutcome.REPLAYED, hold, sale)
    if hold.state is HoldState.ORDERED:
        return HoldAnswer(RenewHoldOutcome.HOLD_ORDERED, hold)
    if hold.state is HoldState.RELEASED:
        return HoldAnswer(RenewHoldOutcome.HOLD_RELEASED, hold)
    if hold.state is HoldState.EXPIRED or hold.is_past_due(now):
        return HoldAnswer(RenewHoldOutcome.HOLD_EXPIRED, hold)
    if len(hold.renewals) >= sale.terms.renewals_max:
        return HoldAnswer(RenewHoldOutcome.RENEWALS_SPENT, hold)

    sale.renew(hold, command.effect, now + timedelta(seconds=sale.terms.hold_ttl_s))
    sale.events.append(events.hold_renewed(hold))
    return _about(RenewHoldOutcome.RENEWED, hold, sale)


def release_hold(command: ReleaseHold, sale: SaleState | None, now: Instant) -> Decision:
    hold = _own_hold(command, sale)
    if sale is None or hold is None:
        return HoldAnswer(ReleaseHoldOutcome.UNKNOWN_HOLD)
    if hold.state is HoldState.RELEASED:
        return _about(ReleaseHoldOutcome.REPLAYED, hold, sale)
    if hold.state is HoldState.ORDERED:
        return HoldAnswer(ReleaseHoldOutcome.HOLD_ORDERED, hold)
    if hold.state is HoldState.EXPIRED or hold.is_past_due(now):
        return HoldAnswer(ReleaseHoldOutcome.HOLD_EXPIRED, hold)

    sale.let_go(hold, HoldState.RELEASED, now)
    sale.events.append(events.hold_released(hold))
    return _about(ReleaseHoldOutcome.RELEASED, hold, sale)


def expire_hold(command: ExpireHold, sale: SaleState | None, now: Instant) -> Decision:
    hold = sale.holds.get(command.hold) if sale is not None else None
    if sale is None or hold is None:
        return HoldAnswer(ExpireHoldOutcome.UNKNOWN_HOLD)
    if hold.state is not HoldState.OPEN:
        return HoldAnswer(ExpireHoldOutcome.ENDED_BEFORE, hold)
    if not expire_if_due(sale, command.hold, now):
        return HoldAnswer(ExpireHoldOutcome.NOT_DUE, hold)
    return HoldAnswer(ExpireHoldOutcome.EXPIRED, hold)


def expire_if_due(sale: SaleState, hold_id: UUID, now: Instant) -> bool:
    """Expire a hold whose time has run out: the one way in which units come back by time."""
    hold = sale.holds.get(hold_id)
    if hold is None or not hold.is_past_due(now):
        return False

    sale.let_go(hold, HoldState.EXPIRED, now)
    sale.events.append(events.hold_expired(hold))
    return True


def claim_of(command: PlaceHold, sale: SaleState) -> Claim:
    """Count what seats and products amount to.

    A seat counts for its occasion; a unit of a product counts once for every occasion that its
    stock belongs to; both count once for the whole sale.
    """
    catalogue = sale.catalogue
    draws: dict[int, int] = {}
    occasions: dict[int, int] = {}
    amount = 0
    units = len(command.seats)
    for number in command.seats:
        seat = sale.seats[number]
        occasions[seat.occasion] = occasions.get(seat.occasion, 0) + 1
        amount += catalogue.prices[seat.price_class]
    for number, quantity in command.products:
        product = catalogue.products[number]
        units += quantity
        amount += product.price * quantity
        for stock, each in product.draws:
            draws[stock] = draws.get(stock, 0) + each * quantity
        for occasion in product.occasions:
            occasions[occasion] = occasions.get(occasion, 0) + quantity

    uses = occasions if catalogue.occasion_limit is not None else {}
    if catalogue.person_limit is not None:
        uses[WHOLE_SALE] = units
    return Claim(units, amount, draws, uses)


def _refuse_asking(
    command: PlaceHold, sale: SaleState, terms: SaleTerms, now: Instant
) -> Decision | None:
    """Refuse whoever may not ask, or not at this time, whatever it is about."""
    if sale.catalogue.turns_away(is_guest=command.is_guest):
        return HoldAnswer(PlaceHoldOutcome.ACCOUNT_REQUIRED)
    if command.admission is not None and not command.admission.admits(now):
        is_known = command.admission.is_known
        outcome = PlaceHoldOutcome.PASS_REQUIRED if is_known else LaterOutcome.UNREADABLE
        return HoldAnswer(outcome, room=command.admission.room)
    if not terms.is_open(now):
        times = (terms.opens_at, terms.closes_at)
        return HoldAnswer(PlaceHoldOutcome.SALE_NOT_OPEN, times=times)
    if terms.paused:
        return HoldAnswer(PlaceHoldOutcome.SALE_PAUSED)
    return None


def _refuse_offer(command: PlaceHold, sale: SaleState, now: Instant) -> Decision | None:
    """Refuse what there is not, not any more, or for nobody yet, whatever is free of it."""
    catalogue = sale.catalogue
    if unknown := [seat for seat in command.seats if seat not in sale.seats]:
        return HoldAnswer(PlaceHoldOutcome.UNKNOWN_SEAT, seats=tuple(unknown))
    if unknown := [p for p, _ in command.products if p not in catalogue.products]:
        return HoldAnswer(PlaceHoldOutcome.UNKNOWN_PRODUCT, products=tuple(unknown))

    seats = [(number, sale.seats[number]) for number in command.seats]
    products = [(number, catalogue.products[number]) for number, _ in command.products]

    begun = [n for n, s in seats if _has_begun(catalogue.starts.get(s.occasion), now)]
    begun_products = [n for n, product in products if _has_begun(product.starts_at, now)]
    if begun or begun_products:
        return HoldAnswer(
            PlaceHoldOutcome.ALREADY_STARTED, seats=tuple(begun), products=tuple(begun_products)
        )
    if unpriced := [n for n, s in seats if s.price_class not in catalogue.prices]:
        return HoldAnswer(LaterOutcome.UNREADABLE, seats=tuple(unpriced))
    dear = [n for n, s in seats if catalogue.prices[s.price_class] > 0]
    dear_products = [n for n, product in products if product.price > 0]
    if dear or dear_products:
        return HoldAnswer(
            PlaceHoldOutcome.PAYMENT_REQUIRED, seats=tuple(dear), products=tuple(dear_products)
        )
    return None


def _has_begun(starts_at: Instant | None, now: Instant) -> bool:
    return starts_at is not None and starts_at <= now


def _refuse_claim(
    command: PlaceHold, claim: Claim, sale: SaleState, terms: SaleTerms, now: Instant
) -> Decision | None:
    # New prices keep every amount far below; of older ones this one order is refused, and no batch.
    is_too_dear = claim.amount > AMOUNT_MAX
    if is_too_dear or (terms.order_limit is not None and claim.units > terms.order_limit):
        return HoldAnswer(PlaceHoldOutcome.ORDER_LIMIT_REACHED)

    taken, past_due = _others_seats(command, sale, now)
    if taken:
        return HoldAnswer(PlaceHoldOutcome.SEAT_TAKEN, seats=taken)
    if past_due:
        return AskAgain(msgspec.structs.replace(command, reclaim=past_due))

    for occasion, units in claim.uses.items():
        use = sale.use_of(command.person, occasion)
        if use.units + units > use.units_max:
            return HoldAnswer(PlaceHoldOutcome.LIMIT_REACHED)

    if any(stock not in sale.stocks for stock in claim.draws):
        return AskAgain(command)
    if short := tuple(s for s, units in claim.draws.items() if sale.stocks[s].free < units):
        return HoldAnswer(PlaceHoldOutcome.SOLD_OUT, stocks=short)
    return None


def _others_seats(
    command: PlaceHold, sale: SaleState, now: Instant
) -> tuple[tuple[int, ...], tuple[UUID, ...]]:
    """Return seats that somebody has, and holds that have seats but whose time has run out."""
    taken: list[int] = []
    past_due: dict[UUID, None] = {}
    for number in command.seats:
        seat = sale.seats[number]
        if seat.hold is None:
            continue
        if seat.expires_at is None or seat.expires_at > now:
            taken.append(number)
        else:
            past_due[seat.hold] = None
    return tuple(taken), tuple(past_due)


def _hold(
    command: PlaceHold, claim: Claim, sale: SaleState, terms: SaleTerms, now: Instant
) -> HoldAnswer:
    hold = Hold(
        sale=command.sale,
        hold=command.effect,
        person=command.person,
        state=HoldState.OPEN,
        seats=command.seats,
        products=command.products,
        draws=tuple(claim.draws.items()),
        uses=tuple(claim.uses.items()),
        units=claim.units,
        amount=claim.amount,
        request_digest=command.request_digest,
        renewals=(),
        placed_at=now,
        expires_at=now + timedelta(seconds=terms.hold_ttl_s),
        is_new=True,
    )
    sale.place(hold)
    sale.events.append(events.hold_placed(hold))
    return _about(PlaceHoldOutcome.HELD, hold, sale)


def _replayed(command: PlaceHold, hold: Hold, sale: SaleState) -> HoldAnswer:
    if hold.request_digest != command.request_digest:
        return HoldAnswer(PlaceHoldOutcome.KEY_REUSED)
    return _about(PlaceHoldOutcome.REPLAYED, hold, sale)


def _about(outcome: Outcome, hold: Hold, sale: SaleState) -> HoldAnswer:
    renewals_max = sale.terms.renewals_max if sale.terms is not None else 0
    return HoldAnswer(
        outcome,
        hold,
        currency=sale.catalogue.currency,
        renewals_left=max(0, renewals_max - len(hold.renewals)),
    )


def _own_hold(command: RenewHold | ReleaseHold, sale: SaleState | None) -> Hold | None:
    """The hold that a person names, if it is that person's; others' holds do not exist for her."""
    hold = sale.holds.get(command.hold) if sale is not None else None
    return hold if hold is not None and hold.person == command.person else None
