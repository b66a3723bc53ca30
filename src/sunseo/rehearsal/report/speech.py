"""How pages and files of a rehearsal speak: a catalogue's texts, filled in."""

from collections.abc import Callable, Mapping

Say = Callable[..., str]
"""From a text's key, and by name what is filled in, to the text in one language."""


def speech_in(texts: Mapping[str, str]) -> Say:
    """What says the texts of a catalogue.

    Calling it raises KeyError for a key or a filling that is not there.
    """

    def say(key: str, **given: object) -> str:
        return texts[key].format(**given)

    return say
