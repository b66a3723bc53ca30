"""Incident reports as files: Markdown for a wiki, or one HTML page without any other host."""

from pathlib import Path

from sunseo.rehearsal.faults.story import tell_story
from sunseo.rehearsal.faults.texts import CATALOGUES
from sunseo.rehearsal.report.result import Result
from sunseo.rehearsal.report.templating import TEMPLATES

SUFFIXES = (".md", ".html")


def write_incidents(path: Path, result: Result) -> None:
    """Write the report in the format that the file's name asks for."""
    path.write_text(render_incidents(result, path.suffix), "utf-8")


def render_incidents(result: Result, suffix: str) -> str:
    """The report as `.md` or `.html`, in Korean and in English."""
    parts = [tell_story(result, language) for language in CATALOGUES]
    return TEMPLATES.get_template(f"incident{suffix}").render(result=result, parts=parts)
