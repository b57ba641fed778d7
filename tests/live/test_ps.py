"""ps: which processes are CPython, and what their collectors say of themselves."""
import subprocess
import sys
import textwrap

from harness import Target

SCRIPT = textwrap.dedent('''
    import gc, threading, time
    gc.disable()
    gc.set_threshold(123, 4, 5)
    for _ in range(3):
        gc.collect()
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    ready(collections=[s["collections"] for s in gc.get_stats()])
''')


def rows(lowtide):
    result = lowtide("ps", "--json")
    assert result.code == 0, result
    processes = result.json["result"]["processes"]
    pids = [p["pid"] for p in processes]
    assert pids == sorted(pids)
    return {p["pid"]: p for p in processes}


def test_state_of_the_collector(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        row = rows(lowtide)[target.pid]
        assert row["python"] == ".".join(map(str, interpreter.version))
        assert "target.py" in row["cmdline"] or "prelude.py" in row["cmdline"]
        assert row["threads"] == 2
        assert row["interpreters"] == 1
        assert row["gc"]["enabled"] is False
        assert row["gc"]["thresholds"] == [123, 4, 5]
        assert [g["collections"] for g in row["gc"]["generations"]] == target.facts["collections"]
        assert abs(row["rss_bytes"] / 1024 - target.status("VmRSS")) < 2048
        assert target.settled()


def test_other_programs_are_no_rows(lowtide):
    process = subprocess.Popen(["sleep", "100"], stdin=subprocess.DEVNULL)
    try:
        assert process.pid not in rows(lowtide)
    finally:
        process.kill()
        process.wait()


def test_python_that_ends_meanwhile(lowtide):
    """Processes come and go while the list is made: that is no failure."""
    short = subprocess.Popen(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do {sys.executable} -c 'import time; time.sleep(0.05)'; done"],
                             stdin=subprocess.DEVNULL)
    try:
        for _ in range(5):
            rows(lowtide)
    finally:
        short.wait()
