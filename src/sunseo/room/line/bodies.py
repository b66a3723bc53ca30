"""What visitors send to rooms, and what they get."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from sunseo.core.signing import decode_base64url
from sunseo.passes.tokens import CHARACTERS_MAX
from sunseo.room.admission.challenge import ANSWER_CHARACTERS_MAX

PASSES_MAX = 200  # that one request renews, for a gate that serves many

Token = Annotated[str, Meta(min_length=4, max_length=CHARACTERS_MAX)]
# The last of 22 characters has two bits only: any other would be a second spelling.
Binding = Annotated[str, Meta(min_length=22, max_length=22, pattern="^[A-Za-z0-9_-]{21}[AQgw]$")]
Secret = Annotated[str, Meta(min_length=22, max_length=86, pattern="^[A-Za-z0-9_-]+$")]


class NonceBody(msgspec.Struct, frozen=True, gc=False):
    """A nonce to join with; `minute` since 1970 is when it was given."""

    nonce: str
    minute: int


class JoinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How to join.

    Who sends no person's token chooses a secret of 16 to 64 random bytes, keeps it, and sends as
    `binding` the first 16 bytes of its SHA-256, base64url. `challenge` is the solved challenge,
    where the room asks for one.
    """

    binding: Binding | None = None
    challenge: Annotated[str, Meta(max_length=ANSWER_CHARACTERS_MAX)] | None = None


class PlaceBody(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A place in line, or with 202 a `receipt` of the draw in which the number will be drawn.

    So many are ahead: `number - serving`. Ask for the room's state again after `poll_after_s`.
    """

    epoch: int
    serving: int
    poll_after_s: int
    place: str | None = None
    number: int | None = None
    receipt: str | None = None


class EnterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A place, with its secret (base64url) if it was taken without a person's token."""

    place: Token
    secret: Secret | None = None

    def __post_init__(self) -> None:
        try:
            decode_base64url(self.secret or "")
        except ValueError:
            raise ValueError("secret must be base64url without padding") from None


class PassBody(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A pass to be renewed after `renew_after_s`; with 202, only when to ask again."""

    pass_: str | None = msgspec.field(default=None, name="pass")
    expires_at: datetime | None = None
    renew_after_s: int | None = None
    session_until: datetime | None = None
    poll_after_s: int | None = None


class RenewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One pass, or for a gate many at once."""

    pass_: Token | None = msgspec.field(default=None, name="pass")
    passes: Annotated[tuple[Token, ...], Meta(max_length=PASSES_MAX)] = ()

    def __post_init__(self) -> None:
        if self.pass_ is None and not self.passes:
            raise ValueError("pass must be given, or else passes")
        if self.pass_ is not None and self.passes:
            raise ValueError("passes must not be given where pass is")


class RenewedPass(PassBody, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What became of one of many passes: its `outcome`, as if it had been sent alone."""

    outcome: str


class RenewedBody(PassBody, frozen=True, gc=False, omit_defaults=True):
    """The renewed pass; where many were sent, their `results` in the same order."""

    results: list[RenewedPass] | None = None


class PassRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The pass that is no longer needed."""

    pass_: Token = msgspec.field(name="pass")


class LeaveRequest(PassRequest, frozen=True, forbid_unknown_fields=True, gc=False):
    """The pass that is no longer needed; with `revoke`, not to be taken by any gate either.

    Gates that were not told take a pass that was left until its token ends. A revoked one is listed
    in the state document for all of them.
    """

    revoke: bool = False


class EndedBody(msgspec.Struct, frozen=True, gc=False):
    """How the pass has ended: `left`, `revoked`, `completed`, or before (`replayed`)."""

    outcome: str
