"""Every CPython that the tests can run on: those of PATH and pyenv, and those in the Debian testing root.

Standard library only: scripts/pythons.py uses it before anything is installed.
"""
from __future__ import annotations

import functools
import glob
import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OLDEST = (3, 9)
NEWEST = (3, 15)
# Versions that `make pythons` gets from Debian testing when the machine lacks them.
DEBIAN_TESTING = ("3.13", "3.14", "3.15")
# What the libraries of the leak corpus are pinned for.
CORPUS_MINORS = ("3.11", "3.12", "3.13")
CORPUS_REQUIREMENTS = REPOSITORY / "tests" / "live" / "leaks" / "requirements.txt"
# Those of the workloads of `rss`, which run on an interpreter of each of these.
WORKLOAD_MINORS = ("3.11", "3.13", "3.15")
WORKLOAD_REQUIREMENTS = REPOSITORY / "tests" / "live" / "rss" / "requirements.txt"

PROBE = (
    "import json,os,sys,sysconfig\n"
    "print(json.dumps({'version':list(sys.version_info[:3]),'level':sys.version_info[3],"
    "'serial':sys.version_info[4],'name':sys.implementation.name,"
    "'executable':os.path.realpath(sys.executable),"
    "'venv':sys.prefix!=sys.base_prefix,'debug':bool(sysconfig.get_config_var('Py_DEBUG')),"
    "'free_threaded':bool(sysconfig.get_config_var('Py_GIL_DISABLED')),"
    "'shared':'/libpython3' in open('/proc/self/maps').read(),"
    "'include':sysconfig.get_paths()['include']}))\n"
)


@dataclass(frozen=True)
class Interpreter:
    """One CPython. `path` and `include` are as seen inside `root`, when there is one."""

    version: tuple[int, int, int]
    path: str
    include: str
    shared: bool
    label: str
    root: str | None = None

    @property
    def minor(self) -> str:
        return "%d.%d" % self.version[:2]

    @property
    def id(self) -> str:
        return self.label

    @property
    def include_dir(self) -> Path:
        """The folder of Python.h in this mount namespace; it may not exist."""
        return Path((self.root or "") + self.include)

    def argv(self, *arguments: str, binds: tuple[str, ...] = (), container: bool = False) -> list[str]:
        """The command that runs this interpreter.

        One in a root of its own runs in a private mount namespace, where the repository and `binds`
        have the same path as outside: all its mounts end with the process. No process stays
        between: the process that is started becomes the interpreter. As a `container` (only for one
        with a root) it also has a PID namespace, in which it is process 1, and no way to see the
        outer root; then it is the one child of the process that is started.
        """
        if self.root is None:
            assert not container, "only an interpreter with a root of its own runs as a container"
            return [self.path, *arguments]
        return enter(self.root, [self.path, *arguments], (str(REPOSITORY), *binds), container)


def enter(root: str, command: list[str], binds: tuple[str, ...] = (), container: bool = False) -> list[str]:
    """`command` in `root`, with /proc and /dev there and `binds` at the same path, in a private mount namespace."""
    inner = shlex.quote(root)
    steps = ["set -e", f"mount --bind {inner} {inner}", f"cd {inner}"]
    steps.append("mount -t proc proc ./proc" if container else "mount --rbind /proc ./proc")
    steps.append("mount --rbind /dev ./dev")
    for path in binds:
        outer = shlex.quote(os.path.abspath(path))
        steps += [f"mkdir -p .{outer}", f"mount --bind {outer} .{outer}"]
    if container:
        # The programs are the inner root's from here on.
        steps += ["mkdir -p mnt/outer", "pivot_root . mnt/outer", "umount -l /mnt/outer", 'exec chroot / "$@"']
    else:
        steps.append('exec chroot . "$@"')
    options = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    options += ["--pid", "--fork", "--kill-child"] if container else []
    return ["unshare", *options, "--mount", "--propagation", "private", "--", "sh", "-c", "; ".join(steps), "sh", *command]


def _shared(name: str) -> Path:
    """A git-ignored folder here, else, when this is a worktree of git, that of the main one."""
    own = REPOSITORY / name
    git = REPOSITORY / ".git"
    if not own.exists() and git.is_file():
        found = re.match(r"gitdir: (.*)/\.git/worktrees/", git.read_text())
        if found and Path(found.group(1), name).is_dir():
            return Path(found.group(1), name)
    return own


def pythons_dir() -> Path:
    """Where fetched interpreters are: LOWTIDE_PYTHONS, else .pythons here or in the main worktree."""
    named = os.environ.get("LOWTIDE_PYTHONS")
    return Path(named).resolve() if named else _shared(".pythons")


def corpus_dir() -> Path:
    """The environment that scripts/corpus.py makes."""
    return _shared(".venv-corpus")


def workload_dir(minor: str) -> Path:
    """The libraries of the workloads for a version, as a folder of PYTHONPATH."""
    return corpus_dir().resolve() / "workloads" / minor


def has_workload_libraries(minor: str) -> bool:
    stamp = workload_dir(minor) / ".complete"
    return stamp.is_file() and stamp.read_text() == WORKLOAD_REQUIREMENTS.read_text()


@functools.lru_cache(maxsize=None)
def musl_interpreter() -> Interpreter | None:
    """The CPython on musl that scripts/musl.sh makes; None when it was not run."""
    path = pythons_dir() / "musl" / "build" / "python"
    try:
        # Without its extension modules it cannot tell all that the others are asked.
        done = subprocess.run([path, "-I", "-c", "import sys; print(*sys.version_info[:3])"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = tuple(map(int, done.stdout.split()))
    return Interpreter(version, str(path), "", False, "musl-%d.%d.%d" % version)


@functools.lru_cache(maxsize=None)
def corpus_interpreter() -> Interpreter | None:
    """The CPython of that environment; None when it is not there or not complete."""
    path = corpus_dir() / "bin" / "python"
    stamp = corpus_dir() / ".complete"
    if not stamp.is_file() or stamp.read_text() != CORPUS_REQUIREMENTS.read_text():
        return None
    for one in interpreters():
        if one.root is None and os.path.realpath(path) == one.path:
            return Interpreter(one.version, str(path), one.include, one.shared, "corpus-" + one.label)
    return None


def _probe(command: list[str]) -> dict | None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "__PYVENV"))}
    try:
        done = subprocess.run([*command, "-I", "-c", PROBE], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=30, env=environment, check=False)
        facts = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    minor = tuple(facts["version"][:2])
    wanted = facts["name"] == "cpython" and OLDEST <= minor <= NEWEST
    if not wanted or facts["venv"] or facts["debug"] or facts["free_threaded"] or facts["level"] != "final":
        return None
    return facts


def _candidates() -> list[str]:
    found = []
    for directory in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/bin", "/usr/local/bin"]:
        for name in ["python3"] + ["python3.%d" % i for i in range(OLDEST[1], NEWEST[1] + 1)]:
            path = os.path.join(directory, name)
            if directory and os.access(path, os.X_OK) and "/shims" not in directory:
                found.append(path)
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found += sorted(glob.glob(os.path.join(pyenv, "versions", "3.*", "bin", "python3")))
    return found


@functools.lru_cache(maxsize=None)
def interpreters() -> tuple[Interpreter, ...]:
    """All that can be run here, oldest first; each has its own label, such as "3.13.15"."""
    found = []
    seen = set()
    for path in _candidates():
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        facts = _probe([path])
        if facts is None or facts["executable"] in {f["executable"] for _, f in found}:
            continue
        found.append((None, facts))
    root = pythons_dir() / "testing"
    if root.is_dir():
        for minor in DEBIAN_TESTING:
            path = "/usr/bin/python" + minor
            facts = _probe(enter(str(root), [path])) if Path(str(root) + path).exists() else None
            if facts is not None:
                found.append((str(root), facts))
    found.sort(key=lambda item: (item[1]["version"], item[0] or "", item[1]["executable"]))
    result = []
    for root_of, facts in found:
        base = label = "%d.%d.%d" % tuple(facts["version"])
        again = 2
        while label in {i.label for i in result}:
            label = f"{base}-{again}"
            again += 1
        result.append(Interpreter(tuple(facts["version"]), facts["executable"], facts["include"],
                                  facts["shared"], label, root_of))
    return tuple(result)


def missing_minors() -> list[str]:
    """Minor versions between the oldest and the newest that no interpreter here has."""
    have = {i.minor for i in interpreters()}
    return [m for m in ("3.%d" % i for i in range(OLDEST[1], NEWEST[1] + 1)) if m not in have]
