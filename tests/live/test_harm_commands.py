"""Each command that looks at a process, ended at a random moment: the process comes to no harm, and no half file has the final name.

LOWTIDE_HARM_SEED: the moments of an earlier run, which a failure prints.
"""
import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from freezing import face, helpers_of, stat_fields, wait_until

import pytest
from harness import Target, interpreters, lowtide_path, reset_signals
from harness.heapsnapshot import HeapSnapshot
from harness.target import clean_environment

# A heap of some size, and threads that allocate, collect, fork, start programs, hand work to a child that stays, and wait.
# Each checks its own results. A line "rest" lets every one of them do two rounds more, park, and tell.
SERVICE = r'''
import gc, os, queue, select, subprocess, threading, time

class Order:
    def __init__(self, number):
        self.number, self.lines = number, ["line %d" % number]

held = {i: Order(i) for i in range(15000)}

to_child, to_parent = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.close(to_child[1])
    with os.fdopen(to_child[0], "rb") as asked, os.fdopen(to_parent[1], "wb") as answers:
        for line in asked:
            answers.write(line.upper())
            answers.flush()
    os._exit(0)
os.close(to_child[0])
os.close(to_parent[1])
asking, answers = os.fdopen(to_child[1], "wb"), os.fdopen(to_parent[0], "rb")

rounds, faults = {}, []
condition = threading.Condition()
wanted, parked, resting = {}, set(), False

def worker(body):
    name = body.__name__
    rounds[name] = 0
    def run():
        try:
            while True:
                body()
                rounds[name] += 1
                with condition:
                    while resting and rounds[name] >= wanted[name]:
                        parked.add(name)
                        condition.notify_all()
                        condition.wait()
                    parked.discard(name)
        except BaseException as error:
            faults.append("%s: %r" % (name, error))
    threading.Thread(target=run, daemon=True).start()

def allocating():
    keep = [{"a": [i], "b": (i, str(i))} for i in range(300)]
    keep.append(keep)
    if sum(entry["a"][0] for entry in keep[:-1]) != 44850:
        faults.append("a list has other content")
    time.sleep(0.001)

def collecting():
    gc.collect()
    time.sleep(0.1)

def changing():
    for number in range(0, 15000, 500):
        held[number] = Order(number)
    if len(held) != 15000 or any(held[number].number != number for number in range(0, 15000, 77)):
        faults.append("the dict has other content")
    time.sleep(0.002)

def forking():
    code = rounds["forking"] % 100
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    got, status = os.waitpid(pid, 0)
    if got != pid or status != code << 8:
        faults.append("child %d ended with status %#x, not %#x" % (pid, status, code << 8))
    time.sleep(0.01)

def spawning():
    if subprocess.run(["/bin/sh", "-c", "exit 7"]).returncode != 7:
        faults.append("a program ended with another code")
    time.sleep(0.05)

def handing():
    asking.write(b"work %d\n" % rounds["handing"])
    asking.flush()
    if answers.readline() != b"WORK %d\n" % rounds["handing"]:
        faults.append("the child gave another answer")
    time.sleep(0.001)

never = threading.Lock()
never.acquire()
def waiting():
    begun = time.monotonic()
    if never.acquire(timeout=0.01) or time.monotonic() - begun < 0.01:
        faults.append("a lock came early")
    begun = time.monotonic()
    if select.select([], [], [], 0.01) != ([], [], []) or time.monotonic() - begun < 0.0099:
        faults.append("select came early")

def rest():
    global resting
    with condition:
        wanted.update((name, count + 2) for name, count in rounds.items())
        parked.clear()
        resting = True
        went_on = condition.wait_for(lambda: faults or len(parked) == len(rounds), 60)
    wall = getattr(os, "__WALL", 0x40000000)
    try:
        left = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | wall)
    except ChildProcessError:
        left = "the child has gone"
    ready(went_on=went_on, rounds=rounds, faults=faults[:20], left=str(left), child=child)

for body in (allocating, collecting, changing, forking, spawning, handing, waiting):
    worker(body)
rest()
while True:
    line = wait_line()
    if line == "work":
        with condition:
            resting = False
            condition.notify_all()
    elif line == "rest":
        rest()
'''

# {pid}, {before}: a snapshot file; {file}: what -o names.
COMMANDS = {
    "snapshot": ["snapshot", "-o", "{file}.tide", "{pid}"],
    "heapsnapshot": ["snapshot", "-o", "{file}.heapsnapshot", "{pid}"],
    "leaks": ["leaks", "--json", "-d", "2", "-o", "{file}.json", "{pid}"],
    "retained": ["retained", "--json", "{pid}"],
    "path": ["path", "{pid}", "__main__.Order"],
    "object": ["object", "{pid}", "sys.modules['__main__'].held"],
    "types": ["types", "--retained", "{pid}"],
    "sql": ["sql", "{pid}", "SELECT type, count(*), sum(retained) FROM objects GROUP BY type ORDER BY 3"],
    "doctor": ["doctor", "-o", "{file}.html", "{pid}"],
    "diff": ["diff", "{before}", "{pid}"],
    "rss": ["rss", "--json", "{pid}"],
    "gc": ["gc", "--json", "-d", "1", "{pid}"],
    "trim": ["trim", "--json", "{pid}"],
    "trim --watch": ["trim", "--json", "--watch", "--interval", "1", "--at-least", "0", "-d", "2", "{pid}"],
}
# What watches the collector, or lets malloc_trim() be called, freezes nothing: it has no --mode.
WITHOUT_MODE = ("gc", "trim", "trim --watch")
LASTS = {"leaks": 2.4, "gc": 1.3, "trim --watch": 2.4}  # seconds; the others 0.3
# None: standard output closed by its reader.
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, None]
OLD = "as it was before\n"


def is_complete(lowtide, path: Path) -> bool:
    """Whether the file is a whole one of its kind, or as it was."""
    if path.stat().st_size == len(OLD):
        return path.read_text() == OLD
    if path.suffix == ".tide":
        return lowtide("types", "--all", path).code == 0 and lowtide("retained", "--depth", "2", path).code == 0
    if path.suffix == ".heapsnapshot":
        return len(HeapSnapshot(path)) > 15000
    if path.suffix == ".json":
        return json.loads(path.read_text())["command"] == "leaks"
    return path.read_text().rstrip().endswith("</html>")


def tracers(pid: int) -> set[str]:
    """TracerPid of each of its threads."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found.update(line.split()[1] for line in (task / "status").read_text().splitlines() if line.startswith("TracerPid"))
    return found


def copies(pid: int) -> list[int]:
    """Children without an exit signal, zombies too: the target makes none such."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                fields = stat_fields(Path("/proc", name, "stat"))
                if int(fields[1]) == pid and int(fields[35]) == 0:
                    found.append(int(name))
    return found


def rooms(pid: int) -> int:
    """Mappings of the size of the stack that a trim has for its thread (side_call.c)."""
    ends = [line.split()[0].split("-") for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return sum(int(end, 16) - int(start, 16) == (1 << 20) + (64 << 10) for start, end in ends)


def has_child(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    return False


class Service:
    """The target, and what is true of it at rest."""

    def __init__(self, target: Target):
        self.target, self.rounds, self.face = target, target.facts["rounds"], None
        self.work()
        self.check_at_rest()
        self.work()

    def work(self) -> None:
        self.target.send("work")

    def rest(self) -> dict:
        """Descriptors, children, threads, signals. What it has just told us through may still be open."""
        shown = face(self.target.pid)
        shown["fds"] = [fd for fd in shown["fds"] if not fd[1].endswith("/ready")]
        return shown

    def is_free(self) -> bool:
        pid = self.target.pid
        return (tracers(pid) == {"0"} and not copies(pid) and not helpers_of(pid, "lowtide") and rooms(pid) == 0 and
                tracers(self.target.facts["child"]) == {"0"})

    def check_free(self) -> None:
        pid = self.target.pid
        assert self.target.alive(), self.target.output()
        assert wait_until(self.is_free), (tracers(pid), copies(pid), helpers_of(pid, "lowtide"), rooms(pid))

    def check_at_rest(self) -> None:
        """It did more of its work after all that was done to it, and has no more than before."""
        self.target.send("rest")
        facts = self.target.wait_ready(90)
        assert facts["went_on"] and facts["faults"] == [] and facts["left"] == "None", (facts, self.target.output())
        assert all(count >= self.rounds[name] + 2 for name, count in facts["rounds"].items()), (self.rounds, facts)
        self.rounds = facts["rounds"]
        self.face = self.face or self.rest()
        assert wait_until(lambda: self.rest() == self.face), (self.rest(), self.face)
        self.check_free()


class Striker:
    def __init__(self, lowtide, service: Service, folder: Path, before: Path, chance: random.Random):
        self.lowtide, self.service, self.folder, self.before, self.chance = lowtide, service, folder, before, chance
        self.felt = dict.fromkeys(ENDS, 0)

    def words(self, command: str) -> list[str]:
        return [word.format(pid=self.service.target.pid, before=self.before, file=self.folder / "out") for word in COMMANDS[command]]

    def start(self, command: str, mode: str, stdout) -> subprocess.Popen:
        words = self.words(command)
        words[1:1] = ["--mode", mode] if mode else []
        return subprocess.Popen([str(lowtide_path()), *words], stdin=subprocess.DEVNULL,
                                stdout=stdout, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=reset_signals,
                                env=clean_environment({"TMPDIR": str(self.folder)}), cwd=self.folder, text=True)

    def moment(self, command: str, mode: str, file: Path | None):
        """What to wait for before the strike, and how long after that."""
        moments = ["any"] + (["frozen"] * 2 if mode in ("fork", "stop") or command == "trim" else []) + (["writing"] if command == "snapshot" else [])
        which = self.chance.choice(moments)
        if which == "any":
            return which, lambda process: True, self.chance.uniform(0, LASTS.get(command, 0.3))
        if which == "frozen":
            return which, lambda process: has_child(process.pid), self.chance.uniform(0, 0.02)
        return which, lambda process: os.path.exists(f"{file}.unfinished"), self.chance.uniform(0, 0.02)

    def strike(self, command: str, end: int | None) -> None:
        mode = self.chance.choice(["fork", "fork", "fork", "stop", "live"]) if command not in WITHOUT_MODE else ""
        file = next((Path(word) for word in self.words(command) if word.startswith(str(self.folder))), None)
        if file is not None and self.chance.random() < 0.5:
            file.write_text(OLD)
        reader, writer = os.pipe()
        os.close(reader)
        process = self.start(command, mode, writer if end is None else subprocess.DEVNULL)
        os.close(writer)
        which, come, pause = self.moment(command, mode, file)
        try:
            while end is not None and process.poll() is None and not come(process):
                time.sleep(0.0005)
            if end is not None:
                time.sleep(pause)
                process.send_signal(end)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
        what = f"{command} --mode {mode}, {end!r} at the moment '{which}' + {pause:.4f} s, {process.returncode}: {said}"
        print(what)
        self.check_end(command, end, process.returncode, said, what)
        self.service.check_free()
        self.check_files(command, end, file, what)

    def check_end(self, command: str, end: int | None, code: int, said: str, what: str) -> None:
        if code == 70 and ("garbage collection at each" in said or "it was not safe at any" in said):
            return
        if end is None:
            # With a file it has nothing to say, or its last line does not get out.
            assert code == 6 and "standard output was closed" in said or code == 0 and "-o" in COMMANDS[command], what
            self.felt[end] += code == 6
            return
        assert code in (0, -end), what
        self.felt[end] += code != 0

    def check_files(self, command: str, end: int | None, file: Path | None, what: str) -> None:
        left = sorted(os.listdir(self.folder))
        if file is not None and file.name in left:
            assert is_complete(self.lowtide, file), what
            left.remove(file.name)
        # The one that cannot clean up; and only the name that the next writer replaces, or that of the last moment before the rename.
        if end == signal.SIGKILL and file is not None:
            left = [name for name in left if name != f"{file.name}.unfinished" and not
                    (name.startswith(file.name) and name.endswith(".tmp"))]
        assert left == [], (left, what)
        if file is not None and os.path.exists(f"{file}.unfinished"):
            again = self.start(command, "live", subprocess.DEVNULL)
            _, said = again.communicate(timeout=120)
            assert again.returncode == 0 and os.listdir(self.folder) == [file.name], (said, os.listdir(self.folder))
            assert file.stat().st_size > len(OLD) and is_complete(self.lowtide, file)
        for name in os.listdir(self.folder):
            (self.folder / name).unlink()


def test_ended_at_any_moment(interpreter, lowtide, tmp_path):
    seed = int(os.environ.get("LOWTIDE_HARM_SEED") or int.from_bytes(os.urandom(4), "little"))
    print(f"LOWTIDE_HARM_SEED={seed}")
    chance = random.Random(f"{seed} {interpreter.id}")
    folder, before = tmp_path / "out", tmp_path / "before.tide"
    folder.mkdir()
    with Target(interpreter, SERVICE) as target:
        service = Service(target)
        result = lowtide("snapshot", "-o", before, target.pid)
        assert result.code == 0, result
        striker = Striker(lowtide, service, folder, before, chance)
        for number, command in enumerate(COMMANDS):
            # Two of the four with each interpreter; over all of them each command meets each.
            for end in ENDS[(number + interpreters().index(interpreter)) % 2::2]:
                striker.strike(command, end)
            service.check_at_rest()
            service.work()
    # If all of them had ended before they were struck, nothing was tried.
    assert striker.felt.pop(None) and any(striker.felt.values()), striker.felt
