"""The files that `sunseo sale init` writes: one of each kind, in two languages."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from secrets import token_hex

_DAY = timedelta(days=1)


def example(kind: str, language: str, now: datetime | None = None) -> str:
    """A commented file of a kind, with days to come and a slug of its own."""
    today = (now or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)
    text = (files("sunseo.salefile") / "examples" / f"{kind}.{language}.toml").read_text("utf-8")
    days = {
        "@opens@": today - _DAY,  # a sale to be tried at once
        "@day1@": today + 60 * _DAY,
        "@day2@": today + 61 * _DAY,
        "@closes@": today + 59 * _DAY,
    }
    for mark, day in days.items():
        text = text.replace(mark, f"{day:%Y-%m-%d}")
    return text.replace("@slug@", f"{kind}-{token_hex(3)}")
