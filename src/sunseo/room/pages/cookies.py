"""What a visitor's browser keeps for her: her place in each room, a guest session, a language.

    sunseo_room_<room>   version.nonce.secret.place.began.served, and .receipt after a draw's join
    sunseo_sent_<room>   how often she came back at once from where she was sent (sent_back.py)
    sunseo_guest         the token of a guest session
    sunseo_language      ko or en

Nothing in it is trusted: nonce, place and session are signed, the secret is the visitor's own, and
the two numbers only decide what she sees.
"""

import hmac
from hashlib import sha256
from secrets import token_bytes

import msgspec

from sunseo.core.signing import decode_base64url, encode_base64url
from sunseo.passes.tokens import BINDING_BYTES

GUEST = "sunseo_guest"
SECRET_BYTES = 32

_VERSION = "1"
_CSRF_DOMAIN = b"sunseo:csrf:v1\0"


class BrowserVisit(msgspec.Struct, frozen=True):
    """What one browser keeps of one room.

    Attributes:
        secret: base64url; a place of a guest is bound to it, and forms are signed with it.
        nonce: sealed, or empty when it has served.
        place: sealed; empty before there is one; `-` and the epoch while a draw decides on it.
        began: how many were ahead when she joined; for the progress.
        served: the highest number that she has seen called: what is shown to her never rises.
        receipt: sealed, of the draw in which she takes or took part; for her to check it with.
    """

    secret: str
    nonce: str = ""
    place: str = ""
    began: int = 0
    served: int = 0
    receipt: str = ""

    @classmethod
    def fresh(cls, nonce: str) -> "BrowserVisit":
        return cls(encode_base64url(token_bytes(SECRET_BYTES)), nonce)

    @classmethod
    def read(cls, value: str | None) -> "BrowserVisit | None":
        """From a cookie's value; None where it is not one that we wrote."""
        parts = (value or "").split(".")
        if len(parts) not in (6, 7) or parts[0] != _VERSION:
            return None
        _, nonce, secret, place, began, served, *receipt = parts
        try:
            if len(decode_base64url(secret)) != SECRET_BYTES:
                return None
        except ValueError:
            return None
        return cls(secret, nonce, place, number_of(began), number_of(served), "".join(receipt))

    def write(self) -> str:
        fields = [_VERSION, self.nonce, self.secret, self.place, self.began, self.served]
        fields += [self.receipt] if self.receipt else []
        return ".".join(str(field) for field in fields)

    @property
    def binding(self) -> bytes:
        """The hash to which a guest's place is bound."""
        return sha256(decode_base64url(self.secret)).digest()[:BINDING_BYTES]

    @property
    def form_token(self) -> str:
        """What our own forms carry and others cannot know: made of the secret, and not it."""
        digest = sha256(_CSRF_DOMAIN + decode_base64url(self.secret)).digest()
        return encode_base64url(digest[:BINDING_BYTES])

    def registered(self, epoch: int, receipt: str) -> "BrowserVisit":
        """The same, taking part in the draw of an epoch; the nonce will fetch the number."""
        return BrowserVisit(self.secret, self.nonce, f"-{epoch}", receipt=receipt)

    def is_registered_in(self, epoch: int) -> bool:
        return self.place == f"-{epoch}" and self.nonce != ""

    def is_own_form(self, token: str) -> bool:
        return hmac.compare_digest(self.form_token.encode(), token.encode("utf-8", "replace"))


def cookie_of(room: int) -> str:
    return f"sunseo_room_{room}"


def number_of(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0
