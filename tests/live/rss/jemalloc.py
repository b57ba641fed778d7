"""Under jemalloc: objects beyond 512 bytes, of several threads, C memory that nobody owns, and holes."""
import ctypes
import json  # noqa: F401 -- ready() needs it: not behind the figures
import threading

from oracle import c_library, leak, part, sizes

libc = c_library()


def ask(name, kind=ctypes.c_size_t):
    value, size = kind(), ctypes.c_size_t(ctypes.sizeof(kind))
    epoch = ctypes.c_uint64(1)
    assert libc.mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(8)) == 0
    assert libc.mallctl(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)) == 0, name
    return value.value


def fill(start):
    held.extend([b"%d" % (10 ** 9 + i) * (70 + i % 400) for i in range(start, start + 2_000)])
    filled.wait()
    threading.Event().wait()


held = []
filled = threading.Barrier(6)
for number in range(5):
    threading.Thread(target=fill, args=(number * 2_000,), daemon=True).start()
filled.wait()
held[::3] = [None] * len(held[::3])
huge = b"h" * 40_000_000
total = sizes([huge, *[one for one in held if one is not None]])
leak(libc, 1_000, 10_000)
leak(libc, 300_000, 20)
leaked = 10_000 * 1_000 + 20 * 300_000
ask("stats.allocated")
ready(allocator="jemalloc " + ask("version", ctypes.c_char_p).decode().partition("-")[0],
      other={"used_bytes": ask("stats.allocated"), "page_bytes": ask("stats.active")},
      parts=[part("objects", "live objects: bytes", total, 1.1 * total + 4_000_000),
             part("malloc", "used by no Python object", leaked, 1.05 * leaked + 1_000_000),
             part("malloc", "jemalloc", 0, 0)])
