"""What operators do to sales in a hurry, over a running server's API."""

from typing import Annotated

import typer

from sunseo.web.asking import HOME, KeyOption, UrlOption, ask, show

Sale = Annotated[int, typer.Argument(help="Number of the sale.", min=1)]


def pause_sale(number: Sale, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Take no new holds; holds that exist can still be renewed, released and ordered."""
    show(ask(url, key, "POST", f"/v1/sales/{number}/pause"))


def resume_sale(number: Sale, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Let a paused sale go on."""
    show(ask(url, key, "POST", f"/v1/sales/{number}/resume"))


def show_sale(
    number: Annotated[int | None, typer.Argument(help="Number of the sale; else all.")] = None,
    *,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Show a sale with what it offers, or all sales with their times."""
    show(ask(url, key, "GET", "/v1/sales" if number is None else f"/v1/sales/{number}"))
