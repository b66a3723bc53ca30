"""Bounded types for request structs.

A request struct must bound every number, text and list (`bodies.check_request_type`), so that
nothing reaches a handler that PostgreSQL could not store. These are the usual bounds.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

Number32 = Annotated[int, Meta(ge=1, le=INT32_MAX)]
"""A number of something numbered from one, as stored in `integer`."""

Number64 = Annotated[int, Meta(ge=1, le=INT64_MAX)]
"""A number of something numbered from one, as stored in `bigint`."""

Count = Annotated[int, Meta(ge=0, le=INT32_MAX)]
"""How many of something; zero is allowed."""

PRICE_MAX = 10**12  # two million of what costs that are still an amount that `bigint` holds

Price = Annotated[int, Meta(ge=0, le=PRICE_MAX)]
"""What one of something costs, in the currency's smallest unit."""

Moment = Annotated[datetime, Meta(tz=True)]
"""An RFC 3339 time with its offset from UTC."""

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
"""What a person calls something: not blanks alone."""

Label = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"\S")]
"""A short text as printed on a ticket: a section, a row, a seat's label."""


class FieldError(ValueError):
    """A field that is right by itself contradicts another, or what is stored.

    Args:
        field: its path, for instance `settings.time_zone`.
        expected: what would be right.
    """

    def __init__(self, detail: str, *, field: str, expected: str) -> None:
        super().__init__(detail)
        self.field = field
        self.expected = expected
