"""Amounts as people write them, and in minor units; never through a float."""

from decimal import Decimal

from sunseo.core.currencies import MINOR_UNITS
from sunseo.core.fields import PRICE_MAX
from sunseo.salefile.model import Money


class AmountError(ValueError):
    """Not in the currency's unit; its text is what would be right."""


def minor_units(amount: Money, currency: str) -> int:
    """An amount of a file, in the currency's smallest unit.

    Raises:
        AmountError: it is written in another unit, or is no price.
    """
    digits = MINOR_UNITS[currency]
    if amount == 0:
        return 0
    exponent = Decimal(amount).as_tuple().exponent
    if not isinstance(exponent, int) or -exponent != digits:
        raise AmountError(_as_written(amount, currency, digits))
    minor = int(Decimal(amount).scaleb(digits))
    if not 0 <= minor <= PRICE_MAX:
        highest = written_amount(PRICE_MAX, currency)
        raise AmountError(f"an amount from 0 to {highest} {currency}")
    return minor


def written_amount(minor: int, currency: str) -> str:
    """An amount as a file has it."""
    digits = MINOR_UNITS[currency]
    return str(minor) if minor == 0 or not digits else f"{Decimal(minor).scaleb(-digits):f}"


def _as_written(amount: Money, currency: str, digits: int) -> str:
    if not digits:
        return f"whole {currency}, such as {int(amount) if Decimal(amount).is_finite() else 1000}"
    example = f"{Decimal(199000).scaleb(-digits):f}"
    return f"{currency} with {digits} digits behind the point, such as {example}"
