"""What people are told of a backup, and of what restoring it means."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sunseo.backup.compared import Gap
from sunseo.backup.manifest import Facts, Manifest
from sunseo.backup.restore import Restored

NAMED_MAX = 20  # of each kind; all of them are in the JSON


def saved_lines(file: Path, manifest: Manifest, *, encrypted: bool) -> Iterator[str]:
    facts = manifest.facts
    yield (
        f"Saved in {file}: {_size(file.stat().st_size)}, {_many(len(facts.sales), 'sale')},"
        f" {_many(len(facts.rooms), 'room')}, as of {_at(facts.moment)}."
    )
    if manifest.secret_from == "none":  # noqa: S105 - where it came from
        yield "There is no secret yet: no server has run on this data."
    elif encrypted:
        yield "It is encrypted: without the passphrase nobody can read it, you neither."
    else:
        yield "It holds the secret that signs places and sessions, not encrypted: keep it safe."


def restored_lines(told: Restored) -> Iterator[str]:
    facts = told.manifest.facts
    yield f"Restored: {told.place} is as of {_at(facts.moment)}. What came after is lost."
    yield from _sales(facts)
    for room in told.rooms:
        named = f"Room {room.room} “{room.name}”"
        if room.numbers:
            yield (
                f"{named}: {_many(room.numbers, 'number')} from {room.issued + 1:,} to"
                f" {room.issued + room.numbers:,} are passed over ({room.why}). Who was given one"
                " after the backup enters with it; the line calls those that nobody has, too."
            )
        else:
            yield f"{named}: no number is passed over: {room.why}."
    yield from _unknown(facts) if told.gap is None else _known(told.gap)
    yield "Now: sunseo verify, then sunseo serve."


def _sales(facts: Facts) -> Iterator[str]:
    for sale in facts.sales[:NAMED_MAX]:
        last = "" if sale.told_at is None else f", the last of {_at(sale.told_at)}"
        yield (
            f"Sale {sale.sale} “{sale.name}”: {_many(sale.version, 'entry', 'entries')} of its"
            f" journal{last}; {_many(sale.orders, 'order')}. Orders confirmed later are lost."
        )
    yield from _more(len(facts.sales))


def _unknown(facts: Facts) -> Iterator[str]:
    valid = [key for key in facts.keys if key.revoked_at is None]
    named = ", ".join(f"“{key.name}” ({key.key_id})" for key in valid[:NAMED_MAX])
    yield (
        f"What was withdrawn after {_at(facts.moment)} is valid again, and without a later state"
        " (--compare) nobody can tell what. Operator keys that are valid now:"
        f" {named or 'none'}. Withdraw keys and passes as the operator's guide says."
    )


def _known(gap: Gap) -> Iterator[str]:
    for name, lost in gap.journal_entries_lost.items():
        yield f"Sale {name.partition('/')[2]}: {_many(lost, 'later entry', 'later entries')} lost."
    for order in gap.orders_lost[:NAMED_MAX]:
        yield f"Lost order {order.order_id} of sale {order.sale}, {_at(order.confirmed_at)}."
    yield from _more(len(gap.orders_lost))
    for key in gap.keys_alive_again:
        yield f"Operator key “{key.name}” ({key.key_id}) had been revoked and is VALID AGAIN."
    for key in gap.keys_gone[:NAMED_MAX]:
        yield f"Operator key “{key.name}” ({key.key_id}) was made later and is gone."
    for one in gap.passes_alive_again[:NAMED_MAX]:
        yield (
            f"Pass {one.pass_id} of room {one.room} (number {one.number:,}) had been revoked and"
            " is VALID AGAIN, or can be had again."
        )
    yield from _more(len(gap.passes_alive_again))
    if not (gap.keys_alive_again or gap.passes_alive_again):
        yield "Nothing that the later state shows as revoked is valid again."


def _more(number: int) -> Iterator[str]:
    if number > NAMED_MAX:
        yield f"… and {number - NAMED_MAX:,} more (--json has all)"


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _many(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"
