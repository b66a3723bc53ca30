"""Incident reports as files: Markdown for a wiki, or one HTML page without any other host."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sunseo.rehearsal.faults.story import tell_story
from sunseo.rehearsal.faults.texts import CATALOGUES
from sunseo.rehearsal.outcome import Outcome

SUFFIXES = (".md", ".html")

_PAGES = Environment(
    loader=PackageLoader("sunseo.rehearsal.faults"),
    autoescape=select_autoescape(["html"]),  # Markdown has nothing to be escaped
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_incidents(path: Path, outcome: Outcome) -> None:
    """Write the report in the format that the file's name asks for."""
    path.write_text(render_incidents(outcome, path.suffix), "utf-8")


def render_incidents(outcome: Outcome, suffix: str) -> str:
    """The report as `.md` or `.html`, in Korean and in English."""
    stories = [tell_story(outcome, language) for language in CATALOGUES]
    return _PAGES.get_template(f"incident{suffix}").render(outcome=outcome, stories=stories)
