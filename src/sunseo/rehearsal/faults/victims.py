"""Which processes a fault is done to: those below the server that we started, and no others.

Everything is found by descent from the server's own process at the moment of the fault, and
psutil signals nobody whose process number has been given to somebody else meanwhile.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from sunseo.rehearsal.faults.spec import FaultTarget

Processes = list[psutil.Process]


class NobodyError(Exception):
    """There is no process to do it to."""


def workers(server: int, port: int) -> Processes:
    """Those that take requests; neither the supervisor, which keeps their sockets open, nor the one
    that stands by. With many connections, this is slow.

    Raises:
        NobodyError: there is none at this moment.
    """
    found = []
    for process in processes_of(server, FaultTarget.SERVER):
        with suppress(psutil.Error):
            if process.pid != server and any(
                held.status == psutil.CONN_LISTEN and held.laddr.port == port
                for held in process.net_connections("tcp")
            ):
                found.append(process)
    if not found:
        raise NobodyError("there is no worker")
    return sorted(found, key=lambda process: process.pid)


def processes_of(server: int, part: FaultTarget) -> Processes:
    """The server's processes or its PostgreSQL's, whoever starts others of them first.

    Raises:
        NobodyError: there are none at this moment.
    """
    of_database = part is FaultTarget.DATABASE
    found = [process for process in _below(server) if _is_postgres(process) is of_database]
    if not of_database:
        with suppress(psutil.Error):
            found.insert(0, psutil.Process(server))
    if not found:
        raise NobodyError(f"there is no {part.value}")
    return found


def stop_all(find: Callable[[], Processes]) -> Processes:
    """Stop whomever `find` finds, again until there is nobody new; then all stand still.

    Raises:
        psutil.Error: one may not be stopped; then none is.
    """
    stopped: dict[int, psutil.Process] = {}
    try:
        while new := [process for process in find() if process.pid not in stopped]:
            for process in new:
                stopped[process.pid] = process
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
    except (psutil.Error, NobodyError):
        resume_all(stopped.values())
        raise
    return list(stopped.values())


def resume_all(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def kill_all(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _below(server: int) -> Processes:
    try:
        return psutil.Process(server).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres")
    except psutil.Error:
        return False
