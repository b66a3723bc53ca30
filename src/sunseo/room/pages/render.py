"""From what is to be said to HTML: templates, texts, and what every page carries.

Everything that is filled into a template is escaped; operators' texts are texts. There is no inline
script or style, so that the policy needs no exception for one.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from sunseo.room.pages.assets import Assets
from sunseo.room.pages.texts import CATALOGUES, LANGUAGES, Texts
from sunseo.room.setup.settings import Language
from sunseo.web.endpoint import Header
from sunseo.web.page_headers import CONTENT_SECURITY_POLICY, NO_STORE, page_headers

TURNSTILE_ORIGIN = "https://challenges.cloudflare.com"


class Form(msgspec.Struct, frozen=True):
    """A form with one button: where it goes, what it carries, what the button says."""

    action: str
    fields: dict[str, str]
    text: str = ""


class Link(msgspec.Struct, frozen=True):
    href: str
    text: str


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
        self._templates = Environment(
            loader=PackageLoader("sunseo.room.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._assets = {
            "css": assets.path_of("page.css"),
            "sentences": assets.path_of("sentences.js"),
            "js": assets.path_of("page.js"),
            "sunseo": assets.path_of("sunseo.js"),
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


def headers_of(origins: Sequence[str] = (), *, turnstile: bool = False) -> tuple[Header, ...]:
    """The headers of a room's page.

    Args:
        origins: to which its form may lead; browsers check the redirect after it, too.
        turnstile: whether the page shows Turnstile's widget, which comes from its own host.
    """
    return (*page_headers(policy_of(origins, turnstile=turnstile)), NO_STORE)


def policy_of(origins: Sequence[str] = (), *, turnstile: bool = False) -> str:
    changes: Mapping[str, str] = {"form-action": " ".join(("form-action 'self'", *origins))}
    if turnstile:
        changes = {**changes, "script-src": f"script-src 'self' {TURNSTILE_ORIGIN}"}
    directives = [
        changes.get(directive.partition(" ")[0], directive)
        for directive in CONTENT_SECURITY_POLICY.split("; ")
    ]
    if turnstile:
        directives.append(f"frame-src {TURNSTILE_ORIGIN}")
    return "; ".join(directives)
