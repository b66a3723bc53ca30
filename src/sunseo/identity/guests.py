"""`POST /v1/guests`: a signed session for somebody whom no host vouches for.

Anybody may have as many sessions as she likes, so that a limit per person binds guests only as
far as their patience goes. Sales that need more take accounts for persons: whom the host's own
issuer vouches for.
"""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from sunseo.core.ids import Person
from sunseo.identity.persons import GUEST_ISSUER, GuestIssuer
from sunseo.web.endpoint import Call, Endpoint, Reply, Urgency


class GuestBody(msgspec.Struct, frozen=True):
    """A guest session. Send `token` as `Authorization: Bearer <token>`."""

    token: str
    person: UUID
    expires_at: datetime


def guest_endpoints(organisation: int, issuer: GuestIssuer) -> list[Endpoint]:
    async def create_guest(_: Call) -> Reply:
        session = issuer.issue()
        person = Person.named(organisation, GUEST_ISSUER, session.subject)
        expires_at = datetime.fromtimestamp(session.expires_at, UTC)
        return Reply(201, GuestBody(session.token, person.id, expires_at))

    return [
        Endpoint(
            name="create_guest",
            method="POST",
            path="/v1/guests",
            summary="Open a guest session",
            description="Gives a new anonymous person. Nothing is stored; the token is signed.",
            handler=create_guest,
            response=GuestBody,
            success=201,
            urgency=Urgency.JOIN,
        )
    ]
