"""Currencies are those of ISO 4217 that people pay with."""

from typing import Any

import msgspec
import pytest

from sunseo.booking.setup.setup_bodies import NewSale
from sunseo.core.currencies import BY_DIGITS, MINOR_UNITS
from sunseo.web.input.bodies import BodyReader
from sunseo.web.problems import ProblemError

SALE: dict[str, Any] = {
    "name": "Concert",
    "time_zone": "Asia/Seoul",
    "opens_at": "2026-12-01T20:00:00+09:00",
    "price_classes": [{"name": "R", "price": 0}],
    "occasions": [{"name": "Friday", "starts_at": "2026-12-04T20:00:00+09:00"}],
}


@pytest.mark.parametrize(
    ("code", "digits"), [("KRW", 0), ("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("ISK", 0)]
)
def test_an_amount_has_the_digits_of_its_currency(code: str, digits: int) -> None:
    """Money counts in the smallest unit, which is not a hundredth everywhere."""
    assert MINOR_UNITS[code] == digits


def test_the_table_has_each_code_once() -> None:
    """Three capital letters each."""
    assert len(MINOR_UNITS) == len("".join(BY_DIGITS.values()).replace(" ", "")) // 3
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in MINOR_UNITS)


@pytest.mark.parametrize("code", ["ZZZ", "XTS", "XAU", "XDR", "DEM", "HRK", "BGN"])
def test_a_currency_that_nobody_pays_with_is_refused(code: str) -> None:
    """Made up, for tests, gold, between banks, or of the past: the field is named."""
    reader = BodyReader(NewSale)
    reader.read(msgspec.json.encode(SALE | {"currency": "KRW"}))

    with pytest.raises(ProblemError) as refused:
        reader.read(msgspec.json.encode(SALE | {"currency": code}))

    assert refused.value.members["field"] == "currency"
