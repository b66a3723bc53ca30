"""What operators' commands make of a room: values, and the rules that every store applies to them.

Guarantee   A rule sees one room as it is stored, and the store lets nothing change it before the
            result is written. What comes out contradicts nothing, and keeps what people in line
            rely on.
Clock       None: a room comes with the store's time.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, unique
from typing import Any

import msgspec

from sunseo.core.clock import Instant
from sunseo.core.fields import FieldError
from sunseo.core.outcome import Kind, Outcome, RefusedError
from sunseo.operators.command import EffectOutcome
from sunseo.room.setup.fixed import StageFacts, refuse_change, stage_of
from sunseo.room.setup.settings import RoomSettings, changed_settings
from sunseo.room.setup.stored import UnreadableSettingsError, mended_settings, read_settings


@unique
class RoomSetupOutcome(Outcome):
    """What operators of rooms can be answered besides `EffectOutcome`."""

    UNKNOWN_ROOM = Kind.ABSENT, "There is no such room."
    UNKNOWN_ROOM_SALE = Kind.ABSENT, "There is no such sale for the room."
    SALE_HAS_ROOM = Kind.CONFLICT, "The sale has a room already."
    EPOCH_OVER = Kind.CONFLICT, "The epoch that was named is not the one that counts now."
    SETTING_FIXED = Kind.CONFLICT, "People in line rely on this setting, so that it stays."
    ROOM_UNREADABLE = Kind.CONFLICT, "What is stored of the room cannot be read."


ROOM_SETUP_OUTCOMES: tuple[Outcome, ...] = (*EffectOutcome, *RoomSetupOutcome)

UNLIKELY: dict[str, Any] = {"mode": "closed", "holders": "anyone"}
"""Taken as set before where that cannot be read: whatever is sent then counts as a change."""


class Creation(msgspec.Struct, frozen=True):
    """A room to make; `sent` is what was said of its settings, which the audit log keeps."""

    name: str
    sale: int | None
    settings: RoomSettings
    sent: Mapping[str, Any]


class SettingsChange(msgspec.Struct, frozen=True):
    """Settings to change; a name that is none stays, as do settings that were not sent."""

    name: str | None
    sent: Mapping[str, Any]


@unique
class RoomAction(Enum):
    """Changes that cannot wait until others are done; the text is how the audit log calls them."""

    PAUSE = "pause_room"
    RESUME = "resume_room"
    CLOSE = "close_room"


class RoomAsStored(msgspec.Struct, frozen=True):
    """A room that is about to change; `settings` as stored."""

    name: str
    sale: int | None
    settings: str
    now: Instant


class Settled(msgspec.Struct, frozen=True):
    """What a change makes of a room.

    Attributes:
        before: its settings so far; where they could not be read, as far as they were mended.
        told: what the audit log keeps besides the room's number.
    """

    name: str
    before: RoomSettings
    settings: RoomSettings
    sent: Mapping[str, Any]
    told: dict[str, Any]


def settle(change: SettingsChange | RoomAction, room: RoomAsStored) -> Settled:
    """Apply a change to a room.

    Raises:
        RefusedError: its settings cannot be read, not even with what is sent to mend them.
        FieldError: a value contradicts another.
    """
    if isinstance(change, RoomAction):
        before = settings_of(room)
        return Settled(room.name, before, _acted(change, before, room.now), {}, {})
    before = settings_of(room, change.sent)
    name = room.name if change.name is None else change.name
    settings = changed(before, change.sent)
    refuse_strangers(room.sale, settings)
    told = {"name": name, "settings": plain(change.sent)}
    return Settled(name, before, settings, change.sent, told)


def settings_of(room: RoomAsStored, mending: Mapping[str, Any] | None = None) -> RoomSettings:
    """The settings of a room; what cannot be read of them, `mending` may replace.

    Raises:
        RefusedError: they cannot be read, not even with what is sent to mend them.
    """
    try:
        return read_settings(room.settings, room.now)
    except UnreadableSettingsError:
        pass
    sent = dict(mending or {})
    kept = {name: value for name, value in sent.items() if name not in UNLIKELY}
    try:
        return mended_settings(room.settings, kept, room.now)
    except UnreadableSettingsError:
        pass
    try:
        mended = mended_settings(room.settings, sent, room.now)
    except UnreadableSettingsError as error:
        detail = f"{error}. Send this setting anew, or null for its default."
        raise RefusedError(RoomSetupOutcome.ROOM_UNREADABLE, detail) from None
    return msgspec.structs.replace(mended, **UNLIKELY)


def refuse_fixed(settled: Settled, standing: StageFacts) -> None:
    """See that people in line keep what they were promised.

    Raises:
        RefusedError: a setting that they rely on would change.
    """
    refusal = refuse_change(settled.before, settled.settings, stage_of(standing))
    if refusal is not None:
        raise RefusedError(RoomSetupOutcome.SETTING_FIXED, f"{refusal.why} {refusal.instead}")


def refuse_unreadable(stored: str, now: Instant, sent: Mapping[str, Any]) -> None:
    """Read settings as they were stored, before they count.

    Raises:
        FieldError: nobody could read them; the field is one of those that were sent.
    """
    try:
        read_settings(stored, now)
    except UnreadableSettingsError as error:
        field = error.field if error.field != "settings" else _only(sent)
        raise FieldError(
            f"Settings would be stored that cannot be read: {error}.",
            field=field,
            expected="a setting that can be read back",
        ) from None


def refuse_strangers(sale: int | None, settings: RoomSettings) -> None:
    """See that nobody queues up for a sale in which her pass could book nothing.

    Raises:
        FieldError: the room is a sale's, and takes holders who are no persons.
    """
    if sale is not None and settings.holders == "anyone":
        raise FieldError(
            "A sale sells to persons, so that a pass of anyone else would be worth nothing.",
            field="settings.holders",
            expected="persons or accounts in the room of a sale",
        )


def changed(settings: RoomSettings, sent: Mapping[str, Any]) -> RoomSettings:
    """Settings with some fields changed.

    Raises:
        FieldError: a value contradicts another.
    """
    try:
        return changed_settings(settings, dict(sent))
    except ValueError as error:
        rule = str(error)
        raise FieldError(
            f"Of the settings, {rule}.",
            field=f"settings.{_at_fault(rule, sent)}",
            expected=rule,
        ) from None


def plain(sent: Mapping[str, Any]) -> Any:
    """As JSON has it, for the audit log."""
    return msgspec.to_builtins(sent)


def _acted(action: RoomAction, settings: RoomSettings, now: Instant) -> RoomSettings:
    if action is not RoomAction.CLOSE:
        return msgspec.structs.replace(settings, paused=action is RoomAction.PAUSE)
    # It takes no more joins from now on; whoever is in line is still served.
    opens_at = settings.opens_at
    if opens_at is not None and opens_at >= now:
        opens_at = now - timedelta(seconds=1)
    return msgspec.structs.replace(settings, opens_at=opens_at, closes_at=now)


def _at_fault(rule: str, sent: Mapping[str, Any]) -> str:
    """Of the settings that a rule names, the first that was sent: only that can be wrong."""
    named: list[str] = re.findall(r"[a-z][a-z_]*(?:\[[0-9]+\])?", rule)
    return next((name for name in named if name.partition("[")[0] in sent), named[0])


def _only(sent: Mapping[str, Any]) -> str:
    """The field at fault where but one was sent."""
    return f"settings.{next(iter(sent))}" if len(sent) == 1 else "settings"
