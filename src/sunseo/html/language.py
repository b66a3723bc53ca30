"""Which language a page speaks: asked for, remembered, preferred, or the first one offered."""

from collections.abc import Sequence

from sunseo.core.languages import LANGUAGES, Language

RANGES_MAX = 20  # of Accept-Language; browsers send about five


def language_of(
    asked: str | None,
    remembered: str | None,
    accepted: str | None,
    offered: Sequence[Language] = LANGUAGES,
) -> Language:
    """Choose among the languages that are offered.

    Args:
        asked: by `?lang`.
        remembered: in a cookie.
        accepted: the header Accept-Language (RFC 9110, 12.5.4).
        offered: the first one stands when nothing else decides.
    """
    for wish in (asked, remembered, *_preferences(accepted or "")):
        primary = (wish or "").partition("-")[0].lower()
        for language in offered:
            if language == primary:
                return language
    return offered[0]


def _preferences(accepted: str) -> list[str]:
    """The language ranges by their weight; those of the same weight as they came."""
    weighed = []
    for part in accepted.split(",")[:RANGES_MAX]:
        tag, _, weight = part.partition(";q=")
        weighed.append((-_weight_of(weight), tag.strip()))
    return [tag for weight, tag in sorted(weighed, key=lambda pair: pair[0]) if weight < 0]


def _weight_of(text: str) -> float:
    if not text:
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
