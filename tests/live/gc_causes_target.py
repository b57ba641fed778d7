"""Starts collections in many ways and keeps its own log of why: one line of JSON a collection, in the file of argv[1].

argv[2] is the folder of the extension `collects`, or "". Lines that start a collection end with a comment `# way: NAME`.
"""
import asyncio
import atexit
import ctypes
import functools
import gc
import json
import os
import signal
import sys
import threading
import time
import tracemalloc
import unittest
import weakref

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
with open(__file__) as source:
    LINES = {line.split("# way: ")[1].strip(): number for number, line in enumerate(source, 1) if "# way: " in line}

# What is true of the collections from here on: the way, its cause (None: automatic), the end of the file's name, the line.
truth = ["none", None, None, None]


def note(phase, info, started=[0], clock=time.monotonic_ns, text=json.dumps, write=os.write):
    if phase == "start":
        started[0] = clock()
        return
    way, cause, file, line = truth
    if cause is None:
        cause = "threshold-0" if INCREMENTAL else "threshold-%d" % info["generation"]
    write(log, (text({"start": started[0], "end": clock(), "way": way, "cause": cause, "file": file, "line": line,
                      "generation": info["generation"]}) + "\n").encode())


QUIET = (1000000, 1000, 1000)
INCREMENTAL = gc.get_threshold()[2] == 0
WAYS = []


def way(function):
    WAYS.append(function)
    return function


def called(name, file=os.path.basename(__file__)):
    truth[:] = [name, "explicit", file, LINES.get(name)]


def automatic(name):
    truth[:] = [name, None, None, None]


@way
def from_function():
    called("function")
    gc.collect()  # way: function


class Cart:
    def empty(self):
        gc.collect()  # way: method

    @property
    def total(self):
        return gc.collect()  # way: property

    def __enter__(self):
        return self

    def __exit__(self, *_):
        gc.collect()  # way: exit

    def __del__(self):
        if truth[0] == "finalizer":
            gc.collect()  # way: finalizer


@way
def from_method():
    cart = Cart()
    called("method")
    cart.empty()


@way
def from_property():
    cart = Cart()
    called("property")
    cart.total


@way
def from_exit():
    called("exit")
    with Cart():
        pass


@way
def from_finalizer():
    cart = Cart()
    called("finalizer")
    del cart


@way
def from_lambda():
    run = lambda: gc.collect()  # way: lambda
    called("lambda")
    run()


@way
def from_comprehension():
    called("comprehension")
    [gc.collect() for _ in range(2)]  # way: comprehension


@way
def from_generator():
    def steps():
        yield 1
        gc.collect()  # way: generator
        yield 2
    called("generator")
    list(steps())


@way
def from_partial():
    run = functools.partial(gc.collect, 2)
    called("partial")
    run()  # way: partial


@way
def from_map():
    called("map")
    list(map(gc.collect, [2, 2]))  # way: map


@way
def from_sort_key():
    called("sort key")
    sorted([2, 1], key=lambda _: gc.collect())  # way: sort key


@way
def from_exec():
    called("exec", "<string>")
    truth[3] = 2
    exec("import gc\ngc.collect()\n", {})


def later():
    gc.collect()  # way: thread


@way
def from_thread():
    called("thread")
    thread = threading.Thread(target=later)
    thread.start()
    thread.join()


def sweep():
    gc.collect()  # way: timer


@way
def from_timer():
    called("timer")
    timer = threading.Timer(0.01, sweep)
    timer.start()
    timer.join()


@way
def from_bare_timer():
    called("bare timer", "threading.py")
    timer = threading.Timer(0.01, gc.collect)
    timer.start()
    timer.join()


def on_signal(number, frame):
    gc.collect()  # way: signal


@way
def from_signal():
    signal.signal(signal.SIGUSR1, on_signal)
    called("signal")
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(1000):
        pass


def on_gone(reference):
    gc.collect()  # way: weak reference


@way
def from_weakref():
    cart = Cart()
    reference = weakref.ref(cart, on_gone)
    called("weak reference")
    del cart
    assert reference() is None


async def handle():
    await asyncio.sleep(0)
    called("task")
    gc.collect()  # way: task


@way
def from_asyncio():
    truth[:] = ["asyncio", None, None, None]
    asyncio.run(handle())


async def call_soon():
    called("call soon")
    asyncio.get_running_loop().call_soon(gc.collect)
    await asyncio.sleep(0.01)


@way
def from_call_soon():
    truth[:] = ["asyncio", None, None, None]
    asyncio.run(call_soon())  # way: call soon


def post_request(worker):
    gc.collect()  # way: hook


@way
def from_hook():
    import server
    called("hook")
    server.serve(post_request)


@way
def from_library():
    import server
    called("library", "server.py")
    truth[3] = server.LINE
    server.clean()


@way
def from_ctypes():
    called("ctypes")
    ctypes.pythonapi.PyGC_Collect()  # way: ctypes


@way
def from_extension():
    if sys.argv[2]:
        import collects
        called("extension")
        collects.collect()  # way: extension


@way
def from_c_thread():
    if sys.argv[2]:
        import collects
        called("C thread", None)
        collects.collect_in_thread()


@way
def from_unittest():
    class Case(unittest.TestCase):
        def test_it(self):
            gc.collect()  # way: unittest

    called("unittest")
    Case("test_it").run(unittest.TestResult())


@way
def from_tracemalloc():
    tracemalloc.start()
    called("tracemalloc")
    gc.collect()  # way: tracemalloc
    tracemalloc.stop()


@way
def young_ones():
    called("collect 0")
    gc.collect(0)  # way: collect 0
    called("collect 1")
    gc.collect(1)  # way: collect 1


@way
def after_disable():
    gc.disable()
    called("disabled")
    gc.collect()  # way: disabled
    gc.enable()


@way
def near_the_threshold():
    called("near")
    gc.collect()  # way: near
    gc.set_threshold(2000, 1000, 1000)
    held = [[] for _ in range(1500)]
    called("near 0")
    gc.collect(0)  # way: near 0
    held.clear()


def allocate(count):
    return [[] for _ in range(count)]


@way
def threshold_0():
    automatic("threshold 0")
    gc.set_threshold(500, 1000, 1000)
    allocate(3000)


@way
def threshold_1():
    automatic("threshold 1")
    gc.set_threshold(500, 2, 1000)
    allocate(6000)


@way
def threshold_2():
    automatic("threshold 2")
    gc.set_threshold(2000, 1, 1)
    kept = []
    for _ in range(100):
        kept.extend(allocate(3000))


@way
def threshold_in_thread():
    automatic("threshold in thread")
    gc.set_threshold(500, 1000, 1000)
    thread = threading.Thread(target=allocate, args=(3000,))
    thread.start()
    thread.join()


@way
def one_call_of_c():
    text = json.dumps([[i] for i in range(30000)])
    automatic("json.loads")
    gc.set_threshold(700, 10, 10)
    json.loads(text)


@way
def in_subinterpreter():
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            return
    truth[:] = ["subinterpreter", "explicit", None, None]
    code = """
import gc, json, os, time
def note(phase, info, started=[0]):
    if phase == "start":
        started[0] = time.monotonic_ns()
    else:
        os.write(%d, (json.dumps({"start": started[0], "end": time.monotonic_ns(), "way": "subinterpreter",
                                  "cause": "explicit", "file": None, "line": 12, "generation": 2}) + chr(10)).encode())
gc.set_threshold(1000000)
gc.callbacks.append(note)
def run():
    gc.collect()
run()
gc.callbacks.clear()
""" % log
    one = interpreters.create()
    if hasattr(interpreters, "exec"):
        interpreters.exec(one, code)
    else:
        interpreters.run_string(one, code)
    # It collects at its end, as every interpreter does.
    interpreters.destroy(one)


def at_exit():
    called("at exit")
    gc.collect()  # way: at exit
    truth[:] = ["shutdown", "shutdown", None, None]


held = [[i] for i in range(200000)]
gc.collect()
gc.set_threshold(*QUIET)
atexit.register(at_exit)
gc.callbacks.append(note)
ready()
wait_line()
for one in WAYS:
    truth[:] = ["between", None, None, None]
    gc.set_threshold(*QUIET)
    one()
    truth[:] = ["between", None, None, None]
    gc.set_threshold(*QUIET)
    time.sleep(0.01)
raise SystemExit
