"""A program that uses glibc's allocator hard, then keeps still: argv: threads, `pieces` or `whole`.

When a line comes it writes what the allocator says of itself (mallinfo2(), malloc_info()) to the file `info` beside the script
of the test, and waits for good: nothing may be allocated between that and the look at it.
"""
import ctypes
import mmap
import os
import random
import sys
import threading

POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t
libc = ctypes.CDLL(None)


def function(name, result, *arguments):
    found = getattr(libc, name)
    found.restype, found.argtypes = result, arguments
    return found


malloc, free = function("malloc", POINTER, SIZE), function("free", None, POINTER)
memalign = function("memalign", POINTER, SIZE, SIZE)
sbrk = function("sbrk", POINTER, ctypes.c_ssize_t)
map_memory = function("mmap", POINTER, POINTER, SIZE, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)


def request(draw):
    kind = draw.random()
    if kind < 0.6:
        return draw.randrange(1, 200)
    if kind < 0.9:
        return draw.randrange(200, 5000)
    return draw.randrange(5000, 120_000) if kind < 0.99 else draw.randrange(130_000, 900_000)


def churn(seed, rounds=2500, interrupt=None):
    draw, held = random.Random(seed), []
    for step in range(rounds):
        if interrupt is not None and step in (rounds // 3, 2 * rounds // 3):
            interrupt(step > rounds // 2)
        if held and draw.random() < 0.45:
            free(held.pop(draw.randrange(len(held))))
        elif draw.random() < 0.05:
            held.append(memalign(draw.choice((32, 64, 256, 4096, 8192)), request(draw)))
        else:
            held.append(malloc(request(draw)))
    for address in held[::3]:
        free(address)


def break_up(last):
    """The main arena is no longer one piece: somebody else takes memory from brk(2), or nothing is left there."""
    if not last:
        assert sbrk(5008) != 2 ** 64 - 1
        return
    end = (sbrk(0) + 4095) & ~4095
    assert map_memory(end, 1 << 20, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100000, -1, 0) == end


def known_chunks():
    """Memory whose state will be known once free_known() was called."""
    return {"tcache": [malloc(1000) for _ in range(7)], "used": [malloc(1000) for _ in range(5)],
            "mmapped": [malloc(40 << 20)], "merged": [malloc(70_000)], "guard": [malloc(1000)]}


def free_known(known):
    """A cache has room for at least 7 chunks of a size, and all of it when it was emptied before."""
    for _ in range(32):
        malloc(1000)
    for address in known["tcache"] + known["merged"]:
        free(address)


def main():
    threads, pieces = int(sys.argv[1]), sys.argv[2] == "pieces"
    stream = function("fopen", POINTER, ctypes.c_char_p, ctypes.c_char_p)(os.path.join(sys.argv[3], "info").encode(), b"w")
    buffer = ctypes.create_string_buffer(1 << 20)
    function("setvbuf", ctypes.c_int, POINTER, POINTER, ctypes.c_int, SIZE)(stream, buffer, 0, len(buffer))
    done, forever = threading.Semaphore(0), threading.Lock()
    forever.acquire()

    def work(seed):
        churn(seed)
        done.release()
        forever.acquire()

    for seed in range(threads - 1):
        threading.Thread(target=work, args=(seed,), daemon=True).start()
    for _ in range(threads - 1):
        done.acquire()
    churn(1000, 6000 if pieces else 2500, break_up if pieces else None)
    known = known_chunks()

    class Mallinfo(ctypes.Structure):
        _fields_ = [(name, SIZE) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

    text = ctypes.create_string_buffer(b"%zu %zu %zu %zu %zu %zu %zu\n")
    say = function("fprintf", ctypes.c_int)
    tell, flush = function("malloc_info", ctypes.c_int, ctypes.c_int, POINTER), function("fflush", ctypes.c_int, POINTER)
    pause = function("pause", ctypes.c_int)
    sums = function("mallinfo2", Mallinfo) if hasattr(libc, "mallinfo2") else None
    where, length = POINTER(stream), text
    ready(**known)
    wait_line()
    free_known(known)
    if sums is not None:
        info = sums()
        say(where, length, SIZE(info.arena), SIZE(info.ordblks), SIZE(info.smblks), SIZE(info.hblks), SIZE(info.hblkhd),
            SIZE(info.fsmblks), SIZE(info.fordblks))
    tell(0, stream)
    flush(stream)
    pause()


main()
