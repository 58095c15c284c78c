#!/usr/bin/env python3
"""Runs a command where io_uring is refused: `no_io_uring.py COMMAND...`.

As a container runtime's default profile does it: the three system calls of io_uring answer EPERM, here
and in all children. seccomp(2), seccomp_filter.rst. The numbers 425 to 427 are the same on every
architecture.
"""

import ctypes
import os
import sys

LOAD_NUMBER, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x35, 0x06
FIRST, BEHIND_LAST = 425, 428
ERRNO_EPERM, ALLOW = 0x00050001, 0x7FFF0000
PR_SET_SECCOMP, FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]


def refuse_io_uring():
    """For this process and all that it starts; there is no way back."""
    rules = (Instruction * 5)(
        Instruction(LOAD_NUMBER, 0, 0, 0),
        Instruction(JUMP_IF_AT_LEAST, 0, 2, FIRST),
        Instruction(JUMP_IF_AT_LEAST, 1, 0, BEHIND_LAST),
        Instruction(RETURN, 0, 0, ERRNO_EPERM),
        Instruction(RETURN, 0, 0, ALLOW),
    )
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(Program(len(rules), rules)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    refuse_io_uring()
    os.execvp(sys.argv[1], sys.argv[1:])
