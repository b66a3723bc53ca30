"""What has been set up for a crowd to come: told to the script, and written down for the judge."""

import shlex
from pathlib import Path

import msgspec

from sunseo.rehearsal.attempt import AttemptError
from sunseo.rehearsal.report.result import Options
from sunseo.rehearsal.target.operator import Setup


class StagedError(AttemptError):
    """A file is not what `sunseo rehearse stage` writes; one line says so."""


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        opens_at: T0, seconds since 1970.
        data: folder of our own server's database, if it is our own.
    """

    url: str
    setup: Setup
    opens_at: float
    started_at: str
    options: Options
    data: str | None = None

    def variables(self, told: Path) -> dict[str, str]:
        """What the script reads from its environment; those of K6_ are k6's own options."""
        return {
            "CROWD_URL": self.url,
            "CROWD_SALES": ",".join(map(str, self.setup.sales)),
            "CROWD_ROOM": str(self.setup.room or ""),
            "CROWD_OPENS_AT": f"{self.opens_at:.3f}",
            "CROWD_TOLD": str(told),
            "K6_CONSOLE_OUTPUT": str(told),
            "K6_LOG_FORMAT": "raw",
        }


def exports(variables: dict[str, str]) -> list[str]:
    """Lines for a shell."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def save(staged: Staged, file: Path) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(staged)) + b"\n")


def load(file: Path) -> Staged:
    """
    Raises:
        StagedError: it is something else, or cannot be read.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Staged)
    except OSError as error:
        raise StagedError(f"{file}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise StagedError(f"{file}: not written by `sunseo rehearse stage`: {error}") from None
