"""Runs a command in a new user namespace in which our root appears as another account: `namespace.py UID GID COMMAND…`.

Started as a file and on its own (`python -I -S`), by root only; imports nothing of the project.
"""

import ctypes
import os
import sys
from pathlib import Path

# <linux/sched.h>
_CLONE_NEWUSER = 0x10000000
_CANNOT_ENTER = 126


def main() -> None:
    """Replaces this process by the command; exits with 126 where the kernel permits no user namespace."""
    uid, gid, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) != 0:
        sys.stderr.write(f"no user namespace: {os.strerror(ctypes.get_errno())}\n")
        raise SystemExit(_CANNOT_ENTER)
    try:
        # A single line that maps our own id needs no privilege outside, once setgroups is given up: user_namespaces(7).
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} 0 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} 0 1", encoding="ascii")
    except OSError as error:
        sys.stderr.write(f"no user namespace: {error}\n")
        raise SystemExit(_CANNOT_ENTER) from None
    os.execv(command[0], command)  # noqa: S606 the caller gives the command, no shell reads it


if __name__ == "__main__":
    main()
