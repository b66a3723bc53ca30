"""What a capability brings to a batch.

A `Part` serves one lane and lives as long as it does; its `Share` is its state in one batch. The
batch calls a share in this order, and what a share wants to have sent it hands over as data:

    known      what never changes, read before anything is locked (it costs a trip of its own)
    reads      rows, read once all streams are locked: sent in the same trip as the locks
    opened     all of that has come back
    decide     one command after the other, in order of arrival
    second_look, reconsider    what a refusal wants to look up before it is given
    writes     sent in the same trip as the journal's rows and the commit

A share never locks: what its commands must hold, `Part.streams` says.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from sunseo.core.clock import Instant
from sunseo.core.outcome import Outcome
from sunseo.engine.streams import HeldStream, Stream
from sunseo.postgres.pipelined.statements import Columns, Statement


class Command(msgspec.Struct, frozen=True, gc=False):
    """Anything that a lane of the engine applies.

    Thousands are alive at once under load and none is part of a cycle, hence `gc=False` here and
    on whatever else is made for every request.
    """

    @property
    def home(self) -> tuple[int, int]:
        """Organisation and number of the stream whose lane this command belongs to."""
        raise NotImplementedError


class PartAnswer(Protocol):
    """What every answer has, whichever part gave it; a lane's `Later` has it too."""

    @property
    def outcome(self) -> Outcome: ...


class AskAgain(msgspec.Struct, frozen=True):
    """No answer yet: put this command at the head of the next batch.

    It is the one that was asked, with what was learned of it: another stream that it must hold,
    another row that it must see.
    """

    command: Command


class NotReadError(Exception):
    """A row is needed that this batch has not read: the command is asked again as it is."""


class Read(NamedTuple):
    """A named statement that locks and changes nothing, and who takes what it answers."""

    statement: Statement
    take: Callable[[Columns], None]


Write = Statement
"""A named statement that changes rows of streams which the batch holds."""


class Share:
    """A part's state in one batch; the base of all of them."""

    def known(self) -> Iterable[Read]:
        """Read what never changes, before any lock; who else is at work does not matter for it."""
        return ()

    def reads(self) -> Iterable[Read]:
        """Read rows of streams that are locked by then; whether they are, `opened` can tell."""
        return ()

    def opened(self) -> None:
        """All streams are held and all reads have come back."""

    def decide(self, command: Any, now: Instant) -> PartAnswer | AskAgain:
        """Answer one of the part's own commands.

        Raises:
            NotReadError: it needs a row that was not read.
        """
        raise NotImplementedError

    def second_look(
        self, answers: Sequence[tuple[Command, PartAnswer | AskAgain]], now: Instant
    ) -> Iterable[Read]:
        """Read what may turn a refusal into another try: the exception, since it costs a trip."""
        del answers, now
        return ()

    def reconsider(self, command: Command, answer: PartAnswer | AskAgain) -> PartAnswer | AskAgain:
        """Give an answer after the second look; nothing may move any more."""
        del command
        return answer

    def writes(self) -> Iterable[Write]:
        """Write what has moved. A stream whose rows moved has an event that says so."""
        return ()


S = TypeVar("S", bound=Share)
S_co = TypeVar("S_co", bound=Share, covariant=True)


class Part(Protocol[S_co]):
    @property
    def commands(self) -> tuple[type[Command], ...]:
        """The commands that it decides."""
        ...

    def streams(self, command: Any) -> Iterable[Stream]:
        """What must be held for one of its commands, told from the command alone."""
        ...

    def join(self, batch: "Batch") -> S_co:
        """Begin a share in a batch. Parts join in the order in which the lane names them."""
        ...


class Batch:
    """What the shares of a batch see of it."""

    def __init__(self, commands: Sequence[Command], parts: Sequence[Part[Share]]) -> None:
        self.commands = commands
        self.held: dict[
            Stream, HeldStream
        ] = {}  # what was had of the streams, once they are locked
        self.missed: set[Stream] = set()  # what somebody else has locked
        self._shares: dict[Part[Share], Share] = {}
        for part in parts:
            self._shares[part] = part.join(self)

    def share(self, part: Part[S]) -> S:
        """The share of a part that joined before."""
        return self._shares[part]  # type: ignore[return-value]  # it is what this part's join gave

    @property
    def shares(self) -> Iterable[Share]:
        return self._shares.values()
