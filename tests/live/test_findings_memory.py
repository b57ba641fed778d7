"""What doctor says of resident memory: each fault seeded in a service that has it, and in one that does not."""
import contextlib
import os
from pathlib import Path

import pytest
from harness import Target
from leak_corpus import interpreter_for, programs
from leak_corpus import target as corpus_target
from test_findings import SEVERITIES, evaluate, service
from test_fragmentation import HOLES, THREADS

MIB = 1 << 20

# ids that this file is about: none of them may be said of a process without the fault.
OURS = {"arenas-pinned", "malloc-arenas", "trim-would-return", "rss-above-python", "huge-pages-empty", "swapped-out",
        "memory-limit-near", "debug-hooks", "tracemalloc-on", "malloc-debugging", "native-growth"}

C_MEMORY = '''
    import ctypes
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
'''

HUGE = '''
    import ctypes, mmap
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    size, huge = 128 << 20, 2 << 20
    at = (libc.mmap(None, size + huge, 3, 0x22, -1, 0) + huge - 1) // huge * huge
    libc.madvise(at, size, 14)
    for offset in range(0, size, huge):
        libc.memset(at + offset, 1, %s)
'''


def look(lowtide, target, *options):
    """{id: finding}, the worst of each id, without those that are not this file's."""
    result = lowtide("doctor", "--json", *options, target.pid)
    assert result.code == 0, result
    found = {}
    for finding in result.json["result"]["findings"]:
        assert finding["title"] and finding["explanation"] and finding["fix"] and finding["evidence"], finding
        if finding["id"] in OURS:
            found.setdefault(finding["id"], finding)
    return found


def resident_bytes(target):
    return int(Path(f"/proc/{target.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def loud(found):
    return {name for name, finding in found.items() if finding["severity"] != "info"}


def at_least(finding, severity):
    return SEVERITIES.index(finding["severity"]) >= SEVERITIES.index(severity)


# ---- Free memory that stays ----

SURVIVORS = '''
    class Order:
        __slots__ = ("number", "price", "lines", "customer", "when")
        def __init__(self, number):
            self.number = float(number)
    ballast = [Order(i) for i in range(500_000)]
    kept = ballast[::%d]
    del ballast
'''


def has_arenas(lowtide, target):
    result = lowtide("fragmentation", "--json", target.pid)
    return result.json["result"]["pymalloc"]["arenas"] > 0


def test_arenas_that_survivors_pin(interpreter, lowtide):
    with Target(interpreter, service(SURVIVORS % 5000)) as target:
        target.wait_asleep()
        if not has_arenas(lowtide, target):
            pytest.skip("an interpreter without pymalloc")
        found = look(lowtide, target)
        assert "arenas-pinned" in found, found
        finding, evidence = found["arenas-pinned"], found["arenas-pinned"]["evidence"]
        assert at_least(finding, "medium")
        assert evidence["survivor_type"] == "shop.Order" and 50 <= evidence["survivors"] <= 400, evidence
        assert evidence["free_bytes"] > 10 * evidence["used_bytes"] > 0
        assert evidence["pinned_arenas"] > 0.5 * evidence["arenas"]
        assert evidence["free_bytes"] <= evidence["rss_bytes"] <= target.status("VmHWM") * 1024
        assert "sys.modules['shop'].kept[" in finding["expression"]
        assert "error" not in evaluate(target, finding["expression"])
        assert "maxtasksperchild" in finding["fix"] and "try-allocators" in finding["fix"]
        assert f"shop.Order, such as {finding['expression']}" in finding["fix"]
        assert loud(found) == {"arenas-pinned"}, found


def test_a_heap_that_is_full_pins_nothing(interpreter, lowtide):
    with Target(interpreter, service(SURVIVORS % 1)) as target:
        target.wait_asleep()
        assert look(lowtide, target) == {}


def test_holes_that_a_trim_would_return(interpreter, lowtide):
    with Target(interpreter, HOLES) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        finding = found["trim-would-return"]
        assert at_least(finding, "low")
        holes = target.facts["holes"]
        assert 0.7 * holes < finding["evidence"]["trim_gain_bytes"] < 1.1 * holes, finding
        assert f"lowtide trim {target.pid}" in finding["fix"] and "MALLOC_TRIM_THRESHOLD_" in finding["fix"]
        assert loud(found) == {"trim-would-return"}, found
    with Target(interpreter, HOLES.replace("for address in big:", "for address in ():")) as target:
        target.wait_asleep()
        assert "trim-would-return" not in look(lowtide, target)


def test_what_is_said_to_come_back_does(interpreter, lowtide):
    script = HOLES.rstrip() + "\nwait_line()\nlibc.malloc_trim(0)\nready()\nsleep_forever()\n"
    with Target(interpreter, script) as target:
        target.wait_asleep()
        predicted = look(lowtide, target)["trim-would-return"]["evidence"]["trim_gain_bytes"]
        before = target.status("VmRSS")
        target.send()
        target.wait_ready()
        gained = (before - target.status("VmRSS")) * 1024
        assert abs(gained - predicted) < 0.1 * predicted + MIB, (gained, predicted)


def test_arenas_of_threads(interpreter, lowtide):
    with Target(interpreter, THREADS) as target:
        target.wait_asleep()
        arenas = lowtide("fragmentation", "--json", target.pid).json["result"]["malloc"]["thread_arenas"]
        if arenas < 4:
            pytest.skip("malloc makes too few arenas for threads on this machine")
        found = look(lowtide, target)
        finding, evidence = found["malloc-arenas"], found["malloc-arenas"]["evidence"]
        assert at_least(finding, "medium")
        assert evidence["thread_arenas"] == arenas and evidence["threads"] == 13
        assert evidence["free_bytes"] > 0.5 * target.facts["freed"]
        assert "MALLOC_ARENA_MAX=2" in finding["fix"]
        assert loud(found) == {"malloc-arenas"}, found
    with Target(interpreter, THREADS, env={"MALLOC_ARENA_MAX": "1"}) as target:
        target.wait_asleep()
        assert "malloc-arenas" not in look(lowtide, target)


# Pages that a pool of threads renders; of each thread's some stay in a cache.
RENDERED = """
    import concurrent.futures, threading
    cache = {}
    both = threading.Barrier(12)
    def render(i):
        both.wait()
        pages = [b"%d" % (10 ** 9 + k) * 300 for k in range(3_000)]
        cache[i] = pages[::60]
        both.wait()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(render, range(12)))
"""


def test_arenas_of_threads_name_what_survives_in_them(interpreter, lowtide):
    with Target(interpreter, service(RENDERED)) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        if "malloc-arenas" not in found:
            pytest.skip("malloc makes too few arenas for threads on this machine")
        finding, evidence = found["malloc-arenas"], found["malloc-arenas"]["evidence"]
        assert evidence["survivor_type"] == "bytes" and evidence["survivors"] > 100, evidence
        assert "sys.modules['shop'].cache[" in finding["expression"]
        assert "error" not in evaluate(target, finding["expression"])
        assert evidence["threads"] == 1 and "for 1 thread now" in finding["explanation"]


# ---- No Python object's ----

def test_memory_of_c_code(interpreter, lowtide):
    source = C_MEMORY + '''
    blocks = [libc.malloc(10_000) for _ in range(20_000)]
    for block in blocks:
        libc.memset(block, 1, 10_000)
    '''
    with Target(interpreter, service(source)) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert loud(found) == {"rss-above-python"}, found
        evidence = found["rss-above-python"]["evidence"]
        assert 0.9 * 200e6 < evidence["native_bytes"] < 1.2 * 200e6, evidence
        assert evidence["python_bytes"] < 0.2 * evidence["rss_bytes"]
        assert "memory of C code" in found["rss-above-python"]["explanation"]
        assert abs(evidence["rss_bytes"] / 1024 - target.status("VmRSS")) < 4096


def test_memory_of_python_objects_is_explained(interpreter, lowtide):
    with Target(interpreter, service("rows = [bytes(10_000) for _ in range(20_000)]")) as target:
        target.wait_asleep()
        assert look(lowtide, target) == {}


def test_private_memory_of_mmap_objects_is_that_of_python_objects(interpreter, lowtide):
    source = """
    import mmap, threading, time
    held = []
    def take(size):
        held.append(mmap.mmap(-1, size, flags=mmap.MAP_ANONYMOUS | mmap.MAP_PRIVATE))
        held[-1].write(b"x" * size)
    take(150 << 20)
    def grow():
        while True:
            time.sleep(0.05)
            take(1 << 20)
    threading.Thread(target=grow, daemon=True).start()
    """
    with Target(interpreter, service(source)) as target:
        found = look(lowtide, target, "-d", "2")
        assert not {"rss-above-python", "native-growth"} & set(found), found


def test_a_mapped_file_is_for_information(interpreter, lowtide, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"x" * (100 * MIB))
    path.chmod(0o644)
    script = f'''
import mmap
file = open({str(path)!r}, "rb")
data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
total = sum(data[i] for i in range(0, len(data), 4096))
ready()
'''
    if interpreter.root is not None:
        pytest.skip("the file is not in its root")
    with Target(interpreter, script) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert loud(found) == set()
        assert found["rss-above-python"]["evidence"]["file_bytes"] >= 100 * MIB
        assert "mapped files" in found["rss-above-python"]["explanation"]


GROWS_OVER_TIME = C_MEMORY + '''
    import threading, time
    kept = []
    def grow():
        while True:
            time.sleep(0.02)
            %s
    threading.Thread(target=grow, daemon=True).start()
'''


@pytest.mark.three_interpreters("the parts of malloc are those of the C library")
def test_growth_of_c_code(interpreter, lowtide):
    source = GROWS_OVER_TIME % "address = libc.malloc(200_000); libc.memset(address, 1, 200_000); kept.append(address)"
    with Target(interpreter, service(source)) as target:
        # On a busy machine three seconds may not be enough for it to grow in.
        for seconds in ("3", "10", "30"):
            before = resident_bytes(target)
            found = look(lowtide, target, "-d", seconds)
            grown = resident_bytes(target) - before
            if grown >= 16 * MIB:
                break
        assert "native-growth" in found, (grown, found)
        evidence = found["native-growth"]["evidence"]
        assert evidence["native_growth_bytes"] > 10 * evidence["python_growth_bytes"]
        assert evidence["growth_per_hour_bytes"] > evidence["native_growth_bytes"] >= 4 * MIB
        assert f"lowtide leaks -d 60 {target.pid}" in found["native-growth"]["fix"]
        assert "native-growth" not in look(lowtide, target), "that takes two looks"


@pytest.mark.three_interpreters("the parts of malloc are those of the C library", every={"step": ("kept.append(bytes(range(256)) * 800)",)})
@pytest.mark.parametrize("step", ["kept.append(bytes(range(256)) * 800)",
                                  "kept.append(['%d' % i for i in range(3000)])",
                                  "address = libc.malloc(200_000); libc.memset(address, 1, 200_000); libc.free(address)"],
                         ids=["big", "small", "freed"])
def test_growth_of_python_objects_is_not_that_of_c_code(interpreter, lowtide, step):
    with Target(interpreter, service(GROWS_OVER_TIME % step)) as target:
        assert "native-growth" not in look(lowtide, target, "-d", "3")


def has_huge_pages(target):
    text = Path(f"/proc/{target.pid}/smaps").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("AnonHugePages")) >= 100 * 1024


def test_huge_pages_that_are_empty(interpreter, lowtide):
    with Target(interpreter, service(HUGE % "1")) as target:
        target.wait_asleep()
        if not has_huge_pages(target):
            pytest.skip("the kernel gives no huge pages here")
        found = look(lowtide, target)
        evidence = found["huge-pages-empty"]["evidence"]
        assert evidence["empty_share"] > 0.95 and evidence["huge_bytes"] >= 100 * MIB, evidence
        assert evidence["pages_looked_at"] >= 100
        assert "transparent_hugepage" in found["huge-pages-empty"]["fix"]
    with Target(interpreter, service(HUGE % "huge")) as target:
        target.wait_asleep()
        assert "huge-pages-empty" not in look(lowtide, target)


# ---- Limits ----

ADDRESSES = '''
    import resource
    ballast = bytearray(100 << 20)
    used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
    limit = used + (%d << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
'''


def test_a_limit_of_addresses_is_no_fragmentation(interpreter, lowtide):
    with Target(interpreter, service(ADDRESSES % 2)) as target:
        target.wait_asleep()
        found = look(lowtide, target, "--mode", "stop")
        assert loud(found) == {"memory-limit-near"}, found
        finding, evidence = found["memory-limit-near"], found["memory-limit-near"]["evidence"]
        limit = evaluate(target, "sys.modules['shop'].limit")["value"]
        assert evidence["cause"] == "RLIMIT_AS" and evidence["limit_bytes"] == limit
        assert evidence["used_bytes"] + evidence["headroom_bytes"] == limit
        assert finding["severity"] == "high" and "not fragmentation" in finding["explanation"]
        assert "ulimit -v" in finding["fix"]
    with Target(interpreter, service(ADDRESSES % 1000)) as target:
        target.wait_asleep()
        assert look(lowtide, target) == {}


@contextlib.contextmanager
def control_group(name):
    """A group of this system's memory hierarchy below the own one; (directory, version), or None without the right to."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    own = {2 if line[0] == "0" else 1: line[2] for line in lines if line[0] == "0" or "memory" in line[1].split(",")}
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    group = None
    for fields in mounts:
        dash = fields.index("-")
        kind, options = fields[dash + 1], fields[dash + 3].split(",")
        version = 1 if kind == "cgroup" and "memory" in options else 2 if kind == "cgroup2" else 0
        if version not in own:
            continue
        below = os.path.relpath(own[version], fields[3])
        directory = Path(fields[4]) / ("" if below.startswith("..") else below)
        limit = "memory.limit_in_bytes" if version == 1 else "memory.max"
        try:
            (directory / name).mkdir()
        except OSError:
            continue
        if (directory / name / limit).exists():
            group = directory / name, version
            break
        (directory / name).rmdir()
    try:
        yield group
    finally:
        if group is not None:
            for pid in (group[0] / "cgroup.procs").read_text().split():
                (group[0].parent / "cgroup.procs").write_text(pid)
            group[0].rmdir()


def put_limit(group, bytes_):
    directory, version = group
    (directory / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(str(bytes_))


def usage(group):
    directory, version = group
    return int((directory / ("memory.usage_in_bytes" if version == 1 else "memory.current")).read_text())


GROWS = '''
wait_line()
ballast = bytearray(b"x" * (64 << 20))
ready()
wait_line()
ready()
'''


def test_a_control_group_that_is_nearly_full(interpreter, lowtide):
    with control_group(f"lowtide-test-{os.getpid()}") as group:
        if group is None:
            pytest.skip("no control group can be made here")
        with Target(interpreter, GROWS, wait=False) as target:
            (group[0] / "cgroup.procs").write_text(str(target.pid))
            put_limit(group, 1 << 30)
            target.send()
            target.wait_ready()
            assert "memory-limit-near" not in look(lowtide, target, "--mode", "stop")
            put_limit(group, int(usage(group) * 1.05))
            found = look(lowtide, target, "--mode", "stop")
            finding, evidence = found["memory-limit-near"], found["memory-limit-near"]["evidence"]
            assert (group[0] / evidence["cause"]).is_file() and group[0].name in evidence["group"], finding
            assert evidence["cause"] == ("memory.limit_in_bytes" if group[1] == 1 else "memory.max")
            assert evidence["headroom_bytes"] < 0.1 * evidence["limit_bytes"]
            assert evidence["used_bytes"] > 64 * MIB and evidence["oom_kills"] == 0
            assert "gets a process of the group killed" in finding["explanation"]
            assert "lowtide trim" not in finding["fix"], "there is nothing free"


# ---- What was left on ----

@pytest.mark.parametrize("env, options, finding, cause", [
    ({"PYTHONMALLOC": "debug"}, (), "debug-hooks", "PYTHONMALLOC=debug"),
    ({"PYTHONDEVMODE": "1"}, (), "debug-hooks", "PYTHONDEVMODE=1"),
    ({}, ("-X", "dev"), "debug-hooks", "-X dev"),
    ({"PYTHONTRACEMALLOC": "7"}, (), "tracemalloc-on", "PYTHONTRACEMALLOC=7"),
    ({"MALLOC_PERTURB_": "165"}, (), "malloc-debugging", "MALLOC_PERTURB_=165"),
    ({"MALLOC_CHECK_": "3"}, (), "malloc-debugging", "MALLOC_CHECK_=3"),
    ({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=5:glibc.malloc.perturb=7"}, (), "malloc-debugging",
     "GLIBC_TUNABLES=glibc.malloc.perturb=7"),
    ({"PYTHONMALLOCSTATS": "1"}, (), "malloc-debugging", "PYTHONMALLOCSTATS=1"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_debugging_that_was_left_on(interpreter, lowtide, env, options, finding, cause):
    with Target(interpreter, "ready()", env=env, options=options) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert loud(found) == {finding}, found
        assert found[finding]["evidence"]["cause"] == cause
        assert cause in found[finding]["fix"]
        if finding == "tracemalloc-on":
            assert found[finding]["evidence"]["frames"] == 7


def test_settings_that_cost_nothing(interpreter, lowtide):
    env = {"MALLOC_PERTURB_": "0", "PYTHONTRACEMALLOC": "0", "PYTHONMALLOC": "pymalloc", "MALLOC_CHECK_": "", "PYTHONDEVMODE": ""}
    with Target(interpreter, "ready()", env=env) as target:
        target.wait_asleep()
        assert look(lowtide, target) == {}


def test_tracing_that_the_program_started_and_stopped(interpreter, lowtide):
    script = "import tracemalloc\ntracemalloc.start(3)\nready()\nwait_line()\ntracemalloc.stop()\nready()\nwait_line()\n"
    with Target(interpreter, script) as target:
        found = look(lowtide, target)
        if not found and interpreter.version < (3, 12):
            pytest.skip("a binary of before 3.12 without the symbol")
        evidence = found["tracemalloc-on"]["evidence"]
        assert evidence["frames"] == 3 and "cause" not in evidence
        assert "tracemalloc.stop()" in found["tracemalloc-on"]["fix"]
        target.send()
        target.wait_ready()
        assert look(lowtide, target) == {}


# ---- Healthy services ----

@pytest.mark.parametrize("program", [program for program in programs() if program.expect is None], ids=lambda program: program.name)
def test_a_healthy_service_is_left_alone(program, lowtide):
    with corpus_target(program, interpreter_for(program)) as process:
        for options in ((), ("-d", "3")):
            found = look(lowtide, process, *options)
            assert loud(found) == set(), found
        assert process.alive(), process.output()
