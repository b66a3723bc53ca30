"""Groups of commands whose help needs none of the commands imported.

A command's module, and all that it stands on, is imported when the command is used. Help is
plain text: what draws boxes around it takes longer to import than the help to be read.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group


class LazyCommand(NamedTuple):
    """A command that is imported when it is used.

    Attributes:
        place: `module:name`, of a function or of a group.
        help: the first paragraph of its own.
    """

    place: str
    help: str


class Commands(MutableMapping[str, Any]):
    """The commands of a group by name: Click's, of which the lazy ones are made when looked at."""

    def __init__(self, lazy: Mapping[str, LazyCommand], made: Mapping[str, Any]) -> None:
        self.lazy = lazy
        self._made = dict(made)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self.lazy[name].place)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self.lazy or name in self._made

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self.lazy, *self._made)))

    def __len__(self) -> int:
        return len(self.lazy.keys() | self._made.keys())

    def help_of(self, name: str) -> str:
        """The first paragraph of a command's help."""
        lazy = self.lazy.get(name)
        return first_paragraph(self[name].help) if lazy is None else lazy.help


class CommandGroup(TyperGroup):
    """A group that may have lazy commands, ahead of those that are its own."""

    lazy: Mapping[str, LazyCommand] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = self._all = Commands(self.lazy, self.commands)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Click's signature
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands, each with its first paragraph to the end: Click cuts it off."""
        rows = [(name, self._all.help_of(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def command_group(
    help_: str,
    lazy: Mapping[str, LazyCommand] | None = None,
    *,
    kind: type[CommandGroup] = CommandGroup,
    **more: Any,
) -> typer.Typer:
    """A group of commands, which tells what there is when it is called without one.

    Args:
        help_: what they are about.
        lazy: commands that are imported when they are used, by name.
        kind: what the group is made of.
        more: of `typer.Typer`.
    """
    return typer.Typer(
        cls=type(kind.__name__, (kind,), {"lazy": lazy or {}}),
        help=help_,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        **more,
    )


def first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n", 1)[0].split())


def _made(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        command: Any = get_group(found)
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(found)
        command = get_command(alone)
    command.name = name
    return command
