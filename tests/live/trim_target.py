"""A program that leaves free memory in the C allocator in one way, argv[1], and then keeps still; argv[2]: more threads that sleep."""
import ctypes
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
memalign, memset = function("memalign", POINTER, SIZE, SIZE), function("memset", POINTER, POINTER, ctypes.c_int, SIZE)
kept = []


def take(sizes, get=malloc):
    blocks = []
    for size in sizes:
        block = get(size)
        memset(block, 1, size)
        blocks.append(block)
    return blocks


def release(blocks, keep):
    """Frees all but those for which keep(i) is true."""
    for i, block in enumerate(blocks):
        if keep(i):
            kept.append(block)
        else:
            free(block)


def in_threads(count, work):
    barrier, over = threading.Barrier(count + 1), threading.Event()

    def run(i):
        work(i)
        barrier.wait()
        over.wait()
    for i in range(count):
        threading.Thread(target=run, args=(i,), daemon=True).start()
    barrier.wait()


def survivors():
    release(take([5000] * 12000), lambda i: i % 20 == 0)


def random_sizes():
    draw = random.Random(1)
    release(take(draw.randrange(16, 30000) for _ in range(5000)), lambda i: draw.random() < 0.1)


def large():
    release(take([100_000] * 600), lambda i: i % 10 == 0)


def fast_bins():
    """Blocks so small that they are not joined with their neighbours when they are freed, beside each other in many pages."""
    release(take([72] * 600_000), lambda i: i % 4000 == 0)


def pinned_top():
    blocks = take([20_000] * 2500)
    release(blocks, lambda i: i == len(blocks) - 1)


def free_top():
    """The end of the heap is free: below M_TRIM_THRESHOLD free() leaves it."""
    libc.mallopt(-1, 1 << 30)
    release(take([20_000] * 2500), lambda i: False)


def thread_arenas():
    in_threads(8, lambda i: release(take([3000 + 500 * i] * 2000), lambda k: k % 25 == 0))


def freed_by_others():
    """Blocks of the main thread that other threads free: a few hundred stay in their caches."""
    blocks = take([600] * 80_000)
    in_threads(4, lambda i: release(blocks[i::4], lambda k: k % 50 == 0))


def aligned():
    release(take([7000] * 6000, lambda size: memalign(4096, size)), lambda i: i % 9 == 0)


def mapped():
    """Mappings of their own go back by themselves: nothing is left for malloc_trim."""
    release(take([1 << 20] * 60), lambda i: i % 2 == 0)


def objects():
    """What Python gives to malloc itself: big strings and lists, freed in a mixed order."""
    draw = random.Random(2)
    held = [bytearray(draw.randrange(600, 90_000)) for _ in range(1500)] + [[None] * draw.randrange(80, 4000) for _ in range(1500)]
    draw.shuffle(held)
    del held[::2]
    kept.append(held)


def decoded():
    """A big document read and thrown away, but for a part."""
    import json
    text = json.dumps([{"name": "x" * draw, "values": list(range(draw % 700))} for draw in range(600, 2200)])
    kept.append(json.loads(text)[::40])


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    stay = threading.Event()
    for _ in range(int(sys.argv[2])):
        threading.Thread(target=stay.wait, daemon=True).start()
    ready()  # noqa: F821
