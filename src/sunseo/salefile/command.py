"""`sunseo sale …`: sales made of files, changed, checked, stopped, over a running server's API."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal

import msgspec
import typer

from sunseo.booking.setup.command import Sale, pause_sale, resume_sale, show_sale
from sunseo.commands import command_group
from sunseo.salefile.apply import apply_plan
from sunseo.salefile.check import check_sale
from sunseo.salefile.export import written
from sunseo.salefile.faults import SaleFileError
from sunseo.salefile.plan import SalePlan, plan_sale
from sunseo.salefile.read import read_sale
from sunseo.salefile.server import SaleServer
from sunseo.salefile.spec import SaleSpec
from sunseo.salefile.template import example
from sunseo.web.asking import FAILED, HOME, MISUSE, KeyOption, UrlOption, fail, show

_BY_NUMBER = re.compile(r"sale-[0-9]+")
LINES_MAX = 40  # of one kind, that a person is shown

sale = command_group("Sales: made of files, changed, checked, stopped at once.")
sale.command("pause")(pause_sale)
sale.command("resume")(resume_sale)
sale.command("show")(show_sale)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Kind = Literal["concert", "clinic", "coupon", "quota"]


@sale.command("init")
def init_sale(
    kind: Annotated[Kind, typer.Argument(help="What is sold.")],
    *,
    language: Annotated[
        Literal["ko", "en"], typer.Option("--lang", help="Of the comments and names.")
    ] = "en",
) -> None:
    """Print a commented example of a file, which can be applied as it is."""
    typer.echo(example(kind, language), nl=False)


@sale.command("apply")
def apply_sale(
    file: Annotated[Path, typer.Argument(help="A TOML file of a sale; see `sale init`.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the difference; do nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before what cannot be undone.")
    ] = False,
    as_json: JsonOption = False,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Make or change a sale, so that it is as its file says.

    Exit code 1 if something is refused by name, and then nothing is done; 2 if the file is wrong.
    """
    wanted = _read(file, as_json=as_json)
    server = SaleServer(url, key)
    entry = server.find(wanted.slug)
    known = None if entry is None else server.read(entry)
    if known is None and _BY_NUMBER.fullmatch(wanted.slug):
        fail(f"there is no sale called {wanted.slug}: another slug makes a new one", MISUSE)
    plan = plan_sale(wanted, known)
    number = plan.sale
    if not as_json:
        _show_plan(plan)
    is_done = False
    if not (plan.refused or plan.is_empty or dry_run):
        _confirm(plan, yes=yes)
        number = apply_plan(plan, known, server.send, _quiet if as_json else _tell)
        is_done = True
    if as_json:
        show(_told(plan, number, done=is_done))
    elif is_done:
        typer.echo(f"Done: sale {number} is as {file} says.")
    if plan.refused:
        raise typer.Exit(FAILED)


@sale.command("export")
def export_sale(number: Sale, *, key: KeyOption, url: UrlOption = HOME) -> None:
    """Print a sale as a file, which applied to it makes no difference."""
    server = SaleServer(url, key)
    typer.echo(written(server.read(server.entry(number)).spec), nl=False)


@sale.command("clone")
def clone_sale(
    number: Sale,
    *,
    slug: Annotated[str | None, typer.Option(help="What the new sale is called in files.")] = None,
    key: KeyOption,
    url: UrlOption = HOME,
) -> None:
    """Print a sale as the file of another one: change its times, then apply it."""
    server = SaleServer(url, key)
    spec = server.read(server.entry(number)).spec
    new = slug or f"{spec.template}-{token_hex(3)}"
    typer.echo(written(msgspec.structs.replace(spec, slug=new)), nl=False)


@sale.command("list")
def list_sales(*, as_json: JsonOption = False, key: KeyOption, url: UrlOption = HOME) -> None:
    """List the sales with their times, the newest first."""
    sales = SaleServer(url, key).listed()
    if as_json:
        show(sales)
        return
    for one in sales:
        state = "paused" if one["paused"] else "open" if one["is_open"] else "closed"
        opens_at = datetime.fromisoformat(one["opens_at"])
        line = f"{one['sale']:>5}  {state:<6}  {opens_at:%Y-%m-%d %H:%MZ}  {one['slug']:<24}"
        typer.echo(f"{line}  {one['name']}")


@sale.command("check")
def check_opening(
    number: Sale, *, as_json: JsonOption = False, key: KeyOption, url: UrlOption = HOME
) -> None:
    """Say what stands between a sale and a safe opening.

    Exit code 1 if something has to be mended.
    """
    server = SaleServer(url, key)
    entry = server.entry(number)
    found = check_sale(
        server.read(entry),
        paused=entry["paused"],
        now=datetime.now(UTC),
        rooms=server.rooms(),
        unready=server.unready(),
    )
    if as_json:
        show(msgspec.to_builtins(found))
    else:
        _list("To mend", found.obstacles)
        _list("To think about", found.advice)
        _list("Not looked at", found.not_seen)
        if not found.obstacles:
            typer.echo(f"Nothing stands between sale {number} and its opening.")
    if found.obstacles:
        raise typer.Exit(FAILED)


def _read(file: Path, *, as_json: bool) -> SaleSpec:
    try:
        return read_sale(str(file), file.read_bytes())
    except SaleFileError as error:
        if as_json:
            show({"done": False, "faults": msgspec.to_builtins(error.faults)})
        typer.echo(str(error), err=True)
        raise typer.Exit(MISUSE) from None


def _show_plan(plan: SalePlan) -> None:
    _list("Added", plan.added, "+")
    _list("Changed", plan.changed, "~")
    _list("Not possible", plan.refused, "!")
    if plan.is_empty:
        typer.echo(f"Sale {plan.sale} is as the file says.")
    else:
        typer.echo(plan.touches)
    for note in plan.notes:
        typer.echo(f"Note: {note}")
    if plan.refused:
        typer.echo("Nothing was done.")


def _list(title: str, lines: Sequence[str], mark: str = "-") -> None:
    if lines:
        typer.echo(f"{title}:")
    for line in lines[:LINES_MAX]:
        typer.echo(f"  {mark} {line}")
    if len(lines) > LINES_MAX:
        typer.echo(f"  {mark} and {len(lines) - LINES_MAX:,} more")


def _confirm(plan: SalePlan, *, yes: bool) -> None:
    """Ask before what cannot be undone: what is added stays."""
    if yes or not plan.added:
        return
    if not sys.stdin.isatty():
        fail("what is added cannot be taken away again: say --yes. Nothing was done", MISUSE)
    if not typer.confirm("What is added cannot be taken away again. Go on?"):
        fail("nothing was done")


def _told(plan: SalePlan, number: int | None, *, done: bool) -> dict[str, Any]:
    return {
        "sale": number,
        "slug": plan.target.slug,
        "done": done,
        "added": plan.added,
        "changed": plan.changed,
        "refused": plan.refused,
        "touches": plan.touches,
        "notes": plan.notes,
    }


def _tell(line: str) -> None:
    typer.echo(f"... {line}", err=True)


def _quiet(_line: str) -> None:
    pass
