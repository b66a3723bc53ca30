"""The live page itself: one document, in Korean and in English."""

from sunseo.rehearsal.live.texts import CATALOGUES
from sunseo.rehearsal.live.view import CHARTS
from sunseo.rehearsal.report.templating import TEMPLATES


def render_page(nonce: str) -> str:
    """The page; each language is there whole, and one script fills in both."""
    template = TEMPLATES.get_template("live.html")
    return template.render(
        languages=list(CATALOGUES), catalogues=CATALOGUES, charts=CHARTS, nonce=nonce
    )
