"""`sunseo backup`, `sunseo restore`, and `sunseo migrate`, which offers the first."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from sunseo.backup.archive import Archive
from sunseo.backup.error import BackupError
from sunseo.backup.restore import Wish, restore_backup
from sunseo.backup.save import save_backup
from sunseo.backup.screen import restored_lines, saved_lines
from sunseo.backup.sealed import check_passphrase
from sunseo.postgres.address.existing import existing_database, place_of, revision_of
from sunseo.postgres.migrate import MigrationStep, UnknownSchemaError, steps_after, upgrade
from sunseo.settings import Settings, load_settings

PASSPHRASE = "BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable

ConfigOption = Annotated[Path | None, typer.Option(help="A TOML file of settings.")]
DataOption = Annotated[Path | None, typer.Option(help="Folder of the embedded PostgreSQL.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(help=f"File with the passphrase; else {PASSPHRASE}, else asked for."),
]
EncryptOption = Annotated[bool, typer.Option("--encrypt", help="With a passphrase.")]


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    encrypt: EncryptOption = False,
    passphrase_file: PassphraseOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save database and secret in one file, also while the server runs."""
    settings = load_settings(os.environ, config, data=data)
    with ExitStack() as stack:
        dsn = existing_database(settings, stack)
        revision_of(dsn, place_of(settings))
        passphrase = _new_passphrase(encrypt, passphrase_file)
        _save(settings, dsn, file, passphrase, force=force, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    *,
    numbers: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000_000, help="Numbers that each open room passes over."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="Data folder or URL of a later state, to tell what the backup lacks."),
    ] = None,
    secrets_to: Annotated[
        Path | None, typer.Option(help="Write the backup's secrets into this new TOML file.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a backup back, into a new data folder or an empty database."""
    settings = load_settings(os.environ, config, data=data)
    wish = Wish(numbers, compare, secrets_to)
    with _progress() as say:
        say("checking the backup")
        archive = Archive(file, lambda: _old_passphrase(passphrase_file))
        told = asyncio.run(restore_backup(settings, archive, place_of(settings), wish, say))
    if as_json:
        typer.echo(msgspec.json.encode(told))
        return
    for line in restored_lines(told):
        typer.echo(line)


def migrate(
    *,
    backup_file: Annotated[
        Path | None, typer.Option("--backup", help="Save everything in this file first.")
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Do not offer that.")] = False,
    encrypt: EncryptOption = False,
    passphrase_file: PassphraseOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    mend_duplicates: Annotated[
        bool, typer.Option(help="Remove or rename what stands more than once under one name.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Bring the database's schema up to this version; offers a backup first."""
    if no_backup and backup_file is not None:
        raise typer.BadParameter("--backup and --no-backup do not stand together")
    settings = load_settings(os.environ, config, data=data)
    with ExitStack() as stack:
        dsn = existing_database(settings, stack)
        revision = revision_of(dsn, place_of(settings), may_be_empty=True)
        try:
            steps = steps_after(revision)
        except UnknownSchemaError as error:
            raise BackupError(str(error)) from None
        _tell(steps, revision, dry_run=dry_run)
        if dry_run or not steps:
            return
        if revision is not None:
            file = None if no_backup else backup_file or _ask_for_backup(steps[-1])
            if file is None:
                typer.echo("No backup is made.")
            else:
                passphrase = _new_passphrase(encrypt, passphrase_file)
                _save(settings, dsn, file, passphrase, force=False, as_json=False)
        for line in upgrade(dsn, mend_duplicates=mend_duplicates):
            typer.echo(line)
    typer.echo("The schema is current.")


def _tell(steps: list[MigrationStep], revision: str | None, *, dry_run: bool) -> None:
    if not steps:
        typer.echo(f"The schema is current ({revision}): nothing to do.")
        return
    typer.echo("Would be applied:" if dry_run else "To be applied:")
    for step in steps:
        typer.echo(f"  {step.revision}  {step.sentence}")


def _ask_for_backup(last: MigrationStep) -> Path | None:
    """Where to save first; nowhere, unless somebody is there to say so."""
    if not sys.stdin.isatty():
        return None
    if not typer.confirm("Save everything in a file first?", default=True):
        return None
    return Path(typer.prompt("In which file", default=f"sunseo-before-{last.revision}.backup"))


def _save(
    settings: Settings, dsn: str, file: Path, passphrase: str | None, *, force: bool, as_json: bool
) -> None:
    with _progress() as say:
        say("reading the database")
        manifest = asyncio.run(
            save_backup(
                settings,
                dsn,
                file,
                passphrase,
                force=force,
                on_bytes=lambda size: say(f"{size / 1e6:,.1f} MB of the database saved"),
            )
        )
    if as_json:
        size, encrypted = file.stat().st_size, passphrase is not None
        told = {"file": str(file), "bytes": size, "encrypted": encrypted, "manifest": manifest}
        typer.echo(msgspec.json.encode(told))
        return
    for line in saved_lines(file, manifest, encrypted=passphrase is not None):
        typer.echo(line)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on standard error that tells how far it is, where a terminal shows it."""
    console = Console(stderr=True)
    with console.status("starting") as status:
        yield status.update


def _new_passphrase(encrypt: bool, file: Path | None) -> str | None:
    if not encrypt and file is None:
        return None
    given = _given_passphrase(file)
    if given is None:
        given = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return check_passphrase(given)


def _old_passphrase(file: Path | None) -> str:
    given = _given_passphrase(file)
    if given is None:
        given = typer.prompt("Passphrase", hide_input=True, err=True)
    return given


def _given_passphrase(file: Path | None) -> str | None:
    """The passphrase from its file or the environment; none where somebody can be asked.

    Raises:
        BackupError: there is none, and nobody to ask.
    """
    if file is not None:
        try:
            return file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BackupError(f"no passphrase can be read from {file}: {error}") from None
    if given := os.environ.get(PASSPHRASE):
        return given
    if not sys.stdin.isatty():
        raise BackupError(f"the passphrase is missing: --passphrase-file, or {PASSPHRASE}")
    return None
