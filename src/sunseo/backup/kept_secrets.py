"""Where a backup's secrets go: without them every place, pass and guest session is refused."""

import hmac
from pathlib import Path

import msgspec

from sunseo.backup.archive import check_target
from sunseo.backup.error import BackupError
from sunseo.backup.manifest import Secrets
from sunseo.settings import Settings


class Keeping(msgspec.Struct, frozen=True):
    """What to do with them once the rest is restored.

    Attributes:
        in_folder: to be kept in the data folder, as a server keeps the one that it made.
        settings_file: where to write them as settings, if anywhere.
    """

    in_folder: str | None = None
    settings_file: Path | None = None
    settings_text: str = ""

    def write_settings(self) -> None:
        if self.settings_file is not None:
            self.settings_file.touch(mode=0o600, exist_ok=False)
            self.settings_file.write_text(self.settings_text, "utf-8")


def keeping(settings: Settings, secrets: bytes | None, settings_file: Path | None) -> Keeping:
    """Decide where the secrets of a backup go.

    Raises:
        BackupError: tokens would be refused, since the settings lack one of them.
    """
    if secrets is None:
        return Keeping()
    saved = msgspec.json.decode(secrets, type=Secrets)
    if settings_file is not None:
        check_target(settings_file, force=False)
        return Keeping(settings_file=settings_file, settings_text=_as_settings(saved))

    known: dict[int, str] = dict(settings.retired_secrets or {})
    goes_into_folder = settings.secret is None and saved.secret_id == settings.secret_id
    if settings.secret is not None:
        known[settings.secret_id] = settings.secret
    elif goes_into_folder:
        known[saved.secret_id] = saved.secret
    missing = sorted(
        name
        for name, secret in saved.ring.items()
        if not hmac.compare_digest(known.get(name, "").encode(), secret.encode())
    )
    if missing:
        raise BackupError(
            f"the settings lack the backup's secret {', '.join(map(str, missing))}: every place,"
            " pass and guest session signed with it would be refused. Set it (secret, secret_id,"
            " retired_secrets), or have them written with --secrets-to FILE.toml, to be used as"
            " --config"
        )
    return Keeping(in_folder=saved.secret if goes_into_folder else None)


def _as_settings(saved: Secrets) -> str:
    lines = [f"secret_id = {saved.secret_id}", f"secret = {_quoted(saved.secret)}"]
    if saved.retired_secrets:
        lines += ["", "[retired_secrets]"]
        lines += [f'"{name}" = {_quoted(one)}' for name, one in saved.retired_secrets.items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As TOML, whose basic strings are those of JSON."""
    return msgspec.json.encode(text).decode()
