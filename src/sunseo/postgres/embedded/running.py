"""Find the embedded PostgreSQL that a `sunseo serve` has running on a data folder."""

from pathlib import Path
from urllib.parse import quote

import psutil

from sunseo.postgres.embedded.cluster import Layout
from sunseo.postgres.embedded.orphans import is_ready

# Lines of PostgreSQL's own postmaster.pid, counted from zero.
_PID, _PORT, _SOCKET_FOLDER = 0, 3, 4


def running_dsn(data: Path) -> str | None:
    """Where the running server's database is; none if no server runs on this folder."""
    cluster = Layout(data.absolute()).cluster
    try:
        lines = (cluster / "postmaster.pid").read_text("utf-8").splitlines()
        pid, port, folder = int(lines[_PID]), int(lines[_PORT]), lines[_SOCKET_FOLDER].strip()
    except (OSError, ValueError, IndexError):
        return None
    if not psutil.pid_exists(pid) or not is_ready(cluster, pid):
        return None
    return f"postgresql://sunseo@/sunseo?host={quote(folder, safe='/')}&port={port}"
