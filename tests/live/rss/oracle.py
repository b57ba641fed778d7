"""What a workload knows of its own memory, without lowtide: from sys, malloc and the kernel.

Each program ends with ready(parts=[part(...), ...]): a layer of `rss`, how the name of a part begins, and the bytes, from `least` to
`most`, that such parts have resident. `count`: what the parts count, where it is exact.
"""
import ctypes
import sys

PAGE = 4096


def part(layer, name, least, most, count=None):
    return {"layer": layer, "name": name, "least": int(least), "most": int(most), "count": count}


def sizes(objects, header=0):
    """Bytes of objects as CPython's and the C allocator round them up: to 16, and what malloc has in front of large ones."""
    total = 0
    for one in objects:
        size = sys.getsizeof(one)
        total += (size + (header if size > 512 else 0) + 15) // 16 * 16
    return total


def c_library():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.malloc_usable_size.restype = ctypes.c_size_t
    libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
    return libc


def leak(libc, size, count):
    """Bytes that malloc() has for them; nobody keeps a pointer."""
    total = 0
    for _ in range(count):
        at = libc.malloc(size)
        ctypes.memset(at, 1, size)
        total += libc.malloc_usable_size(at)
    return total


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                                                     "uordblks", "fordblks", "keepcost")]


def mallinfo(libc):
    libc.mallinfo2.restype = Mallinfo
    return libc.mallinfo2()


def mappings():
    """Of /proc/self/smaps: start, end, path and the figures in bytes."""
    found = []
    with open("/proc/self/smaps") as lines:
        for line in lines:
            first, _, rest = line.partition(" ")
            if first.endswith(":"):
                value = rest.split()
                if len(value) == 2 and value[1] == "kB":
                    found[-1][first[:-1]] = int(value[0]) * 1024
            else:
                start, _, end = first.partition("-")
                path = line.split(maxsplit=5)
                found.append({"start": int(start, 16), "end": int(end, 16), "path": path[5].strip() if len(path) > 5 else ""})
    return found
