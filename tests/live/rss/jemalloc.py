"""Under jemalloc: objects beyond 512 bytes, C memory that nobody owns, and holes."""
import ctypes

from oracle import c_library, leak, part, sizes

libc = c_library()


def ask(name, kind=ctypes.c_size_t):
    value, size = kind(), ctypes.c_size_t(ctypes.sizeof(kind))
    epoch = ctypes.c_uint64(1)
    assert libc.mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(8)) == 0
    assert libc.mallctl(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)) == 0, name
    return value.value


held = [b"%d" % (10 ** 9 + i) * (70 + i % 400) for i in range(10_000)]
held[::3] = [None] * len(held[::3])
total = sizes([one for one in held if one is not None])
leaked = leak(libc, 1_000, 10_000) + leak(libc, 300_000, 20)
names = ("allocated", "active", "resident", "mapped", "metadata", "retained")
figures = {name: ask("stats." + name) for name in names}
figures = {name: ask("stats." + name) for name in names}
ready(allocator="jemalloc", figures=figures, leaked=leaked, version=ask("version", ctypes.c_char_p).decode(),
      parts=[part("objects", "live objects: bytes", 0.95 * total, 1.3 * total + 4_000_000)])
