"""Processes that end with the one that started them, and may open as many files as they need.

State       None but a thread that waits for the starter's death, where there is a starter.
Guarantee   Whoever asked for it gets a signal when the process that started it has died, however
            that ended, before it asked included.
Clock       None.
On failure  Where the system tells nothing of a parent's death, children of a killed one stay.
"""

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import wait
from threading import Thread

_PR_SET_PDEATHSIG = 1


def exit_with_parent(number: signal.Signals = signal.SIGTERM, *, parent: int | None = None) -> None:
    """Ask Linux to send a signal to this process when its parent dies, however that ends.

    Elsewhere it does nothing: there, a parent that was killed leaves its children behind.

    Args:
        number: the signal.
        parent: who the parent was when this process began. Without it, a parent that has died
            before this call is not missed.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), number)


def exit_with_starter(number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal when the one that started it by `multiprocessing` has died.

    The same when the parent has, which is another one where there is a fork server between them.
    """
    exit_with_parent(number)
    starter = multiprocessing.parent_process()
    if starter is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os.kill(os.getpid(), number)

    Thread(target=watch, args=(starter.sentinel,), name="starter", daemon=True).start()


def open_standard_streams() -> None:
    """Have 0, 1 and 2 open, into nothing where they were closed (`2>&-`, some service managers).

    Else the next file or connection that is opened would get such a number, and what is printed.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115 - stays open


def raise_file_limit() -> None:
    """Allow as many open files as the system lets us have: each connection is one.

    Shells and service managers begin with 1,024 for the sake of programs that cannot do with more.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
