"""Under mimalloc: objects beyond 512 bytes, of several threads, C memory that nobody owns, and holes."""
import ctypes
import json  # noqa: F401 -- ready() needs it: not behind the figures
import threading

from oracle import c_library, leak, part, sizes

libc = c_library()


class Area(ctypes.Structure):
    _fields_ = [("blocks", ctypes.c_void_p)] + [(name, ctypes.c_size_t) for name in ("reserved", "committed", "used", "block_size",
                                                                                    "full_block_size")]


VISIT = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.POINTER(Area), ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
libc.mi_heap_get_default.restype = ctypes.c_void_p
libc.mi_heap_visit_blocks.argtypes = [ctypes.c_void_p, ctypes.c_bool, VISIT, ctypes.c_void_p]
THREADS = 5
used = [0] * (THREADS + 1)


def count_own_heap(number):
    """Each thread has a heap; what others have freed of it is taken in first."""
    libc.mi_collect(False)
    total = 0

    @VISIT
    def visit(heap, area, block, size, argument):
        nonlocal total
        total += area.contents.full_block_size if block else 0
        return True

    libc.mi_heap_visit_blocks(libc.mi_heap_get_default(), True, visit, None)
    used[number] = total


def fill(number):
    held.extend([b"%d" % (10 ** 9 + i) * (70 + i % 400) for i in range(number * 2_000, number * 2_000 + 2_000)])
    filled.wait()
    emptied.wait()
    count_own_heap(number)
    filled.wait()
    threading.Event().wait()


held = []
filled, emptied = threading.Barrier(THREADS + 1), threading.Barrier(THREADS + 1)
for number in range(THREADS):
    threading.Thread(target=fill, args=(number,), daemon=True).start()
filled.wait()
held[::3] = [None] * len(held[::3])
huge = b"h" * 40_000_000
total = sizes([huge, *[one for one in held if one is not None]])
emptied.wait()
filled.wait()
leak(libc, 1_000, 10_000)
leak(libc, 300_000, 20)
leaked = 10_000 * 1_000 + 20 * 300_000
count_own_heap(THREADS)
ready(allocator="mimalloc", other={"used_bytes": sum(used)},
      parts=[part("objects", "live objects: bytes", total, 1.1 * total + 4_000_000),
             part("malloc", "used by no Python object", leaked, 1.05 * leaked + 1_500_000),
             part("malloc", "mimalloc", 0, 0)])
