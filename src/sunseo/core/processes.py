"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def exit_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Ask Linux to send a signal to this process when its parent dies, however that ends.

    Elsewhere it does nothing: there, a parent that was killed leaves its children behind.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), number)
