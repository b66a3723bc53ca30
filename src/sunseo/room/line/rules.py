"""Who is in line, who is inside, and for how long: every rule about places and passes, pure.

Commands are answered in order of arrival, which is the order of right, and move the line as they
go. Rules do no I/O and are told the time, in milliseconds since 1970.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import msgspec

from sunseo.core.outcome import Outcome
from sunseo.room.line.commands import (
    Complete,
    EndPassOutcome,
    Enter,
    EnterOutcome,
    ExpirePasses,
    ExpirePassesOutcome,
    Join,
    JoinOutcome,
    Leave,
    PassCommand,
    Renew,
    RenewOutcome,
    Revoke,
    RoomCommand,
    number_of,
)
from sunseo.room.line.line import (
    SECOND_MS,
    Line,
    LineEntrant,
    LinePass,
    LinePlace,
    PassState,
    RoomTerms,
)

ENTERING_PHASES = ("open", "draining")


class RoomAnswer(msgspec.Struct, frozen=True, gc=False):
    """An outcome with what it is about.

    Attributes:
        epoch: of the line, where there is a room.
        serving: numbers up to this one may enter.
        terms: what the room allows at the moment.
        held: the pass, as it stood when this was answered.
        expired: passes that ExpirePasses has ended.
    """

    outcome: Outcome
    epoch: int = 0
    serving: int = 0
    terms: RoomTerms | None = None
    place: LinePlace | None = None
    entrant: LineEntrant | None = None
    held: LinePass | None = None
    expired: int = 0


def decide(command: RoomCommand, line: Line | None, now_ms: int) -> RoomAnswer:
    """Answer one command. A room without a line does not exist."""
    return _RULES[type(command)](command, line, now_ms)


def join(command: Join, line: Line | None, now_ms: int) -> RoomAnswer:
    if line is None:
        return RoomAnswer(JoinOutcome.UNKNOWN_ROOM)
    place = line.places.get(command.holder)
    if place is not None:
        if not _is_used_up(place, line, now_ms):
            return RoomAnswer(JoinOutcome.REPLAYED, line.epoch, line.serving, line.terms, place)
    elif (entrant := line.registered.get(command.holder)) is not None:
        return _about(JoinOutcome.REPLAYED, line, entrant=entrant)
    if command.is_late:
        return _about(JoinOutcome.NONCE_EXPIRED, line)
    terms = line.terms
    if not terms.takes_joins:
        never = terms.opens_at is None
        return _about(JoinOutcome.ROOM_CLOSED if never else JoinOutcome.NOT_YET, line)

    # From here the join must succeed.
    if _draws_numbers(line):
        entrant = line.register(command.holder, command.entrant, command.binding, now_ms)
        return _about(JoinOutcome.REGISTERED, line, entrant=entrant)
    place = line.give_place(command.holder, command.binding, now_ms)
    return RoomAnswer(JoinOutcome.JOINED, line.epoch, line.serving, terms, place)


def enter(command: Enter, line: Line | None, now_ms: int) -> RoomAnswer:
    if line is None:
        return RoomAnswer(EnterOutcome.UNKNOWN_ROOM)
    if command.epoch != line.epoch or line.is_stray(command.number, command.holder):
        return _about(EnterOutcome.OTHER_EPOCH, line)
    held = line.passes.get(command.number)
    if held is not None:
        if refusal := _refuse_return(held, now_ms):
            return _about(refusal, line)
        if held.state is PassState.LIVE and held.expires_at_ms > now_ms:
            return _about(EnterOutcome.REPLAYED, line, held=held)
    if refusal := _refuse_entry(command, line):
        return _about(refusal, line)
    keeps_slot = held is not None and held.state is PassState.LIVE
    if not keeps_slot and not _find_slot(line, now_ms):
        return _about(EnterOutcome.ROOM_FULL, line)

    # From here entering must succeed.
    if held is None:
        held = line.open_pass(command.number, command.new_pass, command.holder, now_ms)
    else:
        line.renew(held, now_ms)
    return _about(EnterOutcome.ENTERED, line, held=held)


def renew(command: Renew, line: Line | None, now_ms: int) -> RoomAnswer:
    if line is None:
        return RoomAnswer(RenewOutcome.UNKNOWN_ROOM)
    if command.epoch != line.epoch:
        return _about(RenewOutcome.OTHER_EPOCH, line)
    held = _pass_named(command, line)
    if held is not None and line.is_restored:  # renewed after the backup, as its token shows
        held.renewal = max(held.renewal, command.renewal)
    if held is None or command.renewal > held.renewal:
        return _about(RenewOutcome.UNKNOWN_PASS, line)
    if refusal := _refuse_renewal(held, now_ms):
        return _about(refusal, line)
    if command.renewal < held.renewal:
        grace_ms = line.terms.settings.renewal_grace_s * SECOND_MS
        if command.renewal == held.renewal - 1 and now_ms <= held.renewed_at_ms + grace_ms:
            return _about(RenewOutcome.REPLAYED, line, held=held)
        # Two of them know this pass: a stolen or shared one ends for both.
        line.end(held, PassState.REVOKED, now_ms)
        return _about(RenewOutcome.PASS_REVOKED, line)

    line.renew(held, now_ms)
    return _about(RenewOutcome.RENEWED, line, held=held)


def leave(command: Leave, line: Line | None, now_ms: int) -> RoomAnswer:
    return _end(command, line, PassState.LEFT, EndPassOutcome.LEFT, now_ms)


def complete(command: Complete, line: Line | None, now_ms: int) -> RoomAnswer:
    return _end(command, line, PassState.COMPLETED, EndPassOutcome.COMPLETED, now_ms)


def revoke(command: Revoke, line: Line | None, now_ms: int) -> RoomAnswer:
    return _end(command, line, PassState.REVOKED, EndPassOutcome.REVOKED, now_ms)


def expire_passes(command: ExpirePasses, line: Line | None, now_ms: int) -> RoomAnswer:
    if line is None:
        return RoomAnswer(ExpirePassesOutcome.UNKNOWN_ROOM)
    expired = 0
    while expired < command.passes_max and _expire_next(line, now_ms):
        expired += 1
    if expired == 0:
        return _about(ExpirePassesOutcome.NOT_DUE, line)
    return _about(ExpirePassesOutcome.EXPIRED, line, expired=expired)


_RULES: Mapping[type[RoomCommand], Callable[[Any, Line | None, int], RoomAnswer]] = {
    Join: join,
    Enter: enter,
    Renew: renew,
    Leave: leave,
    Complete: complete,
    Revoke: revoke,
    ExpirePasses: expire_passes,
}


def _is_used_up(place: LinePlace, line: Line, now_ms: int) -> bool:
    """Whether its holder may come again, at the end of the line.

    A nonce names one place for ever: who comes with a secret takes a new nonce instead. Until a
    draw is sealed there is no end of the line, since the first numbers will be drawn.
    """
    if place.binding is not None or _draws_numbers(line):
        return False
    held = line.passes.get(place.number)
    return held is not None and _refuse_return(held, now_ms) is not None


def _draws_numbers(line: Line) -> bool:
    return line.terms.settings.mode == "random" and not line.sealed


def _refuse_return(held: LinePass, now_ms: int) -> EnterOutcome | None:
    """Why a place whose pass has lapsed, or is live, gives no pass any more."""
    match held.state:
        case PassState.REVOKED:
            return EnterOutcome.PASS_REVOKED
        case PassState.LEFT | PassState.COMPLETED:
            return EnterOutcome.PASS_DONE
        case PassState.LIVE | PassState.EXPIRED:
            return EnterOutcome.SESSION_OVER if now_ms >= held.session_until_ms else None


def _refuse_renewal(held: LinePass, now_ms: int) -> RenewOutcome | None:
    match held.state:
        case PassState.REVOKED:
            return RenewOutcome.PASS_REVOKED
        case PassState.LEFT | PassState.COMPLETED:
            return RenewOutcome.PASS_DONE
        case PassState.LIVE | PassState.EXPIRED:
            if now_ms >= held.session_until_ms:
                return RenewOutcome.SESSION_OVER
            lapsed = held.state is PassState.EXPIRED or now_ms >= held.expires_at_ms
            return RenewOutcome.PASS_EXPIRED if lapsed else None


def _refuse_entry(command: Enter, line: Line) -> EnterOutcome | None:
    """Why a number may not enter, whether there is a slot or not."""
    terms = line.terms
    if command.number > line.serving and terms.settings.mode != "passthrough":
        return EnterOutcome.NOT_SERVED
    if terms.phase == "paused":
        return EnterOutcome.ROOM_PAUSED
    return None if terms.phase in ENTERING_PHASES else EnterOutcome.ROOM_CLOSED


def _find_slot(line: Line, now_ms: int) -> bool:
    """Whether there is a free slot, if need be after taking back those of lapsed passes."""
    while not line.has_slot:
        if not _expire_next(line, now_ms):
            return False
    return True


def _expire_next(line: Line, now_ms: int) -> bool:
    """Expire the pass that is past due for longest: the one way in which slots return by time."""
    while line.past_due:
        held = line.past_due.pop()
        if held.state is PassState.LIVE and held.slot_until_ms <= now_ms:
            line.end(held, PassState.EXPIRED, now_ms)
            return True
    return False


def _end(
    command: PassCommand, line: Line | None, how: PassState, outcome: EndPassOutcome, now_ms: int
) -> RoomAnswer:
    if line is None:
        return RoomAnswer(EndPassOutcome.UNKNOWN_ROOM)
    if command.epoch != line.epoch:
        return _about(EndPassOutcome.OTHER_EPOCH, line)
    held = _pass_named(command, line)
    if held is None:
        return _about(EndPassOutcome.UNKNOWN_PASS, line)
    if held.state is PassState.REVOKED:
        return _about(EndPassOutcome.PASS_REVOKED, line)
    if held.state in (PassState.LEFT, PassState.COMPLETED) and how is not PassState.REVOKED:
        return _about(EndPassOutcome.REPLAYED, line)

    line.end(held, how, now_ms)
    return _about(outcome, line)


def _pass_named(command: PassCommand, line: Line) -> LinePass | None:
    held = line.passes.get(number_of(command.pass_id))
    return held if held is not None and held.pass_id == command.pass_id else None


def _about(
    outcome: Outcome,
    line: Line,
    *,
    entrant: LineEntrant | None = None,
    held: LinePass | None = None,
    expired: int = 0,
) -> RoomAnswer:
    # Later commands of the batch may change the pass, but not what was answered.
    held = None if held is None else copy(held)
    return RoomAnswer(outcome, line.epoch, line.serving, line.terms, None, entrant, held, expired)
