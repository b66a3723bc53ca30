"""The live page itself: one document, in Korean and in English."""

from sunseo.rehearsal.report.live.texts import CATALOGUES
from sunseo.rehearsal.report.live.view import CHARTS
from sunseo.rehearsal.report.speech import speech_in
from sunseo.rehearsal.report.templating import TEMPLATES


def render_page(nonce: str) -> str:
    """The page; each language is there whole, and one script fills in both."""
    template = TEMPLATES.get_template("live.html")
    parts = [
        {"language": language, "say": speech_in(texts)} for language, texts in CATALOGUES.items()
    ]
    return template.render(parts=parts, charts=CHARTS, nonce=nonce)
