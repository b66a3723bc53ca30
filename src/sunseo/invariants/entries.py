"""The one list of invariants: tests, rehearsals and production check the same."""

from enum import Enum, unique

import msgspec


@unique
class Scope(Enum):
    SALE = "sale"
    ORGANISATION = "organisation"


class Invariant(msgspec.Struct, frozen=True):
    """Something that always holds; `sentence` says what.

    The statement in `cold.sql` that finds the rows at fault is called by the same name. Where
    SQL cannot tell (`in_python`), `verify` knows the function that can.
    """

    name: str
    sentence: str
    scope: Scope = Scope.SALE
    in_python: bool = False

    @property
    def query(self) -> str:
        return self.name.replace("-", "_")


INVARIANTS: tuple[Invariant, ...] = (
    # Stock.
    Invariant(
        "stock-capacity",
        "What is free, held and sold of a stock adds up to its capacity, and none is negative.",
    ),
    Invariant(
        "stock-counters",
        "What a stock counts as held is what open holds draw on it, and as sold what orders draw.",
    ),
    # Seats.
    Invariant(
        "seat-owner",
        "A seat that is owned belongs to an open or ordered hold which names it.",
    ),
    Invariant(
        "hold-owns-seats",
        "An open or ordered hold owns every seat that it names.",
    ),
    Invariant(
        "seat-one-claim",
        "No seat is named twice by open and ordered holds: it has one owner.",
    ),
    Invariant(
        "seat-expiry",
        "A held seat expires when its hold does; a free seat and a sold one never do.",
    ),
    # Persons.
    Invariant(
        "person-counters",
        "A person's counters are what the person's open and ordered holds add up to; where there"
        " is no counter, there is nothing to count.",
    ),
    Invariant(
        "person-counter-limits",
        "A person's counter is bounded by the sale's own limit, and kept only where there is one.",
    ),
    Invariant(
        "person-limits",
        "Nobody's open and ordered holds claim more of a sale or an occasion than its limit.",
    ),
    # Holds.
    Invariant("order-limit", "No hold claims more units than one order may have."),
    Invariant(
        "hold-lists",
        "Every product of a hold has a quantity, and every stock and occasion has its units.",
    ),
    Invariant("hold-claims", "Every seat and product that a hold names exists in its sale."),
    Invariant(
        "hold-units", "The units of a hold are its seats and the quantities of its products."
    ),
    Invariant("hold-draws", "A hold draws on stock exactly what its products draw."),
    Invariant(
        "hold-uses",
        "A hold counts for its person by what it claims, wherever the sale has a limit.",
    ),
    Invariant(
        "hold-amount", "The amount of a hold is the sum of the prices of its seats and products."
    ),
    Invariant(
        "hold-end",
        "A hold was ordered or released before its time ran out, and expired only after that.",
    ),
    # Orders.
    Invariant("order-hold", "An order sells a hold that is ordered, of the same person."),
    Invariant("hold-order", "An ordered hold has exactly one order."),
    Invariant(
        "order-paid", "An order costs what its hold did, and is paid in full or free by rule."
    ),
    Invariant(
        "order-confirmed-once",
        "The journal tells of every order by exactly one OrderConfirmed, and of no other.",
    ),
    # Journal.
    Invariant(
        "journal-versions",
        "The journal's versions run from 1 to the version of the sale without a gap.",
    ),
    Invariant(
        "journal-events", "Every entry of the journal has events, each with a type and a version."
    ),
    Invariant(
        "hold-placed-once",
        "The journal tells of every hold by exactly one HoldPlaced, and of no other.",
    ),
    Invariant(
        "hold-ended-once",
        "The journal tells how a hold ended once, as its state has it, and nothing after that.",
    ),
    Invariant(
        "hold-renewals",
        "A hold is renewed no more often than allowed, and its renewals and time are those that"
        " the journal tells.",
    ),
    Invariant("journal-seats", "The journal, replayed, gives every seat the owner that it has."),
    Invariant("journal-stocks", "The journal, replayed, gives every stock the counters it has."),
    # Set-up.
    Invariant(
        "sale-parts",
        "Seats, stocks and draws name only occasions, price classes, products and stocks that the"
        " sale has.",
    ),
    Invariant(
        "seat-places",
        "No two seats of an occasion have the same section, row and label.",
    ),
    Invariant(
        "sale-persons",
        "A sale with a limit for each person says who counts as one.",
    ),
    Invariant(
        "part-names",
        "No two products or price classes of a sale have the same name, no two occasions the same"
        " name and start, and no two stocks of an occasion the same name and start.",
    ),
    # Waiting rooms.
    Invariant(
        "room-lines",
        "Every room has one line, its sale exists, and every row of a room belongs to a room.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-epochs",
        "No place, pass, entrant or draw is of an epoch that has not begun.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-numbers",
        "The places of a line have the numbers from 1 to the last one issued, each once; only"
        " those that are kept for a draw, or were passed over when a backup was restored, are"
        " missing.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-serving",
        "Nobody is called who has no number yet.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-occupancy",
        "What a line counts as inside is the number of its live passes.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-passes",
        "Every pass is of the place whose number it bears, and of that place's holder, unless the"
        " number was passed over when a backup was restored.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-visits",
        "Nobody has another place before the one she had is used up, and then it is behind it.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-pass-times",
        "No pass outlasts its slot or its session.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-draws",
        "Once a draw is revealed, everybody who took part has a number of it.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "room-settings",
        "The settings of every room can be read, so that no room is set aside.",
        Scope.ORGANISATION,
        in_python=True,
    ),
    Invariant(
        "room-draw-secrets",
        "Of each draw that the server is to reveal it keeps the secret that was promised, and no"
        " other secret.",
        Scope.ORGANISATION,
    ),
    # The organisation as a whole.
    Invariant("known-sales", "Every row belongs to a sale that exists.", Scope.ORGANISATION),
    Invariant(
        "journal-cursors",
        "No consumer has read further than the journal goes.",
        Scope.ORGANISATION,
    ),
    Invariant("operator-effects", "Every effect of an operator has a result.", Scope.ORGANISATION),
    Invariant(
        "audit-log-chain",
        "The audit log has no gap, and each entry carries the hash of the one before.",
        Scope.ORGANISATION,
    ),
    Invariant(
        "audit-log-hashes",
        "The hash of each entry of the audit log is that of its contents.",
        Scope.ORGANISATION,
        in_python=True,
    ),
)
