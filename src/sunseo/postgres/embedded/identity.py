"""As whom PostgreSQL runs: it refuses to be root.

An ordinary user runs it as himself. Root runs it as the owner of the data folder, if that is
somebody else; otherwise in an empty user namespace, where PostgreSQL finds itself to be nobody
while its files still belong to root; otherwise, where a container forbids namespaces, as the user
`nobody`, to whom the database's own folder is then given.
"""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sunseo.postgres.embedded import launch

OVERFLOW_UID = 65534
"""What a user without a mapping is called inside a user namespace (kernel.overflowuid)."""

PROBE_S = 20.0
"""Longest wait for a program that only says its version."""


@dataclass(frozen=True)
class Identity:
    """The user that PostgreSQL becomes, in the words of `launch`."""

    name: str
    uid: int
    gid: int

    def command(self, death_signal: signal.Signals, program: Path, *rest: str) -> Sequence[str]:
        """The command line that starts `program` as this user, tied to the calling thread."""
        launcher = [sys.executable, "-I", "-S", launch.__file__]
        return [*launcher, str(os.getpid()), self.name, str(int(death_signal)), str(program), *rest]

    def give(self, path: Path) -> None:
        """Make this user the owner of `path`, which we have just created."""
        if os.geteuid() == 0 and self.uid != 0:
            os.chown(path, self.uid, self.gid)

    def take_over(self, folder: Path) -> None:
        """Make this user the owner of all in `folder`; the folder itself last, as the seal."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.lchown(Path(parent, name), self.uid, self.gid)
        os.chown(folder, self.uid, self.gid)

    @property
    def peers(self) -> frozenset[str]:
        """Names under which PostgreSQL may see this process at its socket."""
        uids = {OVERFLOW_UID} if self.name == "namespace" else {os.geteuid(), self.uid}
        return frozenset(name for uid in uids if (name := _user_name(uid)))


def choose_identity(cluster: Path, postgres: Path) -> Identity:
    """As whom to run PostgreSQL for the data in `cluster`, which need not exist yet."""
    if os.geteuid() != 0:
        return Identity("same", os.geteuid(), os.getegid())
    for folder in (cluster, cluster.parent):
        if folder.exists():
            owner = folder.stat()
            if owner.st_uid != 0:
                return Identity(f"{owner.st_uid}:{owner.st_gid}", owner.st_uid, owner.st_gid)
            break
    in_namespace = Identity("namespace", 0, os.getegid())
    if _works(in_namespace, postgres):
        return in_namespace
    nobody = pwd.getpwnam("nobody")
    return Identity(f"{nobody.pw_uid}:{nobody.pw_gid}", nobody.pw_uid, nobody.pw_gid)


def _works(identity: Identity, postgres: Path) -> bool:
    try:
        probe = subprocess.run(  # noqa: S603 - our own command line
            identity.command(signal.SIGKILL, postgres, "--version"),
            capture_output=True,
            timeout=PROBE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def _user_name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
