"""The process's memory on Linux: that what one thread freed serves the next one.

Every request is computed in a thread of its own. glibc gives threads heaps of their own ("arenas", up to eight for
each core), and what is freed stays in its heap. A step of InsetGAN on the CPU frees about 350 MB, so ten visitors'
steps, one after another, kept 3.6 GB; with two heaps 1.35 GB, at the same speed.
"""

from __future__ import annotations

import ctypes
import logging

logger = logging.getLogger(__name__)

ARENAS = 2  # one for the thread that computes, one for all that answer meanwhile
_M_ARENA_MAX = -8  # malloc.h


def share_heaps() -> bool:
    """Let all threads of this process share two heaps; whether the system's allocator could be told so (only glibc's
    can). Call it before threads are started: heaps that are there stay."""
    try:
        told = ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS) == 1
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        told = False
    logger.debug("threads share heaps: %s", told)
    return told
