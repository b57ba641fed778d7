"""Under mimalloc: objects beyond 512 bytes, C memory that nobody owns, and holes."""
import ctypes

from oracle import c_library, leak, part, sizes

libc = c_library()


class Area(ctypes.Structure):
    _fields_ = [("blocks", ctypes.c_void_p)] + [(name, ctypes.c_size_t) for name in ("reserved", "committed", "used", "block_size",
                                                                                    "full_block_size")]


VISIT = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.POINTER(Area), ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
libc.mi_heap_get_default.restype = ctypes.c_void_p
libc.mi_heap_visit_blocks.argtypes = [ctypes.c_void_p, ctypes.c_bool, VISIT, ctypes.c_void_p]
areas = [0, 0, 0]


@VISIT
def visit(heap, area, block, size, argument):
    one = area.contents
    areas[0] += one.used * one.full_block_size
    areas[1] += one.committed
    areas[2] += 1
    return True


held = [b"%d" % (10 ** 9 + i) * (70 + i % 400) for i in range(10_000)]
held[::3] = [None] * len(held[::3])
total = sizes([one for one in held if one is not None])
leaked = leak(libc, 1_000, 10_000) + leak(libc, 300_000, 20)
libc.mi_heap_visit_blocks(libc.mi_heap_get_default(), False, visit, None)
areas[:] = [0, 0, 0]
libc.mi_heap_visit_blocks(libc.mi_heap_get_default(), False, visit, None)
ready(allocator="mimalloc", leaked=leaked, figures=dict(zip(("used", "committed", "pages"), areas)),
      parts=[part("objects", "live objects: bytes", 0.95 * total, 1.3 * total + 4_000_000)])
