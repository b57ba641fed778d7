"""What a user sees on a terminal: width, colours, the progress bar; and what reaches a pipe or a file instead."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest
from harness import Target, interpreters, lowtide_path, reset_signals
from harness.target import clean_environment

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A bound on the list makes it big enough for a finding: more than a tenth of the heap.
SCRIPT = "import gc\ngc.disable()\nheld = [{'number': i} for i in range(50000)]\nready()"


@pytest.fixture(scope="module")
def target():
    local = [i for i in interpreters() if i.root is None]
    with Target(local[-1], SCRIPT) as running:
        yield running


def on_terminal(*arguments, columns=80, env=None, stderr_too=True):
    """What lowtide writes to a terminal of that width, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**clean_environment(env), "TERM": (env or {}).get("TERM", "xterm-256color")}
    if "NO_COLOR" not in (env or {}):
        environment.pop("NO_COLOR", None)
    child = subprocess.Popen([lowtide_path(), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=slave,
                             stderr=slave if stderr_too else subprocess.DEVNULL, env=environment,
                             preexec_fn=reset_signals)
    os.close(slave)
    seen = b""
    deadline = time.monotonic() + 100
    try:
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # the last writer has closed it
                break
            if not piece:
                break
            seen += piece
        code = child.wait(10)
    finally:
        child.kill()
        child.wait(10)
        os.close(master)
    return code, seen.decode().replace("\r\n", "\n")


def test_colours_by_terminal_and_environment(lowtide, target):
    assert COLOUR.search(on_terminal("doctor", target.pid)[1])
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert not COLOUR.search(on_terminal("doctor", target.pid, env=env)[1]), env
    assert COLOUR.search(on_terminal("doctor", target.pid, env={"NO_COLOR": ""})[1])
    assert not COLOUR.search(on_terminal("doctor", "--color=never", target.pid)[1])
    assert COLOUR.search(on_terminal("doctor", "--color=always", target.pid, env={"NO_COLOR": "1"})[1])
    assert "\x1b" not in lowtide("doctor", target.pid).out
    assert COLOUR.search(lowtide("doctor", "--color", "always", target.pid).out)


def test_no_colour_in_a_file(target, tmp_path):
    path = tmp_path / "report"
    code, _ = on_terminal("doctor", "-o", path, target.pid)
    assert code == 0 and "\x1b" not in path.read_text()


@pytest.mark.parametrize("columns", [60, 80, 132])
def test_width(target, columns):
    code, text = on_terminal("doctor", "--color=never", "-q", target.pid, columns=columns)
    assert code == 0
    command = text.splitlines()[1]
    assert len(command) <= columns
    for line in text.splitlines():
        if re.match(r" {4}(why|fix|seen|where) ", line) or re.match(r" {12}[^ ]", line):
            assert len(line) <= max(columns, 40) or " " not in line.strip(), line


def test_ascii_in_an_ascii_locale(lowtide, target):
    for arguments in (["doctor", target.pid], ["types", target.pid], ["ps"]):
        result = lowtide(*arguments, env={"LC_ALL": "C"})
        assert result.code == 0 and result.out.isascii(), str(result)
    assert "\u00b7" in lowtide("doctor", target.pid, env={"LC_ALL": "C.UTF-8"}).out


def test_progress_bar_leaves_nothing(target):
    """It may be drawn or not, by the speed of the machine; the line is empty when the report begins."""
    code, text = on_terminal("doctor", "--color=never", target.pid)
    assert code == 0
    drawn, _, report = text.rpartition("\x1b[K")
    assert report.startswith(f"PID {target.pid} ") and "\r" not in report
    if drawn:
        assert drawn.startswith("\r")


def test_quiet_has_no_progress_bar(target):
    assert "\x1b" not in on_terminal("types", "--quiet", "--color=never", target.pid)[1]


def test_quiet_and_verbose(lowtide, target):
    quiet, normal, verbose = (lowtide("doctor", *flags, target.pid).out for flags in (["-q"], [], ["-v"]))
    assert "FINDING" in quiet and "COLLECTOR" not in quiet and "BIGGEST" not in quiet
    assert "COLLECTOR" in normal and "BIGGEST KINDS OF OBJECT" in normal
    assert len(quiet) < len(normal) < len(verbose)


def test_closed_standard_output_is_no_file_of_the_target(target):
    """With descriptor 1 free, the memory of the target must not be opened as standard output."""
    result = subprocess.run(["sh", "-c", f"{lowtide_path()} doctor {target.pid} >&-"], text=True,
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=100)
    assert result.returncode == 6
    assert result.stderr.startswith("lowtide: standard output is closed.\n")
    assert target.alive()


def test_fail_on(lowtide, target):
    """The collector is off in this target, which is a finding."""
    severities = [f["severity"] for f in lowtide("doctor", "--json", target.pid).json["result"]["findings"]]
    assert severities
    levels = ["info", "low", "medium", "high", "critical"]
    worst = max(levels.index(severity) for severity in severities)
    for i, level in enumerate(levels):
        result = lowtide("doctor", "--fail-on", level, "--json", target.pid)
        assert result.code == (1 if i <= worst else 0), str(result)
        assert "result" in result.json


def test_top(lowtide, target):
    assert len(lowtide("types", "--json", "--top=3", target.pid).json["result"]["rows"]) == 3
    everything = lowtide("types", "--json", target.pid).json["result"]
    assert len(everything["rows"]) == everything["row_count"] > 30
    assert sum(row["count"] for row in everything["rows"]) == everything["count"]
    assert sum(row["bytes"] for row in everything["rows"]) == everything["bytes"]
    text = lowtide("types", "--limit", 5, target.pid).out
    assert len(text[text.index("SHARE"):].splitlines()) == 6
    result = lowtide("doctor", "-n2", "--json", target.pid).json["result"]
    assert len(result["kinds"]) == 2 and len(result["containers"]) == 2


def test_envelope_of_each_command(lowtide, target):
    for arguments in (["doctor", target.pid], ["types", target.pid], ["types", "--all", target.pid], ["ps"]):
        envelope = lowtide(*arguments, "--json").json
        assert list(envelope) == ["lowtide", "schema", "command", "target", "cost", "unreadable", "warnings", "result"]
        assert envelope["command"] == arguments[0] and envelope["schema"] == 1
        if arguments[0] == "ps":
            assert envelope["target"] is None
            mine = [p for p in envelope["result"]["processes"] if p["pid"] == target.pid]
            assert mine and mine[0]["gc"]["enabled"] is False
        else:
            assert envelope["target"]["pid"] == target.pid
            assert envelope["target"]["python"] == "%d.%d.%d" % target.interpreter.version
            assert envelope["cost"]["stall_ms"] > 0
        assert envelope["cost"]["elapsed_ms"] > 0 and envelope["cost"]["peak_bytes"] > 0
        assert envelope["unreadable"] >= 0 and isinstance(envelope["warnings"], list)


def test_report_in_a_file(lowtide, target, tmp_path):
    path = tmp_path / "report.json"
    result = lowtide("types", "--json", "-o", path, target.pid)
    assert result.code == 0 and result.out == ""
    assert path.read_text().startswith("{\n") and [p.name for p in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("mode, sentence", [
    ("fork", "(frozen by a fork)"), ("stop", "(stopped)"), ("live", "This look: nothing stopped")])
def test_report_says_how_it_looked(lowtide, target, mode, sentence):
    assert sentence in " ".join(lowtide("doctor", "--mode", mode, target.pid).out.split())
    envelope = lowtide("doctor", "--mode", mode, "--json", target.pid).json
    assert envelope["result"]["identity"]["mode"] == mode
    assert (envelope["cost"]["stall_ms"] == 0) == (mode == "live")
    assert target.settled()


def test_gc_draws_while_it_watches(target):
    code, seen = on_terminal("gc", "-d", "3", target.pid, columns=60)
    assert code == 0, seen
    # Each picture but the last is taken off by going up and erasing; what stays is the report.
    drawn = [part for part in re.split(r"\x1b\[\d+A\x1b\[J", seen)]
    assert len(drawn) >= 3, seen
    for picture in drawn[:-1]:
        lines = [line.rpartition("\r")[2] for line in picture.splitlines() if "PID" in line or line.startswith("  RSS")]
        assert lines and all(len(COLOUR.sub("", line).replace("\x1b[J", "")) <= 60 for line in lines), picture
    assert "COLLECTOR" in drawn[-1].upper() and "OVER TIME" in drawn[-1]


@pytest.mark.parametrize("columns", [80, 120])
def test_gc_draws_what_a_user_watches_for(columns):
    script = ("import gc, time\nclass Row: pass\ndef make_some_rows_that_are_garbage():\n    for _ in range(900):\n"
              "        row = Row()\n        row.own = row\nready()\n"
              "while True:\n    make_some_rows_that_are_garbage()\n    time.sleep(0.01)\n")
    with Target([i for i in interpreters() if i.root is None][-1], script) as busy:
        code, seen = on_terminal("gc", "-d", "3", "--source", "poll", "--color=never", busy.pid, columns=columns)
    assert code == 0, seen
    # The last picture before the report; a screen takes what is left of the cursor when it is erased.
    picture = re.split(r"\x1b\[\d+A\x1b\[J", seen)[-2].rpartition("\x1b[J")[2].splitlines()
    labels = [line.split()[0] for line in picture if line.strip()]
    assert picture[0].startswith(f"PID {busy.pid} ") and "collector on" in picture[0], picture
    assert labels[1:5] == ["RSS", "tracked", "new/s", "runs/s"] and "all" in labels, picture
    assert any(line.split() == "RUNS A SECOND P50 P99 MAX TIME COLLECTED".split() for line in picture), picture
    assert all(len(line) < columns for line in picture), picture
    rate = int(re.search(r"runs/s +([0-9,]+)", "\n".join(picture))[1].replace(",", ""))
    assert rate > 0 and not COLOUR.search("\n".join(picture))


def test_quiet_gc_draws_nothing(target):
    code, seen = on_terminal("gc", "-q", "-d", "2", target.pid)
    assert code == 0 and not re.search(r"\x1b\[\d*[AJK]", seen), seen
