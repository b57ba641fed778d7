"""Files that are mapped: shared, private, and shared memory of no file."""
import mmap
import os

from oracle import part

folder = os.environ["WORKLOAD_DIR"]
opened = []


def make(name, size):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for _ in range(0, size, 1 << 20):
            file.write(b"%d" % size * ((1 << 20) // len(b"%d" % size)))
        file.truncate(size)
    opened.append(open(path, "r+b"))
    return opened[-1].fileno()


table = mmap.mmap(make("table.bin", 32 << 20), 0)
table[:] = b"x" * len(table)
index = mmap.mmap(make("index.bin", 16 << 20), 0, access=mmap.ACCESS_READ)
total = sum(index[i] for i in range(0, len(index), 4096))
copied = mmap.mmap(make("copied.bin", 8 << 20), 0, access=mmap.ACCESS_COPY)
copied[:] = b"y" * len(copied)
shared = mmap.mmap(-1, 12 << 20)
shared[:] = b"z" * len(shared)
ready(parts=[part("files", "table.bin", 32 << 20, 32 << 20, 1), part("files", "index.bin", 16 << 20, 16 << 20, 1),
             part("files", "copied.bin", 8 << 20, 8 << 20, 1), part("files", "shared anonymous memory", 12 << 20, 12 << 20, 1)])
