"""From what is to be said to HTML: the waiting page's templates, its texts and its frame."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from sunseo.core.languages import LANGUAGES, Language
from sunseo.html.assets import Assets
from sunseo.html.page import Form, Link, templates_of
from sunseo.room.pages.texts import CATALOGUES, Texts


class Frame(msgspec.Struct, frozen=True):
    """What surrounds a page.

    Attributes:
        language: that it speaks.
        languages: that it can speak.
        room_name: as the operator wrote it; None gives the catalogue's own.
        path: of the room's page, without query.
        back: the return address, if there is one; allowed, or to be checked when it comes back.
    """

    language: Language
    path: str
    languages: Sequence[Language] = LANGUAGES
    room_name: str | None = None
    back: str | None = None

    @property
    def texts(self) -> Texts:
        return CATALOGUES[self.language]

    def href(self, action: str | None = None, **changes: str | None) -> str:
        """The page's own address, or one of its forms', with its return address and changes.

        The return address stands in all of them: it must survive whatever comes in between.
        """
        path = self.path if action is None else f"{self.path}/{action}"
        query = {"return": self.back, **changes}
        encoded = urlencode({name: value for name, value in query.items() if value is not None})
        return f"{path}?{encoded}" if encoded else path


class Renderer:
    """Makes pages."""

    def __init__(self, assets: Assets) -> None:
        self._templates = templates_of("sunseo.room.pages")
        self._assets = {
            "css": assets.named("page.css").path,
            "sentences": assets.named("sentences.js").path,
            "js": assets.named("page.js").path,
            "sunseo": assets.named("sunseo.js").path,
        }

    def notice(
        self,
        frame: Frame,
        heading: str,
        more: str = "",
        *,
        link: Link | None = None,
        form: Form | None = None,
        refresh_s: int | None = None,
        here: str | None = None,
        message: str = "",
        busy: bool = False,
        reference: str = "",
    ) -> bytes:
        """A page that says one thing."""
        return self._render(
            "notice.html",
            frame,
            heading=heading,
            more=more,
            link=link,
            form=form,
            refresh_s=refresh_s,
            here=here or frame.href(),
            message=message,
            busy=busy,
            reference=reference,
            scripted=False,
        )

    def page(self, template: str, frame: Frame, **filled: Any) -> bytes:
        """A page that its script keeps fresh; without scripts it loads itself anew."""
        return self._render(template, frame, here=frame.href(), scripted=True, **filled)

    def _render(self, template: str, frame: Frame, **filled: Any) -> bytes:
        others = [
            {"code": code, "name": CATALOGUES[code].name, "href": frame.href(lang=code)}
            for code in frame.languages
        ]
        text = self._templates.get_template(template).render(
            t=frame.texts,
            language=frame.language,
            languages=others,
            room_name=frame.room_name or frame.texts.waiting_room,
            assets=self._assets,
            **filled,
        )
        return text.encode()
