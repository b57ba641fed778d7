"""lowtide trim on Python programs: what it gives back, beside what it promised and beside the program's own malloc_trim()."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from freezing import JEMALLOC, descriptors, wait_until
from harness import Target, lowtide_path, run_lowtide
from harness.target import clean_environment

TARGET = Path(__file__).with_name("trim_target.py")
CASES = ("survivors", "random_sizes", "large", "fast_bins", "pinned_top", "free_top", "thread_arenas", "freed_by_others",
         "aligned", "mapped", "objects", "decoded")
# Of figures smaller than this a page here and there is too large a share.
LEAST = 1 << 20


def trimmed(pid, *arguments):
    result = run_lowtide("trim", "--json", *arguments, pid)
    assert result.code == 0, result
    return result.json


def own_rss(pid):
    return sum(int(line.split()[1]) * 1024 for line in Path(f"/proc/{pid}/smaps").read_text().splitlines()
               if line.startswith("Rss:"))


@pytest.mark.three_interpreters("what is trimmed is the C library's", every={"case": ("survivors", "pinned_top", "thread_arenas")})
@pytest.mark.parametrize("case", CASES)
def test_prediction(interpreter, case):
    env = {"PYTHONMALLOC": "malloc"} if case == "decoded" else None
    with Target(interpreter, TARGET, case, "0", env=env) as target:
        target.wait_asleep()
        held = own_rss(target.pid)
        json_ = trimmed(target.pid)
        result, (round_,) = json_["result"], json_["result"]["rounds"]
        returned = result["before_bytes"] - result["after_bytes"]
        assert round_["called"] and round_["finished"] and round_["whole"] and round_["refusal"] is None
        assert abs(result["predicted_bytes"] - returned) <= max(0.1 * returned, 0.1 * LEAST), result
        assert abs(result["before_bytes"] - held) < LEAST and abs(own_rss(target.pid) - result["after_bytes"]) < LEAST
        if case != "mapped":
            assert returned > 4 * LEAST, result
        assert target.settled() and trimmed(target.pid)["result"]["predicted_bytes"] < LEAST


@pytest.mark.parametrize("threads", ("0", "3"))
def test_way(interpreter, threads):
    """Beside the others where glibc uses its locks, which it does from the second thread on; else while all stand."""
    with Target(interpreter, TARGET, "survivors", threads) as target:
        target.wait_asleep()
        before = descriptors(target.pid), target.status("Threads")
        assert trimmed(target.pid)["result"]["rounds"][0]["way"] == ("alone" if threads == "0" else "beside")
        assert (descriptors(target.pid), target.status("Threads")) == before
        assert target.settled()


LOAD = r"""
import ctypes, random, sys, threading, time
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
rounds, wrong, over = [0] * int(sys.argv[1]), [], threading.Event()
def work(number):
    # Blocks of all sizes come and go, each full of a byte of its own, which must still be there when it goes.
    draw, held = random.Random(number), []
    while not over.is_set():
        if held and (len(held) > 300 or draw.random() < 0.45):
            block, size, byte = held.pop(draw.randrange(len(held)))
            if libc.memcmp(block, bytes([byte]) * size, size) != 0:
                wrong.append(size)
            libc.free(block)
        else:
            size, byte = draw.choice((24, 100, 700, 3000, 20000, 100000)) + draw.randrange(24), draw.randrange(256)
            block = libc.malloc(size)
            libc.memset(block, byte, size)
            held.append((block, size, byte))
            bytearray(size)
        rounds[number] += 1
threads = [threading.Thread(target=work, args=(i,)) for i in range(len(rounds))]
if len(threads) == 1:
    threads = []
for thread in threads:
    thread.start()
ready()
if threads:
    wait_line()
else:
    import os, select
    end = time.monotonic() + float(sys.argv[2])
    class Clock:
        def is_set(self):
            return time.monotonic() > end
    over = Clock()
    work(0)
    over = threading.Event()
over.set()
for thread in threads:
    thread.join()
ready(rounds=rounds, wrong=wrong)
"""


@pytest.mark.three_interpreters("what is trimmed is the C library's")
def test_sixteen_threads_under_load(interpreter):
    with Target(interpreter, LOAD, "16", "0") as target:
        for _ in range(15):
            assert trimmed(target.pid)["result"]["rounds"][0]["finished"]
        target.send()
        facts = target.wait_ready(60)
        assert facts["wrong"] == [] and min(facts["rounds"]) > 0, facts
        assert target.settled()


@pytest.mark.three_interpreters("what is trimmed is the C library's")
def test_one_thread_under_load(interpreter):
    """No locks are taken: only a moment outside malloc will do, and it is found or lowtide refuses."""
    with Target(interpreter, LOAD, "1", "4") as target:
        done = 0
        until = time.monotonic() + 3
        while time.monotonic() < until:
            result = run_lowtide("trim", "--json", target.pid)
            assert result.code in (0, 70), result
            if result.code == 0:
                assert result.json["result"]["rounds"][0]["way"] == "alone"
            else:
                assert "not safe" in result.json["error"]["message"] and "malloc" in result.json["error"]["message"]
            done += result.code == 0
        facts = target.wait_ready(60)
        assert done > 0 and facts["wrong"] == [], (done, facts)


def test_at_least(interpreter):
    with Target(interpreter, TARGET, "survivors", "0") as target:
        target.wait_asleep()
        json_ = trimmed(target.pid, "--at-least", "4G")
        assert json_["cost"]["stall_ms"] == 0 and not json_["result"]["rounds"][0]["called"]
        assert json_["result"]["before_bytes"] == json_["result"]["after_bytes"]
        assert json_["result"]["predicted_bytes"] > 8 * LEAST and json_["result"]["calls"] == 0
        assert trimmed(target.pid, "--at-least", "1M")["result"]["returned_bytes"] > 8 * LEAST


def test_text(interpreter):
    with Target(interpreter, TARGET, "survivors", "0") as target:
        target.wait_asleep()
        result = run_lowtide("trim", target.pid)
        assert result.code == 0 and "went back (predicted" in result.out and "stood still for" in result.out, result
        assert "nothing stopped" not in result.out
        quiet = run_lowtide("trim", "-q", "--at-least", "1G", target.pid)
        assert quiet.code == 0 and "nothing was done" in quiet.out, quiet


@pytest.mark.three_interpreters("what is trimmed is the C library's")
def test_watch(interpreter):
    script = TARGET.read_text() + "    wait_line()\n    survivors()\n    ready()\n"
    with Target(interpreter, script, "survivors", "0") as target:
        target.wait_asleep()
        full = own_rss(target.pid)
        command = [str(lowtide_path()), "trim", "--watch", "--interval", "1", "--at-least", "8M", "--json", str(target.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()) as watch:
            try:
                assert wait_until(lambda: own_rss(target.pid) < full - 8 * LEAST)
                target.send()
                target.wait_ready()
                assert wait_until(lambda: own_rss(target.pid) < full - 8 * LEAST)
                time.sleep(1.5)  # rounds with nothing to do are not kept
                watch.send_signal(signal.SIGINT)
                out, err = watch.communicate(timeout=30)
            finally:
                watch.kill()
        assert watch.returncode == 0, (out, err)
        result = json.loads(out)["result"]
        # The second filling may have met a look or two before it was complete.
        assert result["watched"] and len(result["rounds"]) >= 2 and result["looks"] > result["calls"] >= 2, result
        assert result["returned_bytes"] > 16 * LEAST and result["rounds"][1]["at_seconds"] > result["rounds"][0]["at_seconds"]
        assert target.settled()


@pytest.mark.three_interpreters("what is trimmed is the C library's")
def test_watch_ends_with_its_time_and_with_the_process(interpreter):
    with Target(interpreter, TARGET, "survivors", "0") as target:
        result = run_lowtide("trim", "--watch", "-d", "2", "--interval", "1", "--at-least", "1M", target.pid)
        assert result.code == 0 and "malloc_trim was called 1 times" in result.out, result
        with subprocess.Popen([str(lowtide_path()), "trim", "--watch", "--interval", "1", str(target.pid)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()) as watch:
            try:
                time.sleep(1.5)
                os.kill(target.pid, signal.SIGKILL)
                target.process.wait(10)
                out, err = watch.communicate(timeout=30)
            finally:
                watch.kill()
        assert watch.returncode == 0 and "ended" in err and "looks in" in out, (out, err)


# Without decay, so that what is free stays until the purge.
STILL = {"LD_PRELOAD": str(JEMALLOC), "MALLOC_CONF": "dirty_decay_ms:-1"}
PURGED = ("survivors", "random_sizes", "large", "thread_arenas", "freed_by_others", "aligned", "mapped", "objects", "decoded")


def preload(interpreter, library):
    if interpreter.root is not None or not library.exists():
        pytest.skip(f"{library.name} cannot be preloaded here")


@pytest.mark.three_interpreters("what is purged is the allocator's", every={"case": ("survivors",)})
@pytest.mark.parametrize(("case", "conf"), [(case, STILL["MALLOC_CONF"]) for case in PURGED] + [
    (case, f"{STILL['MALLOC_CONF']},{more}") for case in ("survivors", "objects")
    for more in ("muzzy_decay_ms:-1", "narenas:1,tcache:false", "background_thread:true")])
def test_prediction_of_a_purge(interpreter, case, conf):
    preload(interpreter, JEMALLOC)
    env = STILL | {"MALLOC_CONF": conf, "PYTHONMALLOC": "malloc" if case == "decoded" else "pymalloc"}
    with Target(interpreter, TARGET, case, "0", env=env) as target:
        target.wait_asleep()
        held = own_rss(target.pid)
        result = trimmed(target.pid)["result"]
        round_, = result["rounds"]
        returned = result["before_bytes"] - result["after_bytes"]
        assert round_["called"] and round_["finished"] and round_["whole"] and round_["refusal"] is None
        assert result["allocator"].startswith("jemalloc 5.3"), result
        assert abs(result["predicted_bytes"] - returned) <= max(0.1 * returned, 0.1 * LEAST), result
        assert abs(result["before_bytes"] - held) < LEAST and abs(own_rss(target.pid) - result["after_bytes"]) < LEAST
        assert returned > 4 * LEAST, result
        assert target.settled() and trimmed(target.pid)["result"]["predicted_bytes"] < LEAST


@pytest.mark.parametrize("threads", ("0", "3"))
def test_way_of_a_purge(interpreter, threads):
    """glibc's mutexes are taken without atomic instructions where it knows of one thread: then it has to stand."""
    preload(interpreter, JEMALLOC)
    with Target(interpreter, TARGET, "survivors", threads, env=STILL) as target:
        target.wait_asleep()
        before = descriptors(target.pid), target.status("Threads")
        assert trimmed(target.pid)["result"]["rounds"][0]["way"] == ("alone" if threads == "0" else "beside")
        assert (descriptors(target.pid), target.status("Threads")) == before
        assert target.settled()


def test_purges_are_not_remembered(interpreter):
    """The threads that purge leave nothing in jemalloc: it forks, makes threads and sums up as before, and holds no more."""
    preload(interpreter, JEMALLOC)
    script = TARGET.read_text() + r"""
    import ctypes, os
    lib = ctypes.CDLL("libjemalloc.so.2")
    def figure(name, kind=ctypes.c_size_t):
        epoch, value, size = ctypes.c_uint64(1), kind(0), ctypes.c_size_t(ctypes.sizeof(kind))
        assert lib.mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(8)) == 0
        assert lib.mallctl(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)) == 0
        return value.value
    names = b"stats.allocated", b"stats.metadata", b"stats.active"
    figures = lambda: [figure(name) for name in names] + [figure(b"stats.arenas.0.nthreads", ctypes.c_uint)]
    figures()
    ready(figures=figures())
    wait_line()
    after = figures()
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            bytearray(1 << 20)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        thread = threading.Thread(target=bytearray, args=(1 << 20,))
        thread.start()
        thread.join()
    lib.malloc_stats_print(ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)(lambda *_: None), None, b"a")
    ready(figures=after)
"""
    with Target(interpreter, script, "survivors", "2", env=STILL) as target:
        # Both lines of the program may have come at once.
        before = (target.facts if "figures" in target.facts else target.wait_ready())["figures"]
        target.wait_asleep()
        for _ in range(20):
            assert trimmed(target.pid)["result"]["rounds"][0]["finished"]
        target.send()
        after = target.wait_ready(60)["figures"]
        assert all(abs(now - was) < 64 << 10 for was, now in zip(before[:3], after[:3])) and before[3] == after[3], (before, after)


@pytest.mark.three_interpreters("what is trimmed is the C library's")
def test_sixteen_threads_under_load_are_purged(interpreter):
    preload(interpreter, JEMALLOC)
    purges = int(os.environ.get("LOWTIDE_PURGES", "15"))
    with Target(interpreter, LOAD, "16", "0", env={"LD_PRELOAD": str(JEMALLOC)}) as target:
        for _ in range(purges):
            round_ = trimmed(target.pid)["result"]["rounds"][0]
            assert round_["finished"] and round_["way"] == "beside", round_
        target.send()
        facts = target.wait_ready(60)
        assert facts["wrong"] == [] and min(facts["rounds"]) > 0, facts
        assert target.settled()


@pytest.mark.three_interpreters("what is trimmed is the C library's")
def test_one_thread_under_load_is_purged(interpreter):
    preload(interpreter, JEMALLOC)
    with Target(interpreter, LOAD, "1", "4", env={"LD_PRELOAD": str(JEMALLOC)}) as target:
        done = 0
        until = time.monotonic() + 3
        while time.monotonic() < until:
            result = run_lowtide("trim", "--json", target.pid)
            assert result.code in (0, 70), result
            if result.code == 0:
                assert result.json["result"]["rounds"][0]["way"] == "alone"
            else:
                assert "not safe" in result.json["error"]["message"] and "malloc" in result.json["error"]["message"]
            done += result.code == 0
        facts = target.wait_ready(60)
        assert done > 0 and facts["wrong"] == [], (done, facts)


def test_other_allocator_is_refused(interpreter):
    library = Path("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2")
    preload(interpreter, library)
    with Target(interpreter, "ready()", env={"LD_PRELOAD": str(library)}) as target:
        result = run_lowtide("trim", target.pid)
        assert result.code == 3 and "mimalloc" in result.err and "by itself" in result.err, result
        assert "each thread's own" in result.err, result
        assert target.settled()


# Blocks of a few KiB, of which one in three hundred stays.
FREED = """
rows = [bytes(600 + i * 37 % 3400) for i in range(30_000)]
kept = rows[::300]
del rows
ready()
"""


@pytest.mark.parametrize("library", ("libmimalloc.so.2", "libjemalloc.so.2"))
def test_the_setting_that_a_refusal_names_does_what_it_says(interpreter, library):
    path = Path("/usr/lib/x86_64-linux-gnu") / library
    preload(interpreter, path)
    env = {"LD_PRELOAD": str(path)}
    with Target(interpreter, FREED, env=env) as target:
        held = own_rss(target.pid)
        fix = next(one["fix"] for one in findings_of(target) if one["id"] == "rss-above-python")
        if "mimalloc" in library:
            assert setting_in(run_lowtide("trim", target.pid).err) == setting_in(fix), fix
    with Target(interpreter, FREED, env=env | dict([setting_in(fix).split("=", 1)])) as target:
        assert wait_until(lambda: own_rss(target.pid) < 0.5 * held, 10), (own_rss(target.pid), held)


def setting_in(text):
    return re.search(r"\bM\w+=[\w:,]*\w", text)[0]


def findings_of(target):
    result = run_lowtide("doctor", "--json", target.pid)
    assert result.code == 0, result
    return result.json["result"]["findings"]


def test_the_mimalloc_in_python_is_out_of_reach(interpreter):
    """malloc_trim is glibc's: what CPython's own mimalloc has free is said, and what gives it back."""
    if interpreter.version < (3, 13):
        pytest.skip("CPython has mimalloc from 3.13 on")
    with Target(interpreter, FREED, env={"PYTHONMALLOC": "mimalloc"}) as target:
        target.wait_asleep()
        held = own_rss(target.pid)
        json_ = trimmed(target.pid)
        assert json_["result"]["before_bytes"] - json_["result"]["after_bytes"] < LEAST
        warning, = (one for one in json_["warnings"] if "mimalloc" in one)
        assert "malloc_trim does not reach" in warning and float(re.search(r"has ([\d.]+) MiB", warning)[1]) > 40, warning
        fix = next(one["fix"] for one in findings_of(target) if one["id"] == "rss-above-python")
        assert "lowtide trim" not in fix and setting_in(fix) == setting_in(warning), fix
        setting = setting_in(fix).split("=")
    with Target(interpreter, FREED, env={"PYTHONMALLOC": "mimalloc", setting[0]: setting[1]}) as target:
        target.wait_asleep()
        assert own_rss(target.pid) < 0.5 * held, (own_rss(target.pid), held)
        assert not [one for one in trimmed(target.pid)["warnings"] if "mimalloc" in one]


def test_options_of_a_watch_alone():
    result = run_lowtide("trim", "--interval", "5", os.getpid())
    assert result.code == 2 and "--watch" in result.err
    result = run_lowtide("trim", "--at-least", "much", os.getpid())
    assert result.code == 2 and "--at-least=64M" in result.err
