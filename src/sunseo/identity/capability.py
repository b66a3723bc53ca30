"""Who calls, in one worker: persons of the host's issuer, guests of ours, operators' keys."""

from sunseo.capability import Capability
from sunseo.identity.authenticator import Authenticator
from sunseo.identity.guests import guest_endpoints
from sunseo.identity.operator_keys import DigestLookup, OperatorKeys
from sunseo.identity.persons import GuestIssuer, Persons, PersonVerifier, SharedSecretVerifier
from sunseo.settings import Settings
from sunseo.web.endpoint import Endpoint


class IdentityCapability(Capability):
    """Callers of one organisation.

    Args:
        secret: signs guest sessions.
        digest_of: finds the stored digest of an operator's key.

    Attributes:
        persons: verifies tokens of persons and guests.
        guests: opens guest sessions.
        authenticator: sets who calls on each call.
    """

    def __init__(self, settings: Settings, secret: str, digest_of: DigestLookup) -> None:
        self._organisation = settings.organisation
        self.guests = GuestIssuer(secret.encode(), lifetime_s=settings.guest_session_s)
        self.persons = Persons(settings.organisation, [*_hosts(settings), self.guests])
        self.authenticator = Authenticator(self.persons, OperatorKeys(digest_of))

    def endpoints(self) -> list[Endpoint]:
        return guest_endpoints(self._organisation, self.guests)


def _hosts(settings: Settings) -> list[PersonVerifier]:
    """The host's own issuer, where one is set."""
    if settings.jwt_issuer is None or settings.jwt_secret is None:
        return []
    secret = settings.jwt_secret.encode()
    return [SharedSecretVerifier(settings.jwt_issuer, secret, settings.jwt_audience)]
