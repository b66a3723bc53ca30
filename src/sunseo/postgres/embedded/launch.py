"""Become PostgreSQL: a program of its own, started as `python -I -S launch.py …`.

    launch.py PARENT_PID IDENTITY SIGNAL PROGRAM ARGUMENT…

PostgreSQL refuses to run as root, and it must not outlive its supervisor. Both are arranged here,
between fork and exec, in a fresh process: doing it in the supervisor's own fork (`preexec_fn`)
can deadlock when other threads run. IDENTITY is `same`, `namespace` (root enters an empty user
namespace, where it is nobody while files still belong to root) or `UID:GID`. SIGNAL is sent to
the program by the kernel when the thread that started us ends.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
CLONE_NEWUSER = 0x10000000  # from linux/sched.h
NO_NAMESPACE = 121
"""Exit status when the kernel or a container does not allow the user namespace."""


def take_identity(identity: str) -> None:
    if identity == "same":
        return
    if identity == "namespace":
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "unshare") or libc.unshare(CLONE_NEWUSER) != 0:
            sys.stderr.write(f"error: no user namespace: {os.strerror(ctypes.get_errno())}\n")
            sys.exit(NO_NAMESPACE)
        return
    uid, gid = (int(number) for number in identity.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent: int, signal: int) -> None:
    """Ask the kernel for `signal` at the parent's end. Elsewhere than on Linux: do without."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        sys.exit(f"error: prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before we asked
        sys.exit("error: the supervisor is gone")


def main(parent: str, identity: str, signal: str, program: str, *arguments: str) -> None:
    os.umask(0o077)
    take_identity(identity)
    # After the identity: a change of user clears the wish.
    die_with_parent(int(parent), int(signal))
    os.execv(program, [program, *arguments])  # noqa: S606 - becoming that program is the purpose


if __name__ == "__main__":
    main(*sys.argv[1:])
