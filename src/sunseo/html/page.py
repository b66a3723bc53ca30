"""What every page carries: its templates' rules, forms, links and headers.

Everything that is filled into a template is escaped; operators' texts are texts. There is no inline
script or style, so that the policy needs no exception for one.
"""

from collections.abc import Mapping, Sequence

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

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


def templates_of(package: str) -> Environment:
    """The templates of a package's folder `templates`."""
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def headers_of(origins: Sequence[str] = (), *, turnstile: bool = False) -> tuple[Header, ...]:
    """The headers of a page for people.

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
