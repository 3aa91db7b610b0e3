"""How this process returns memory to the system."""

import ctypes

#: `M_MMAP_THRESHOLD` of glibc's mallopt.
_MMAP_THRESHOLD = -3
#: A block of this size or more, in bytes, is given back to the system when it is freed.
LARGE_BLOCK = 128 * 1024


def give_back_large_blocks() -> None:
    """Return large blocks, such as those of a reply of 1 MB, to the system as soon as they are freed.

    Otherwise glibc raises the limit with each large block, and keeps such blocks for each thread: 100 threads that have
    each read one reply of 1 MB kept 500 MB. Other C libraries do not have this function, and need no limit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGE_BLOCK)
