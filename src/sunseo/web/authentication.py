"""What this layer asks of whoever knows persons and operators; `identity` answers it."""

from typing import Protocol

from sunseo.web.endpoint import Call


class Authentication(Protocol):
    """Sets `person` or `operator` on a call by its `Authorization`, or raises `ProblemError`."""

    async def identify_person(self, call: Call, authorization: bytes | None) -> None: ...

    async def identify_known_person(self, call: Call, authorization: bytes | None) -> None:
        """A person if there is a token: nobody without one."""

    async def identify_operator(self, call: Call, authorization: bytes | None) -> None: ...

    def may_ask_store(self, authorization: bytes | None) -> bool:
        """Whether somebody may have to be waited for to know who this is."""

    def recognise_person(self, call: Call, authorization: bytes | None) -> None:
        """The same as `identify_person`, at once; only where `may_ask_store` has said no."""
