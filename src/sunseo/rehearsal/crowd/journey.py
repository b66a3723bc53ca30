"""What visitors come for, as they deal with it: each kind of opening says it in its own way."""

from typing import Protocol

from sunseo.rehearsal.crowd.caller import VisitorClient


class Inside(Protocol):
    """Her pass, and how to keep it."""

    pass_: str

    async def stay(self, seconds: float) -> None: ...

    async def enter_again(self) -> None: ...

    async def leave(self) -> None: ...


class VisitorJourney:
    """
    Attributes:
        done: how a visit ends in which everything went well, one word.
        knows_persons: whether somebody else's pass is of no use there.
        renews_passes: whether it does so by itself; otherwise visitors do.
    """

    done: str
    knows_persons = True
    renews_passes = False

    async def approach(self, caller: VisitorClient) -> None:
        """Before anything else."""

    async def visit(self, caller: VisitorClient, inside: Inside) -> None:
        """Come away with what she came for.

        Raises:
            GoneError: she left without it.
        """
        raise NotImplementedError
