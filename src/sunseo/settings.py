"""Every setting, read once: from a TOML file, and over that from the environment.

A setting `jwt_issuer` is the TOML key `jwt_issuer` and the variable `SUNSEO_JWT_ISSUER`. There are
no default secrets.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import platformdirs
from msgspec import Meta

from sunseo.core.errors import OneLineError

PREFIX = "SUNSEO_"
SECRET_CHARACTERS_MIN = 32

RETIRED = "retired_secrets"
SECRET_FILE = "secret"  # noqa: S105 - the name of a file in the data folder

Secret = Annotated[str, Meta(min_length=SECRET_CHARACTERS_MIN)]
SecretId = Annotated[int, Meta(ge=0, le=255)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]


class SettingsError(OneLineError, ValueError):
    """One line: which setting is wrong, and what would be right."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See docs/guides/settings.md for the same in prose."""

    # Where things are
    data: Path = Path(platformdirs.user_data_dir("sunseo"))  # of the embedded PostgreSQL
    database_url: str | None = None  # postgresql://… of your own PostgreSQL instead
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    organisation: Positive = 1

    # How much
    workers: Annotated[int, Meta(ge=1, le=256)] = 1  # processes that answer requests
    lanes: Annotated[int, Meta(ge=1, le=16)] = 1  # of inventory, in each worker
    room_lanes: Annotated[int, Meta(ge=1, le=16)] = 1  # of joining and entering, in each worker
    room_streams_max: Annotated[int, Meta(ge=0, le=100_000)] = 1000  # of room events, a worker
    lane_wait_max_s: Seconds = 3.0  # expected wait above which newcomers are told to come later
    requests_max: Annotated[int, Meta(ge=16, le=100_000)] = 1024  # under way in each worker
    body_bytes_max: Annotated[int, Meta(ge=1024)] = 65_536  # of a request; imports take more
    statement_cache: Annotated[int, Meta(ge=0)] = 100  # 0 behind PgBouncer before 1.21

    # Who may
    secret: Secret | None = None  # signs guest sessions; made and kept in `data` when embedded
    secret_id: SecretId = 0  # told by tokens, so that they find their secret after a rotation
    retired_secrets: dict[SecretId, Secret] | None = None  # by id: tokens of theirs still count
    guest_session_s: Positive = 86_400
    nonce_window_s: Positive = 900  # in which a nonce, once given, can be joined with
    turnstile_site_key: Annotated[str, Meta(min_length=1)] | None = None
    turnstile_secret: Annotated[str, Meta(min_length=1)] | None = None
    turnstile_url: Annotated[str, Meta(pattern="^https?://")] = (
        "https://challenges.cloudflare.com/turnstile/v0/siteverify"
    )
    turnstile_timeout_s: Seconds = 3.0  # for one question; then it counts as no answer
    challenge_fails: Literal["closed", "open"] = "closed"  # for joins that cannot be verified
    trusted_proxies: str | None = None  # networks, with commas, whose X-Forwarded-* is believed
    jwt_issuer: str | None = None  # of the host's tokens: claim `iss`
    jwt_secret: Secret | None = None  # shared with that issuer, for HS256
    jwt_audience: str | None = None  # demanded as claim `aud` when set
    metrics_public: bool = True  # false asks for an operator key at /metrics

    # What runs beside requests
    expire_every_s: Seconds = 0.25
    tail_every_s: Seconds = 0.1
    room_tick_s: Seconds = 0.5  # between looks of every worker at all rooms
    room_control_s: Seconds = 1.0  # between steps of the one worker that moves the lines
    event_log: Path | None = None  # copies the journal into this file, a line an event
    disk_pause_below_mb: Positive = 1024  # free space under which no new holds are taken
    disk_resume_above_mb: Positive = 1536
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __post_init__(self) -> None:
        if (self.jwt_issuer is None) != (self.jwt_secret is None):
            raise ValueError("jwt_issuer and jwt_secret stand together")
        if self.jwt_audience is not None and self.jwt_issuer is None:
            raise ValueError("jwt_audience stands with jwt_issuer and jwt_secret")
        if self.secret_id in (self.retired_secrets or {}):
            raise ValueError("secret_id must not be among the ids of retired_secrets")
        if (self.turnstile_site_key is None) != (self.turnstile_secret is None):
            raise ValueError("turnstile_site_key and turnstile_secret stand together")
        if self.disk_resume_above_mb < self.disk_pause_below_mb:
            raise ValueError("disk_resume_above_mb must not be below disk_pause_below_mb")
        if self.database_url is not None and self.secret is None:
            raise ValueError(
                "with a database_url, set secret as well (openssl rand -hex 32): "
                "every server on that database signs guest sessions with it"
            )

    @property
    def is_embedded(self) -> bool:
        return self.database_url is None


def load_settings(
    environment: Mapping[str, str], file: Path | None = None, **given: Any
) -> Settings:
    """Read the settings; what is `given` (and not None) overrides environment, then file.

    Raises:
        SettingsError: something is unknown, missing or out of range; it says where that stands.
    """
    merged: dict[str, Any] = _from_file(file) if file is not None else {}
    places = {name: f"{name} in {file}" for name in merged}
    told = _from_environment(environment)
    places |= {name: _variable(name) for name in told}
    options = {name: value for name, value in given.items() if value is not None}
    places |= {name: f"--{name.replace('_', '-')}" for name in options}
    try:
        return msgspec.convert(merged | told | options, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {_located(str(error), places)}") from None


def read_secret(data: Path) -> str:
    """The secret that is kept in a data folder.

    Raises:
        FileNotFoundError: none is kept there.
        SettingsError: the file is there, and holds none that may be used.
    """
    file = data / SECRET_FILE
    try:
        secret = file.read_text("ascii").strip()
    except UnicodeDecodeError:
        secret = ""
    if len(secret) < SECRET_CHARACTERS_MIN:
        raise SettingsError(
            f"settings: {file} is damaged: it holds {len(secret)} characters of a secret, not"
            f" {SECRET_CHARACTERS_MIN} or more. Bring it back from a backup; without one, remove"
            " it, and a new one is made: places, passes and guest sessions given out are void then"
        )
    return secret


def _located(error: str, places: Mapping[str, str]) -> str:
    """The sentence of msgspec, with what was set in front; or behind, where it names several."""
    what, _, where = error.partition(" - at `$")
    if found := re.match(r"\.([a-z0-9_]+)", where):
        return f"{places.get(found[1], found[1])}: {what}"
    named = [place for name, place in places.items() if re.search(rf"\b{name}\b", what)]
    return f"{what} (set: {', '.join(named)})" if named else what


def _from_file(file: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"settings: cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings: {file} is not TOML: {error}") from None
    _refuse_unknown({name: name for name in found}, str, f" in {file}")
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    variables = {}
    for variable, value in environment.items():
        if variable.startswith(PREFIX) and value:
            name = variable.removeprefix(PREFIX).lower()
            found[name], variables[name] = value, variable
    _refuse_unknown(variables, _variable, " in the environment")
    if RETIRED in found:
        found[RETIRED] = _table(found[RETIRED])
    return found


def _refuse_unknown(written: Mapping[str, str], spelt: Callable[[str], str], where: str) -> None:
    """Name what is no setting, and the nearest that is.

    Args:
        written: as it stands there, by the name of the setting that it would be.
        spelt: how a setting's name is spelt there.
        where: that is.
    """
    names = Settings.__struct_fields__
    unknown = sorted(written.keys() - set(names))
    if not unknown:
        return
    told = []
    for name in unknown:
        near = get_close_matches(name.lower().replace("-", "_"), names, n=1)
        told.append(written[name] + (f" (did you mean {spelt(near[0])}?)" if near else ""))
    raise SettingsError(f"settings: there is no such setting{where}: {', '.join(told)}")


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _table(text: str) -> Any:
    """Read the one setting that is a table: in the environment it is written as JSON."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise SettingsError(
            f'settings: {PREFIX}{RETIRED.upper()} must be JSON like {{"0": "the old secret"}}'
        ) from None


def _decode(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise NotImplementedError(f"a setting of type {wanted} cannot be read")
