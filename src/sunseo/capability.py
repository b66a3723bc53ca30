"""What a capability brings to a worker: wiring joins them, and knows no more of them than this.

A capability's folder has one `capability.py`, which builds its services from what the worker hands
it, and says which parts, endpoints, turns and readiness checks are its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from sunseo.web.endpoint import Endpoint

Check = Callable[[], Awaitable[bool | str]]
"""Whether something is well; if not, a line for people may say what is amiss."""


class BackgroundTurn(NamedTuple):
    """Work that a worker repeats; it returns whether there is more to be done at once."""

    name: str
    run_once: Callable[[], Awaitable[bool]]
    every_s: float


class Capability:
    """One organisation's, in one process. What a capability does not bring stays as it is here.

    State       BUILT, STARTED once the worker serves, then asked to LEAVE its roles, and STOPPED.
    """

    def endpoints(self) -> Sequence[Endpoint]:
        return ()

    def turns(self) -> Sequence[BackgroundTurn]:
        return ()

    def checks(self) -> Mapping[str, Check]:
        """By the names under which `/readyz` tells them."""
        return {}

    def start(self) -> None:
        """Begin; nothing has been asked yet."""

    async def leave(self) -> None:
        """Give away what one process of all does, so that another goes on at once."""

    async def stop(self) -> None:
        """Answer whoever waits, and end."""
