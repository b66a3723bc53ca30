"""What a command can be answered whatever it asks for: not now, and why."""

from enum import Enum, unique

import msgspec

from sunseo.core.outcome import Kind, Outcome


@unique
class Fault(Enum):
    """Whose fault an exception out of a flush is."""

    DATA = "data"  # of a command in the batch: find it by bisection
    INFRASTRUCTURE = "infrastructure"  # of nobody in the batch: try once more, then LATER
    FENCE = "fence"  # of nobody in it: another writer took the version; nothing was done, try again


@unique
class Reason(Enum):
    """Why a lane answers LATER by itself."""

    SHED = "shed"  # too much was waiting; nothing was done
    OVERDUE = "overdue"  # its deadline passed while it waited; nothing was done
    STOPPING = "stopping"  # the process is going down; nothing was done
    UNKNOWN = "unknown"  # the infrastructure failed; it may have been done
    LOCKED = "locked"  # somebody else kept what it is about locked; nothing was done
    FENCED = "fenced"  # others took the version each time it was tried; nothing was done


@unique
class LaterOutcome(Outcome):
    """The answers that any command can get, whatever its capability."""

    BUSY = Kind.LATER, "There is too much to do right now. Nothing was done; please try again."
    OUTCOME_UNKNOWN = (
        Kind.LATER,
        "It may or may not have been done. Send the same request with the same key again.",
    )
    LOCKED = (
        Kind.LATER,
        "It is locked in the database, by an operator perhaps. Nothing was done; please try again.",
    )
    UNREADABLE = (
        Kind.LATER,
        "What is stored of it cannot be read and is set aside. Nothing was done.",
    )


class Later(msgspec.Struct, frozen=True):
    """A lane's own answer instead of the capability's."""

    reason: Reason

    @property
    def outcome(self) -> LaterOutcome:
        if self.reason is Reason.UNKNOWN:
            return LaterOutcome.OUTCOME_UNKNOWN
        if self.reason is Reason.LOCKED:
            return LaterOutcome.LOCKED
        return LaterOutcome.BUSY
