"""Recordings of the collector in files, of live processes: killed writers, totals, what two of them say beside each other."""
import os
import signal
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from harness import Target, build_dir
from harness.run import lowtide_path
from harness.target import clean_environment, reset_signals

# Nothing happens but what a line asks for; each answer has the totals of the collector.
SCRIPT = textwrap.dedent('''
    import gc

    gc.set_threshold(1000, 10, 10)
    kept = []

    def totals():
        return [one["collections"] for one in gc.get_stats()]

    def ring():
        one = []
        one.append(one)

    gc.collect()
    ready(totals=totals())
    while True:
        line = wait_line()
        if line == "end":
            break
        if line == "off":
            gc.disable()
        elif line == "collect":
            for _ in range(20):
                gc.collect()
        else:
            for _ in range(int(line)):
                ring()
        # From here on none is due for a while: the totals stay as they are told.
        if gc.isenabled():
            gc.collect()
        ready(totals=totals())
''')


def wait_for(condition, seconds: float = 60) -> None:
    """Until something is there; what is waited for is bounded by nothing but the load of the machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def wait_for_growth(path, times: int = 1) -> None:
    """Until the file has been longer so many times than it was before."""
    for _ in range(times):
        size = path.stat().st_size
        wait_for(lambda size=size: path.stat().st_size > size)


def wait_for_first_second(unfinished) -> None:
    """Until the first sample is in: the file grows by the head, and then each second."""
    wait_for(unfinished.exists)
    wait_for_growth(unfinished, 2)


def start(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen([str(part) for part in (lowtide_path(), *arguments)], text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(), preexec_fn=reset_signals)


def end(process: subprocess.Popen, number: int = signal.SIGINT) -> subprocess.CompletedProcess:
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def assert_totals(found: dict, before: list[int], after: list[int]) -> None:
    """What was recorded from first to last is what the process itself counts."""
    first, last = found["timeline"][0]["collections"], found["timeline"][-1]["collections"]
    assert last == after
    assert all(one <= own for one, own in zip(first, before))
    assert found["summary"]["count"] == sum(last) - sum(first)


@pytest.mark.three_interpreters("a recording is the same whoever was watched")
def test_a_killed_writer_costs_at_most_the_last_second(interpreter, lowtide, tmp_path):
    path, unfinished = tmp_path / "app.tide", tmp_path / "app.tide.unfinished"
    with Target(interpreter, SCRIPT) as target:
        writer = start("gc", "-q", "-d", "600", "-o", path, target.pid)
        try:
            wait_for_first_second(unfinished)
            target.send("0")
            before = target.wait_ready()["totals"]
            target.send("collect")
            after = target.wait_ready()["totals"]
            # Two more seconds are written behind what has happened.
            wait_for_growth(unfinished, 2)
        finally:
            killed = end(writer, signal.SIGKILL)
        assert killed.returncode == -signal.SIGKILL
        assert not path.exists()
        # The process goes on as if nothing had been there.
        target.send("10")
        target.wait_ready()
        assert target.alive()
    for name in (path, unfinished):
        read = lowtide("gc", "--json", name)
        assert read.code == 0, read
        found = read.json["result"]
        assert found["cut"] is True and not found["ended"]
        assert any("was not finished, its writer was killed" in warning for warning in read.json["warnings"])
        assert found["summary"]["by_cause"].get("explicit", {}).get("count", 0) + found["summary"]["missed"] >= 20
        assert_totals(found, before, after)
    # It is not overwritten before somebody has read it.
    again = lowtide("gc", "-d", "1", "-o", path, os.getpid())
    assert again.code == 6 and "is a recording whose writer was killed" in again.err, again
    for command in (["doctor"], ["types"]):
        other = lowtide(*command, unfinished)
        assert other.code == 6 and "recording of the collector, not a snapshot" in other.err, other


def test_totals_and_exports_are_those_of_the_process(interpreter, lowtide, tmp_path):
    path = tmp_path / "app.tide"
    with Target(interpreter, SCRIPT) as target:
        writer = start("gc", "-q", "-d", "600", "-o", path, target.pid)
        try:
            unfinished = tmp_path / "app.tide.unfinished"
            wait_for_first_second(unfinished)
            target.send("0")
            before = target.wait_ready()["totals"]
            target.send("25000")
            after = target.wait_ready()["totals"]
            wait_for_growth(unfinished)
        finally:
            done = end(writer, signal.SIGTERM)
        assert done.returncode == 0, done
    assert not unfinished.exists() and path.exists()
    read = lowtide("gc", "--json", path)
    assert read.code == 0 and read.json["result"]["cut"] is False, read
    assert_totals(read.json["result"], before, after)
    metrics = lowtide("gc", path, "--format", "openmetrics")
    assert metrics.code == 0, metrics
    for generation, count in enumerate(after):
        assert f'python_gc_collections_total{{generation="{generation}"}} {count}\n' in metrics.out
    rows = lowtide("gc", path, "--format", "csv").out.splitlines()
    counts = [line.split(",")[3] for line in rows[1:]]
    assert sum(map(int, counts)) == read.json["result"]["summary"]["count"]
    snapshot = lowtide("snapshot", path, "-o", tmp_path / "x.heapsnapshot")
    assert snapshot.code == 6 and "is a recording of the collector" in snapshot.err, snapshot


def record_while(target: Target, path, line: str) -> None:
    """A recording that begins, sees what `line` asks for, and ends."""
    writer = start("gc", "-q", "-d", "600", "-o", path, target.pid)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        wait_for_first_second(unfinished)
        target.send(line)
        target.wait_ready()
        wait_for_growth(unfinished)
    finally:
        done = end(writer)
    assert done.returncode == 0, done


@pytest.mark.three_interpreters("a recording is the same whoever was watched")
def test_less_work_is_good_and_a_disabled_collector_is_not(interpreter, lowtide, tmp_path):
    names = [tmp_path / f"{name}.tide" for name in ("much", "little", "off")]
    with Target(interpreter, SCRIPT) as target:
        record_while(target, names[0], "400000")
        record_while(target, names[1], "20000")
        target.send("off")
        target.wait_ready()
        record_while(target, names[2], "400000")
    good = lowtide("gc", "--json", names[0], names[1])
    assert good.code == 0, good
    reasons = " ".join(one["text"] for one in good.json["result"]["reasons"] if one["verdict"] == "good")
    assert "because less is allocated" in reasons, good
    assert good.json["result"]["verdict"] != "bad"
    bad = lowtide("gc", "--json", "--fail-on", "high", names[0], names[2])
    assert bad.code == 1, bad
    assert bad.json["result"]["verdict"] == "bad"
    assert "automatic collection was turned off" in bad.json["result"]["reasons"][0]["text"]
    assert bad.json["result"]["after"]["enabled"] == 0
    text = lowtide("gc", "--requests", "100,5", names[0], names[1])
    assert text.code == 0 and "collections, a request" in text.out, text


@pytest.mark.three_interpreters("a recording is the same whoever was watched")
def test_what_other_settings_would_do_is_told_of_a_file_too(interpreter, lowtide, tmp_path):
    path = tmp_path / "app.tide"
    script = "import gc\nready()\nwhile True:\n    one = []\n    one.append(one)\n"
    with Target(interpreter, script) as target:
        watched = lowtide("gc", "--json", "-d", "2", "-o", path, "--what-if", "5000,10,10", target.pid)
    assert watched.code == 0, watched
    read = lowtide("gc", "--json", "--what-if", "5000,10,10", path)
    assert read.code == 0, read
    for key in ("summary", "what_if"):
        assert read.json["result"][key] == watched.json["result"][key], key


@pytest.mark.three_interpreters("a recording is the same whoever was watched")
def test_a_recording_answers_what_if_without_having_been_asked(interpreter, lowtide, tmp_path):
    path = tmp_path / "app.tide"
    script = "import gc\nready()\nwhile True:\n    one = []\n    one.append(one)\n"
    with Target(interpreter, script) as target:
        written = lowtide("gc", "--json", "-d", "2", "-o", path, target.pid)
    assert written.code == 0, written
    about = written.json["result"]["file"]
    assert about["path"] == str(path) and about["bytes"] == path.stat().st_size and about["samples"] >= 2
    events = written.json["result"]
    assert about["events"] >= len(events["collections"])
    read = lowtide("gc", "--json", "--what-if", "5000,10,10", path)
    assert read.code == 0 and "file" not in read.json["result"], read
    assert about["points"] > 0 and read.json["result"]["what_if"][0]["thresholds"] == [5000, 10, 10]
    text = lowtide("gc", "-d", "1", "-o", path, os.getpid())
    assert text.code == 0 and f" in {path.stat().st_size / 1024:.1f} KiB, " in " ".join(text.out.split()), text


REDACTED = """
import gc, threading
class secretly:
    def __call__(self, phase, info):
        pass
def swept(phase, info):
    pass
gc.callbacks.append(swept)
held = [[i] for i in range(300000)]
def sweep():
    gc.collect()  # line 10
gc.set_threshold(0)
ready()
while True:
    timer = threading.Timer(0.05, sweep)
    timer.start()
    timer.join()
"""


@pytest.mark.three_interpreters("a recording is the same whoever was watched")
def test_a_redacted_recording_names_no_folder_and_no_command_line(interpreter, lowtide, tmp_path):
    path = tmp_path / "app.tide"
    script = "import sys\nsys.path.insert(0, sys.argv[1])\nimport builtins\nbuiltins.ready = ready\nimport service\n"
    # Below the build: there every interpreter at hand sees it, also one with a root of its own.
    with tempfile.TemporaryDirectory(prefix="very-private-", dir=build_dir()) as folder:
        Path(folder, "service.py").write_text(REDACTED.lstrip())
        with Target(interpreter, script, folder) as target:
            written = lowtide("gc", "--json", "-d", "2", "--redact", "-o", path, target.pid)
    assert written.code == 0, written
    read = lowtide("gc", "--json", path)
    assert read.code == 0, read
    for answer in (written, read):
        result = answer.json["result"]
        assert result["redacted"] is True
        assert "very-private" not in answer.out and "/lib/" not in result["summary"]["by_place"][0]["where"]
        assert answer.json["target"]["cmdline"] in ("", [])
        assert result["callbacks"] == ["service.swept (service.py:5)"]
        # Whose code it is was judged by the whole path.
        called = [one for one in result["collections"] if one["cause"] == "explicit" and one["stack"]]
        assert called and all(one["where"] == "service.py:10:sweep" for one in called)
        assert all(one["evidence"].count("threading") == 1 for one in called)
        assert all("/" not in frame["file"] for one in called for frame in one["stack"])
    assert b"very-private" not in path.read_bytes()
    rows = lowtide("gc", path, "--format", "csv")
    assert rows.code == 0 and "service.py:10:sweep" in rows.out and "very-private" not in rows.out
    refused = lowtide("gc", "--redact", path)
    assert refused.code == 2 and "--redact is for watching a process" in refused.err, refused
