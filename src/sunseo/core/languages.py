"""The languages that people are spoken to in."""

from typing import Literal, get_args

Language = Literal["ko", "en"]

LANGUAGES: tuple[Language, ...] = get_args(Language)
