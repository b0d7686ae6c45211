"""How a process of Agora treats its memory."""

import ctypes
import gc

_M_ARENA_MAX = -8
_COLLECT_EVERY = (5_000, 10, 1_000)


def share_heaps() -> None:
    """Let threads share two heaps: with one for each, what a worker frees while it indexes stays with it for ever."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def settle() -> None:
    """Take what stands after the start out of the garbage collector's rounds: schema, mappings and plans stay for good.

    Otherwise every full collection walks them all, for a quarter of a server's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_EVERY)
