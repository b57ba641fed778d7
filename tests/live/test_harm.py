"""A loaded service does not notice that it is frozen again and again.

LOWTIDE_FREEZES: how many freezes in all, over the interpreters at hand (without it as many as fit into a short time).
"""
import contextlib
import os
import signal
import time

import pytest

from freezing import children, descriptors, face, freeze, helpers_of, wait_until
from harness import Target, interpreters

# Threads that compute, sleep, poll and lock, children by fork and by subprocess, collections, signals, and requests with a
# client that checks each answer. Each worker counts its rounds and its faults.
SERVICE = r'''
import gc, os, queue, select, selectors, signal, socket, socketserver, subprocess, sys, threading, time
stop = threading.Event()
rounds, faults = {}, []
lock = threading.Lock()

def worker(body):
    name = body.__name__
    rounds[name] = 0
    def run():
        try:
            while not stop.is_set():
                body()
                rounds[name] += 1
        except BaseException as error:
            faults.append("%s: %r" % (name, error))
    thread = threading.Thread(target=run)
    thread.start()
    return thread

def computing():
    sum(i * i for i in range(2000))

def allocating():
    keep = [{"a": [i], "b": (i, str(i))} for i in range(200)]
    keep.append(keep)

def collecting():
    gc.collect()
    time.sleep(0.05)

def sleeping():
    begun = time.monotonic()
    time.sleep(0.02)
    if time.monotonic() - begun < 0.02:
        faults.append("slept too short")

_r, _w = os.pipe()
def polling():
    begun = time.monotonic()
    poll = select.poll()
    poll.register(_r, select.POLLIN)
    if poll.poll(20) != [] or time.monotonic() - begun < 0.0195:
        faults.append("poll came back early")

_epoll = select.epoll()
_epoll.register(_r, select.EPOLLIN)
def epolling():
    begun = time.monotonic()
    if _epoll.poll(0.02) != [] or time.monotonic() - begun < 0.0195:
        faults.append("epoll came back early")

_never = threading.Lock()
_never.acquire()
def locking():
    begun = time.monotonic()
    if _never.acquire(timeout=0.02) or time.monotonic() - begun < 0.0195:
        faults.append("a lock came early")

_queue = queue.Queue()
def waiting():
    try:
        _queue.get(timeout=0.01)
    except queue.Empty:
        pass

ends = {}
def forking():
    code = rounds["forking"] % 100
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    got, status = os.waitpid(pid, 0)
    if got != pid or not os.WIFEXITED(status) or os.WEXITSTATUS(status) != code:
        faults.append("fork: child %d ended with status %#x, not %d" % (pid, status, code))

def spawning():
    done = subprocess.run(["/bin/sh", "-c", "exit 7"])
    if done.returncode != 7:
        faults.append("subprocess: %r" % done.returncode)
    time.sleep(0.02)

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

server = Server(("127.0.0.1", 0), Echo)
threading.Thread(target=server.serve_forever, daemon=True).start()

def requesting():
    with socket.create_connection(server.server_address) as client:
        stream = client.makefile("rwb")
        for i in range(20):
            stream.write(b"request %d\n" % i)
            stream.flush()
            if stream.readline() != b"REQUEST %d\n" % i:
                faults.append("a request was lost")

signals = [0, 0]
def on_signal(number, frame):
    signals[1] += 1
signal.signal(signal.SIGUSR1, on_signal)

threads = [worker(body) for body in (computing, allocating, collecting, sleeping, polling, epolling, locking, waiting,
                                     forking, spawning, requesting)]
children = []
signal.signal(signal.SIGCHLD, lambda number, frame: children.append(time.monotonic()))
ready()
wait_line()
stop.set()
for thread in threads:
    thread.join()
server.shutdown()
try:
    left = os.waitpid(-1, os.WNOHANG | getattr(os, "__WALL", 0x40000000))
except ChildProcessError:
    left = None
ready(rounds=rounds, faults=faults[:20], left=left, signals=signals[1], caught=len(children))
wait_line()
'''

SECONDS = 4  # per interpreter, without LOWTIDE_FREEZES


def steady(shown: dict) -> dict:
    """What does not come and go with the service's own work."""
    return {name: shown[name] for name in ("TracerPid", "SigBlk", "SigIgn", "SigCgt")}


def rest(pid: int) -> dict:
    """What is steady, at a moment when no signal is blocked for the time of a system()."""
    assert wait_until(lambda: int(face(pid)["SigBlk"], 16) == 0)
    return steady(face(pid))


def test_loaded_service(interpreter):
    wanted = int(os.environ.get("LOWTIDE_FREEZES", "0")) // max(1, len(interpreters()))
    done = sent = 0
    with Target(interpreter, SERVICE) as target:
        before = rest(target.pid)
        begun = time.monotonic()
        while done < wanted or time.monotonic() - begun < SECONDS:
            result = freeze(target.pid, "--probe", "--count", 10)
            # A collection that runs at each of many attempts is told as such, and is no harm.
            assert result.code == 0 or "garbage collection at each" in result.err, f"{result}\n{target.output()}"
            assert "zombie" not in result.err
            done += len(result.freezes)
            os.kill(target.pid, signal.SIGUSR1)
            sent += 1
            assert target.alive(), target.output()
        assert wait_until(lambda: steady(face(target.pid)) == before), (face(target.pid), before)
        target.send()
        facts = target.wait_ready()
        assert facts["faults"] == [], facts["faults"]
        assert facts["left"] is None, "a child is left, or a zombie"
        assert facts["signals"] >= 1
        # Every worker went on working.
        assert all(count > 3 for count in facts["rounds"].values()), facts["rounds"]
        assert facts["caught"] >= 1
        assert wait_until(lambda: not helpers_of(target.pid))
        assert children(target.pid) == {}
        assert not [fd for _, fd in descriptors(target.pid) if "/proc/" in fd or "memfd" in fd]
        print(f"{done} freezes")
    assert done >= 10


@pytest.mark.parametrize("who", ("lowtide", "guard"))
def test_service_survives_a_death_in_mid_look(interpreter, who):
    with Target(interpreter, SERVICE) as target:
        before = rest(target.pid)
        for step in ("stopped", "restored", "held", "given", "reap_stopped"):
            freeze(target.pid, "--probe", "--die", who, "--at", step)
            assert wait_until(lambda: not helpers_of(target.pid))
        assert wait_until(lambda: steady(face(target.pid)) == before), (face(target.pid), before)
        target.send()
        facts = target.wait_ready()
        assert facts["faults"] == [] and facts["left"] is None, facts


WAITS = {
    "sleep": "import time; time.sleep(1.5)",
    "lock": "import threading; l = threading.Lock(); l.acquire(); assert not l.acquire(timeout=1.5)",
    "condition": "import threading; c = threading.Condition(); c.acquire(); assert not c.wait(1.5)",
    "select": "import select; assert select.select([], [], [], 1.5) == ([], [], [])",
    "epoll": "import select; assert select.epoll().poll(1.5) == []",
    "asyncio": "import asyncio; asyncio.run(asyncio.sleep(1.5))",
    "join": "import threading, time; t = threading.Thread(target=time.sleep, args=(1.5,)); t.start(); t.join()",
    "subprocess": "import subprocess; assert subprocess.call(['sleep', '1.5']) == 0",
    "queue": "import queue\ntry:\n    queue.Queue().get(timeout=1.5)\nexcept queue.Empty:\n    pass",
}


def test_python_waits(interpreter):
    """Each kind of wait in a process of its own, all of them at once, each frozen again and again until it ends."""
    with contextlib.ExitStack() as stack:
        targets, begun = {}, {}
        for name, wait in WAITS.items():
            script = ("import time\nready()\nbegun = time.monotonic()\n" + wait.replace("1.5", "3") +
                      "\nready(seconds=time.monotonic() - begun)\n")
            targets[name] = stack.enter_context(Target(interpreter, script))
            begun[name] = time.monotonic()
        spent = dict.fromkeys(targets, 0.0)
        while any(time.monotonic() - one < 2 for one in begun.values()):
            for name, target in targets.items():
                # Those that were begun first end first.
                if time.monotonic() - begun[name] >= 2:
                    continue
                target.wait_asleep(1)
                result = freeze(target.pid, "--probe", "--count", 3)
                assert result.code == 0, (name, result)
                spent[name] += sum(f["begin_ns"] for f in result.freezes) / 1e9
        for name, target in targets.items():
            seconds = target.wait_ready()["seconds"]
            # Begun anew at the last freeze it would end two seconds later.
            assert 2.99 <= seconds < 3 + spent[name] + 1.5, (name, seconds, spent[name])
