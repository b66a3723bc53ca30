"""What a backup says of itself, and what was true at its moment."""

from datetime import datetime

import msgspec

FORMAT = 1


class SaleFacts(msgspec.Struct, frozen=True):
    """A sale: how far its journal went, and what had been ordered."""

    organisation: int
    sale: int
    name: str
    version: int
    told_at: datetime | None  # the last entry of its journal
    orders: int


class RoomFacts(msgspec.Struct, frozen=True):
    """A room's line; `busiest_minute` is as many as if its busiest ten seconds went on for one."""

    organisation: int
    room: int
    name: str
    epoch: int
    issued: int
    serving: int
    live: int
    capacity: int
    entrants: int
    sealed: bool
    busiest_minute: int
    settings: str


class KeyFacts(msgspec.Struct, frozen=True):
    """An operator key; its secret part is stored nowhere."""

    organisation: int
    key_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


class Facts(msgspec.Struct, frozen=True):
    """What was true in a database at one moment, by its own clock."""

    moment: datetime
    schema: str
    postgres: str
    sales: list[SaleFacts]
    rooms: list[RoomFacts]
    keys: list[KeyFacts]


class Content(msgspec.Struct, frozen=True):
    """One part of the file."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The first part of every backup."""

    format: int
    sunseo: str
    pg_dump: str
    secret_from: str  # folder, settings or none
    facts: Facts
    contents: dict[str, Content]


class Secrets(msgspec.Struct, frozen=True):
    """What signs places, passes and guest sessions, as the settings call it."""

    secret_id: int
    secret: str
    retired_secrets: dict[int, str] = {}

    @property
    def ring(self) -> dict[int, str]:
        return self.retired_secrets | {self.secret_id: self.secret}
