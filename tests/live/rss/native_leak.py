"""C code that forgets what it has allocated."""
from oracle import c_library, leak, mallinfo, part

libc = c_library()
held = [bytes(2_000) for _ in range(5_000)]
before = mallinfo(libc)
small = leak(libc, 1_000, 24_000)
big = leak(libc, 2_000_000, 10)
ready(parts=[part("malloc", "used by no Python object", small, small + 8 * 24_000 + before.uordblks - 5_000 * 2_000),
             part("malloc", "big blocks of no Python object", big, big + 10 * 4096 + before.hblkhd),
             part("objects", "live objects: bytes", 5_000 * 2_000, 5_000 * 2_050 + 4_000_000)])
