"""What the steps of a draw can be answered."""

from enum import unique

from sunseo.core.outcome import Kind, Outcome
from sunseo.operators.command import EffectOutcome


@unique
class DrawOutcome(Outcome):
    """What the steps of a draw can be answered besides `EffectOutcome`."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    NO_DRAW = Kind.ABSENT, "The room has no draw in this epoch."
    NOT_COMMITTED = Kind.CONFLICT, "Nobody has committed to a secret yet."
    COMMITMENT_STANDS = Kind.CONFLICT, "A commitment stands, and others have relied on it."
    NOT_SEALED = Kind.CONFLICT, "The list of entrants is not sealed yet."
    ALREADY_SEALED = Kind.CONFLICT, "The list of entrants is sealed already."
    ALREADY_REVEALED = Kind.CONFLICT, "The secret is revealed already."
    SECRET_ELSEWHERE = Kind.CONFLICT, "The server does not keep this secret: send it."
    WRONG_SECRET = Kind.REFUSED, "This is not the secret that was committed to."
    LIST_CHANGED = Kind.CONFLICT, "The stored entrants are not those whose list was sealed."


DRAW_OUTCOMES: tuple[Outcome, ...] = (*EffectOutcome, *DrawOutcome)
