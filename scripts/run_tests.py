#!/usr/bin/env python3
"""Runs every suite: the C programs that Meson knows as tests, then each folder of pytest tests.

Prints one line a suite, and as its very last line `N passed, N failed, N skipped` over all of them. A
program that crashes, hangs or leaves something behind counts as failed. Exit code 1 when anything failed.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
sys.dont_write_bytecode = True
from harness import residue  # noqa: E402
from harness.target import end_session, reset_signals  # noqa: E402

PYTEST_FOLDERS = ("project", "cli", "live", "agent", "python")
PYTEST_TIMEOUT = 4200
# Tests of a live process share a noisy machine with each other: this many failures of a folder are tried
# once more, alone, and named in the output when they pass then. What tests that the target comes to no harm
# has one try.
SECOND_TRIES = 5
ONE_TRY = ("test_harm", "test_freeze", "test_disturbed", "test_guard")
PROCESSORS = os.cpu_count() or 1
WORKERS = max(1, min(4, PROCESSORS))
# Most of a test of a live process is waiting, for collections or growth: twice as many as processors keep those at work.
LIVE_WORKERS = min(8, 2 * PROCESSORS)
RUN = uuid.uuid4().hex
# Only a sanitizer build heeds them.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
}


@dataclass
class Suite:
    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    details: list[str] = field(default_factory=list)

    def fail(self, why: str) -> None:
        self.failed += 1
        self.details.append(why)

    def line(self) -> str:
        return f"{self.name}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped ({self.seconds:.1f} s)"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(command: list[str], timeout: float, environment: dict[str, str], folder: Path, live: bool) -> tuple[int | None, str]:
    """Exit code (None: out of time) and output. In a session of its own, of which nothing is left afterwards.

    The output goes through a file, not a pipe: a process that is left behind cannot hold us up.
    """
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   env=environment, cwd=folder, start_new_session=True,
                                   preexec_fn=reset_signals)
        deadline = time.monotonic() + timeout
        shown = 0
        code: int | None = None
        try:
            while True:
                code = process.poll()
                if live:
                    text = os.pread(out.fileno(), 1 << 20, shown)
                    shown += len(text)
                    sys.stdout.write(text.decode(errors="replace"))
                    sys.stdout.flush()
                if code is not None or time.monotonic() > deadline:
                    break
                time.sleep(0.05 if live else 0.01)
        finally:
            end_session(process.pid)
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        return code, out.read().decode(errors="replace")


def ended(code: int | None, timeout: float) -> str:
    if code is None:
        return f"no end within {timeout:.0f} s"
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def run_program(test: dict, build: Path, kind: str) -> Suite:
    """One C program. cmocka reports in TAP; a program without TAP is one test, and exit code 77 skips it."""
    suite = Suite(f"{kind}/{test['name'].removeprefix('test_')}")
    environment = {**SANITIZERS, **os.environ, **test.get("env", {}), "CMOCKA_MESSAGE_OUTPUT": "TAP", residue.MARK: RUN,
                   "LOWTIDE_BUILD": str(build)}
    timeout = float(test.get("timeout") or 300)
    begin = time.monotonic()
    code, output = run(test["cmd"], timeout, environment, build, live=False)
    suite.seconds = time.monotonic() - begin
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", output, re.M))
    for line in output.splitlines():
        # Older releases of cmocka write "not ok N # SKIP name", newer ones "ok N # SKIP name".
        if re.match(r"(not )?ok \d+ .*# SKIP", line):
            suite.skipped += 1
        elif re.match(r"ok \d+ ", line):
            suite.passed += 1
        elif re.match(r"not ok \d+ ", line):
            suite.fail(line)
    ran = suite.passed + suite.failed + suite.skipped
    if planned == 0 and ran == 0:
        if code == 0:
            suite.passed = 1
        elif code == 77:
            suite.skipped = 1
        else:
            suite.fail(ended(code, timeout))
    elif code is None or code < 0 or (code != 0 and suite.failed == 0) or ran < planned:
        suite.fail(f"{ended(code, timeout)} after {ran} of {planned} tests")
    if suite.failed:
        suite.details.append("\n".join(output.splitlines()[-80:]))
    return suite


def try_again(folder: Path, environment: dict[str, str], cases: list[ElementTree.Element], suite: Suite) -> None:
    """Runs failed tests again, one at a time; those that pass then count as passed and are named."""
    if not 0 < len(cases) <= SECOND_TRIES:
        return
    for case in cases:
        module = case.get("classname", "").replace(".", "/") + ".py"
        name = f"{module}::{case.get('name')}"
        if Path(module).stem.startswith(ONE_TRY) or not (folder.parent / module).is_file():
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(REPOSITORY / "tests/pytest.ini"), "--tb=short", name]
        code, _ = run(command, PYTEST_TIMEOUT, environment, folder.parent, live=False)
        if code == 0:
            suite.failed -= 1
            suite.passed += 1
            suite.details.append(f"UNSTEADY {name}: failed beside other tests, passed when it ran again alone")


def run_pytest(folder: Path, build: Path) -> Suite:
    suite = Suite(f"pytest/{folder.name}")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lowtide-tests-") as scratch:
        report = Path(scratch, "report.xml")
        environment = {**SANITIZERS, **os.environ, "LOWTIDE_BUILD": str(build), residue.MARK: RUN, "PYTHONDONTWRITEBYTECODE": "1",
                       "COLUMNS": "140"}
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(LIVE_WORKERS if folder.name in ("live", "cli") else WORKERS), "--dist", "worksteal",
                   "-c", str(REPOSITORY / "tests/pytest.ini"), f"--junitxml={report}", f"--basetemp={scratch}/tmp", "--tb=short",
                   "--durations=8", "--durations-min=5", str(folder)]
        code, output = run(command, PYTEST_TIMEOUT, environment, REPOSITORY / "tests", live=True)
        try:
            root = ElementTree.parse(report).getroot()
        except (OSError, ElementTree.ParseError):
            suite.fail(f"pytest wrote no report: {ended(code, PYTEST_TIMEOUT)}")
        else:
            for one in root.iter("testsuite"):
                count = {key: int(one.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
                bad = count["failures"] + count["errors"]
                suite.failed += bad
                suite.skipped += count["skipped"]
                suite.passed += count["tests"] - bad - count["skipped"]
            # 5: no tests in the folder
            if code not in (0, 5) and suite.failed == 0:
                suite.fail(f"pytest: {ended(code, PYTEST_TIMEOUT)}\n" + "\n".join(output.splitlines()[-40:]))
            cases = [case for case in root.iter("testcase") if case.find("failure") is not None or case.find("error") is not None]
            if code == 1:
                try_again(folder, environment, cases, suite)
    suite.seconds = time.monotonic() - begin
    return suite


def check_residue(mounts_before: set[str]) -> Suite:
    """Tests leave nothing behind."""
    suite = Suite("residue")
    deadline = time.monotonic() + 5
    left = residue.marked_processes(RUN)
    while left and time.monotonic() < deadline:
        residue.reap_orphans()
        time.sleep(0.1)
        left = residue.marked_processes(RUN)
    for pid, command in left.items():
        suite.fail(f"process {pid} was left behind: {command}")
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    for where in sorted(residue.mounts() - mounts_before):
        if where.startswith((str(REPOSITORY), tempfile.gettempdir())):
            suite.fail(f"mount {where} was left behind")
    suite.passed = 0 if suite.failed else 1
    return suite


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="the build directory (default: build)")
    parser.add_argument("--sanitized", help="the directory of a sanitizer build, whose C programs run too")
    parser.add_argument("--only", action="append", help="only suites whose name contains this (unit, cli, unit/freeze ...)")
    parser.add_argument("--every", action="store_true", help="every case on every CPython (tests/conftest.py: three_interpreters)")
    options = parser.parse_args()
    if options.every:
        os.environ["LOWTIDE_EVERY"] = "1"
    build = Path(options.build).resolve()

    def wanted(name: str) -> bool:
        return options.only is None or any(part in name for part in options.only)

    mounts_before = residue.mounts()
    suites: list[Suite] = []

    def add(suite: Suite) -> None:
        suites.append(suite)
        for detail in suite.details:
            say("  " + detail.replace("\n", "\n  "))
        say(suite.line())

    programs = []
    for directory, kind in ((build, "unit"), (options.sanitized and Path(options.sanitized).resolve(), "sanitized")):
        if directory:
            listed = subprocess.run(["meson", "introspect", "--tests", str(directory)], stdin=subprocess.DEVNULL,
                                    capture_output=True, text=True, check=True)
            programs += [(t, directory, kind) for t in json.loads(listed.stdout) if wanted(f"{kind}/{t['name']}")]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for suite in pool.map(lambda program: run_program(*program), programs):
            add(suite)
    for name in PYTEST_FOLDERS:
        folder = REPOSITORY / "tests" / name
        if folder.is_dir() and any(folder.rglob("test_*.py")) and wanted("pytest/" + name):
            add(run_pytest(folder, build))
    add(check_residue(mounts_before))
    total = Suite("", *(sum(getattr(s, key) for s in suites) for key in ("passed", "failed", "skipped")))
    say("")
    for suite in suites:
        if suite.failed:
            say("FAILED " + suite.line())
    say(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
