"""Who calls: reads `Authorization` and asks the persons or the operator keys.

Without a usable credential the answer is 401 with `WWW-Authenticate`; a valid credential of the
other kind is 403. Public endpoints do not look at the header.
"""

from sunseo.identity.operator_keys import PREFIX, OperatorKeys
from sunseo.identity.persons import InvalidTokenError, Persons
from sunseo.web.endpoint import Call
from sunseo.web.problems import (
    CREDENTIAL_REQUIRED,
    INVALID_CREDENTIAL,
    WRONG_CREDENTIAL,
    ProblemError,
)

_CHALLENGE = ((b"www-authenticate", b'Bearer realm="sunseo"'),)
_CHALLENGE_INVALID = ((b"www-authenticate", b'Bearer realm="sunseo", error="invalid_token"'),)
_OPERATOR_PREFIX = PREFIX.encode()
CREDENTIAL_BYTES_MAX = 8192


class Authenticator:
    """Sets `person` or `operator` on a call, or refuses it."""

    def __init__(self, persons: Persons, operators: OperatorKeys) -> None:
        self._persons = persons
        self._operators = operators

    async def identify_person(self, call: Call, authorization: bytes | None) -> None:
        """Set `call.person`.

        Raises:
            ProblemError: there is no valid person's token.
        """
        credential = _bearer(authorization)
        if credential.startswith(_OPERATOR_PREFIX):
            await self._operator_of(credential)
            raise ProblemError(
                WRONG_CREDENTIAL, "This needs a person's token, not an operator key."
            )
        self._recognise(call, credential)

    def recognise_person(self, call: Call, authorization: bytes | None) -> None:
        """The same at once, where `may_ask_store` has said no.

        Raises:
            ProblemError: there is no valid person's token.
        """
        self._recognise(call, _bearer(authorization))

    def may_ask_store(self, authorization: bytes | None) -> bool:
        """Whether this could be an operator's key, for which the database may have to be asked."""
        return authorization is not None and _OPERATOR_PREFIX in authorization

    async def identify_known_person(self, call: Call, authorization: bytes | None) -> None:
        """Set `call.person` if there is a token.

        Raises:
            ProblemError: there is one, and it is not a valid person's token.
        """
        if authorization is not None:
            await self.identify_person(call, authorization)

    async def identify_operator(self, call: Call, authorization: bytes | None) -> None:
        """Set `call.operator`.

        Raises:
            ProblemError: there is no valid operator key.
        """
        credential = _bearer(authorization)
        if credential.startswith(_OPERATOR_PREFIX):
            call.operator = await self._operator_of(credential)
            return
        try:
            self._persons.person_of(credential)
        except InvalidTokenError:
            raise _invalid("The operator key is not valid.") from None
        raise ProblemError(WRONG_CREDENTIAL, "This needs an operator key, not a person's token.")

    def _recognise(self, call: Call, credential: bytes) -> None:
        try:
            call.person, call.record.person = self._persons.person_of(credential)
        except InvalidTokenError as error:
            raise _invalid(str(error)) from None

    async def _operator_of(self, credential: bytes) -> str:
        key_id = await self._operators.verify(credential.decode("latin-1"))
        if key_id is None:
            raise _invalid("The operator key is not valid.")
        return key_id


def _bearer(authorization: bytes | None) -> bytes:
    if authorization is None:
        raise ProblemError(CREDENTIAL_REQUIRED, headers=_CHALLENGE)
    scheme, _, credential = authorization.partition(b" ")
    credential = credential.strip(b" ")
    if scheme.lower() != b"bearer" or not credential or len(credential) > CREDENTIAL_BYTES_MAX:
        raise ProblemError(
            CREDENTIAL_REQUIRED,
            f"Authorization must be `Bearer <token>` of at most {CREDENTIAL_BYTES_MAX} bytes.",
            headers=_CHALLENGE,
        )
    return credential


def _invalid(detail: str) -> ProblemError:
    return ProblemError(INVALID_CREDENTIAL, detail, headers=_CHALLENGE_INVALID)
