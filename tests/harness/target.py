"""A Python process for lowtide to look at.

    with Target(interpreter, "held = [{} for _ in range(1000)]\\nready(count=len(held))") as target:
        target.pid, target.facts["count"]
        run_lowtide("types", "--json", target.pid)

The script calls `ready(**facts)` when it is set up: `facts` (JSON) are the oracle's answers, computed by
the target itself; then it goes on, or, when it ends there, sleeps until it is killed. `wait_line()` inside
the script waits for `target.send()`, so that a test can lead the target from one state to the next.
"""
from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from .pythons import Interpreter

# Given to the script. It leaves three names in builtins and nothing in the script's own namespace.
PRELUDE = r'''
import builtins, os, sys
def _install(out_path, in_path):
    state = {}
    def ready(**facts):
        import json
        facts.setdefault("pid", os.getpid())
        with open(out_path, "w") as out:
            out.write(json.dumps(facts) + "\n")
    def wait_line():
        if "in" not in state:
            state["in"] = open(in_path)
        return state["in"].readline().rstrip("\n")
    def sleep_forever():
        import time
        while True:
            time.sleep(3600)
    builtins.ready, builtins.wait_line, builtins.sleep_forever = ready, wait_line, sleep_forever
_install(sys.argv[1], sys.argv[2])
_path = sys.argv[3]
sys.argv[:] = sys.argv[3:]
sys.path[0] = os.path.dirname(_path)
with open(_path) as _file:
    _code = compile(_file.read(), _path, "exec")
del _install, _file
__file__ = _path
del _path
exec(_code, globals())
sleep_forever()
'''


def reset_signals() -> None:
    """In the child, before exec: default dispositions, nothing blocked (a background shell leaves SIGINT ignored)."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("PYTHON", "VIRTUAL_ENV", "PYTEST", "__PYVENV", "LD_"))}
    environment.update(PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0", LC_ALL="C.UTF-8")
    environment.update(extra or {})
    return environment


_libc = ctypes.CDLL(None, use_errno=True)


def _prepare_target() -> None:
    """Where Yama lets only a parent look at a process, a target lets anyone; this outlives exec."""
    reset_signals()
    _libc.prctl(0x59616D61, ctypes.c_ulong(-1 & (1 << 64) - 1), 0, 0, 0)  # PR_SET_PTRACER, any


class TargetFailed(Exception):
    """The target ended, or was not ready in time; the message holds what it wrote."""


class Target:
    """A context manager: inside the block the process runs and is ready; after it, it is killed and reaped."""

    def __init__(self, interpreter: Interpreter, script: str | Path, *arguments: str, timeout: float = 60,
                 env: dict[str, str] | None = None, options: tuple[str, ...] = (), wrap: tuple[str, ...] = (),
                 wait: bool = True, container: bool = False, binds: tuple[str, ...] = ()):
        """`script`: source text, or the Path of a file. `options`: for the interpreter (-X, -O ...).
        `wrap`: a command that execs what follows it. `wait`: block until the script calls ready().
        `container`: see Interpreter.argv(); `pid` is the outer one, facts["pid"] the inner one, 1.
        `binds`: folders that an interpreter in a root of its own sees too."""
        self.interpreter = interpreter
        self.facts: dict = {}
        self.pid = 0
        self.process: subprocess.Popen | None = None
        self._script, self._arguments, self._timeout = script, arguments, timeout
        self._env, self._options, self._wrap, self._wait = env, options, wrap, wait
        self._container = container
        self._binds = tuple(map(str, binds))
        self._out = self._in = -1

    def __enter__(self) -> "Target":
        self.directory = Path(tempfile.mkdtemp(prefix="lowtide-target-"))
        try:
            self._start()
            if self._wait:
                self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _start(self) -> None:
        self.directory.chmod(0o755)
        prelude = self.directory / "prelude.py"
        prelude.write_text(PRELUDE)
        binds = [str(self.directory), *self._binds]
        if isinstance(self._script, Path):
            script = self._script.resolve()
            binds.append(str(script.parent))
        else:
            script = self.directory / "target.py"
            script.write_text(self._script)
        out, line = self.directory / "ready", self.directory / "lines"
        os.mkfifo(out)
        os.mkfifo(line)
        # Both ends stay open here, so neither side ever blocks in open() or meets an early end of file.
        self._out = os.open(out, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._in = os.open(line, os.O_RDWR | os.O_CLOEXEC)
        command = self.interpreter.argv(*self._options, str(prelude), str(out), str(line), str(script),
                                        *map(str, self._arguments), binds=tuple(binds), container=self._container)
        self.log = self.directory / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*self._wrap, *command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=clean_environment(self._env), close_fds=True,
                                            start_new_session=True, preexec_fn=_prepare_target)
        self.pid = self.process.pid

    def output(self) -> str:
        """What the target has written so far, both streams."""
        return self.log.read_text(errors="replace")

    def wait_ready(self, timeout: float | None = None) -> dict:
        """Waits for the next ready() of the script; its facts are in `facts` then."""
        deadline = time.monotonic() + (timeout or self._timeout)
        got = b""
        while not got.endswith(b"\n"):
            if self.process.poll() is not None:
                raise TargetFailed(f"the target ended with {self.process.returncode}:\n{self.output()}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TargetFailed(f"the target was not ready in time:\n{self.output()}")
            if select.select([self._out], [], [], min(left, 0.1))[0]:
                got += os.read(self._out, 1 << 20)
        self.facts = json.loads(got.splitlines()[-1])
        if self._container:
            self.pid = int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())
        return self.facts

    def send(self, line: str = "go") -> None:
        """Lets a wait_line() of the script return `line`."""
        os.write(self._in, line.encode() + b"\n")

    def state(self) -> str:
        """The state letter of /proc/PID/stat (S, R, T, t, Z ...)."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def wait_asleep(self, timeout: float = 10) -> None:
        """Returns once the main thread sleeps: a script that called ready() may still be on its way."""
        deadline = time.monotonic() + timeout
        while self.state() != "S" and time.monotonic() < deadline:
            time.sleep(0.005)

    def settled(self) -> bool:
        """Alive and, now or within seconds, asleep: a target that is neither stopped nor traced."""
        self.wait_asleep()
        return self.alive() and self.state() == "S"

    def status(self, field: str) -> int:
        """A number of /proc/PID/status, such as VmRSS or VmHWM (KiB) or Threads."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """Kills every process of the target's session, reaps the target, removes its folder."""
        if self.process is not None:
            end_session(self.process.pid)
            self.process.wait(30)
        for fd in (self._out, self._in):
            if fd >= 0:
                os.close(fd)
        self._out = self._in = -1
        shutil.rmtree(self.directory, ignore_errors=True)


def become_subreaper() -> None:
    """Orphans of what the tests start come to this process, which reaps them: init may be slow or may not reap."""
    _libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _session_members(session: int) -> list[tuple[int, str]]:
    """PID and state of each process of the session, zombies included."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                members.append((int(name), fields[0]))
    return members


def end_session(session: int, timeout: float = 10) -> None:
    """Kills all processes of a session, by PID and never by group, and reaps all but its leader."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        running = False
        for pid, state in _session_members(session):
            if state not in "ZX":
                running = True
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            elif pid != session:
                try:
                    running |= os.waitpid(pid, os.WNOHANG)[0] == 0
                except ChildProcessError:
                    pass  # not ours (yet): its parent is being killed too
        if not running:
            return
        time.sleep(0.002)


become_subreaper()
