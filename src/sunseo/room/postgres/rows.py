"""A row that tells of a room, with its line and its draw, as the port has it."""

from typing import Any

from sunseo.room.store import DrawPromise


def fields_of(row: Any) -> dict[str, Any]:
    """All columns by their names; those of the draw are one, or none where there is no draw."""
    fields: dict[str, Any] = row._asdict()
    state = fields.pop("draw")
    promise = {name: fields.pop(name) for name in DrawPromise.__struct_fields__[1:]}
    fields["draw"] = None if state is None else DrawPromise(state, **promise)
    return fields
