"""`sunseo room …`: what operators do to rooms, from a terminal, over a running server's API."""

import json
from typing import Annotated, Any

import typer

from sunseo.commands import LazyCommand, command_group
from sunseo.web.asking import HOME, MISUSE, KeyOption, UrlOption, ask, fail, show

Room = Annotated[int, typer.Argument(help="Number of the room.", min=1)]
Setting = Annotated[
    list[str],
    typer.Argument(help="capacity=500, opens_at=2026-12-01T09:00:00+09:00, rate_max=null"),
]


room = command_group(
    "Waiting rooms.",
    {
        "simulate": LazyCommand(
            "sunseo.room.simulation.command:simulate_room",
            "Simulate a room with the real controller; options override the scenario's file.",
        )
    },
)


@room.command("create")
def create_room(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    settings: Setting = [],  # noqa: B006 - typer's way of saying that it may be empty
    *,
    sale: Annotated[int | None, typer.Option(help="Of this sale; else stand-alone.")] = None,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Create a room, of a sale or by itself."""
    body = {"name": name, "sale": sale, "settings": read_settings(settings)}
    show(ask(url, key, "POST", "/v1/rooms", body))


@room.command("show")
def show_room(
    room: Annotated[int | None, typer.Argument(help="Number of the room; else all.")] = None,
    *,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Show a room with its line and settings, or all rooms."""
    show(ask(url, key, "GET", "/v1/rooms" if room is None else f"/v1/rooms/{room}"))


@room.command("set")
def set_room(room: Room, settings: Setting, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Change settings while the room runs; null brings a default back."""
    body = {"settings": read_settings(settings)}
    show(ask(url, key, "PATCH", f"/v1/rooms/{room}", body))


@room.command("pause")
def pause_room(room: Room, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Call nobody until the room is resumed; joining goes on."""
    show(ask(url, key, "POST", f"/v1/rooms/{room}/pause"))


@room.command("resume")
def resume_room(room: Room, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Let a paused room go on."""
    show(ask(url, key, "POST", f"/v1/rooms/{room}/resume"))


@room.command("close")
def close_room(room: Room, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Take no more joins; whoever is in line is served."""
    show(ask(url, key, "POST", f"/v1/rooms/{room}/close"))


@room.command("reset")
def reset_room(
    room: Room,
    *,
    epoch: Annotated[int, typer.Option(help="The epoch that is to end.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell what it does.")] = False,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Make all places and passes void, for good; without --yes, only tell how many."""
    show(ask(url, key, "POST", f"/v1/rooms/{room}/reset", {"epoch": epoch, "dry_run": not yes}))


def read_settings(given: list[str]) -> dict[str, Any]:
    """`name=value` pairs; a value that is no JSON is a text."""
    settings: dict[str, Any] = {}
    for pair in given:
        name, found, value = pair.partition("=")
        if not found:
            fail(f"{pair}: settings are written name=value", MISUSE)
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings
