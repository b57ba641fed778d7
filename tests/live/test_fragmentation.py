"""Fragmentation: verdicts of seeded processes, pymalloc against sys._debugmallocstats(), the map, limits told apart."""
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness import Target
from test_rss import QUIET, debug_malloc_stats

# Small objects of 60 MiB, of which one a MiB stays.
SURVIVORS = '''
import gc
gc.disable()
held = [(float(i), str(i) * 3) for i in range(600_000)]
held = held[::8000]
ready()
'''

# Chunks between small ones that stay: holes, none of which is at an end.
HOLES = '''
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
size = 20_000
big, between = [], []
for i in range(3_000):
    address = libc.malloc(size)
    libc.memset(address, 1, size)
    big.append(address)
    between.append(libc.malloc(2_000))
for address in big:
    libc.free(address)
ready(holes=len(big) * size)
'''

# Each thread frees 4 MiB of chunks in its own arena and keeps one behind them.
THREADS = '''
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
start, done, end = threading.Barrier(12), threading.Barrier(13), threading.Event()
def work():
    start.wait()
    size = 20_000
    addresses = [libc.malloc(size) for i in range(200)]
    for address in addresses:
        libc.memset(address, 1, size)
    kept = libc.malloc(2_000)
    for address in addresses:
        libc.free(address)
    done.wait()
    end.wait()
for i in range(12):
    threading.Thread(target=work, daemon=True).start()
done.wait()
ready(freed=12 * 200 * 20_000)
'''


def look(lowtide, target, *options):
    result = lowtide("fragmentation", "--json", *options, target.pid)
    assert result.code == 0, result
    return result.json["result"]


def has_pymalloc(found):
    return found["pymalloc"]["arenas"] > 0


def test_a_fresh_process_has_none(interpreter, lowtide):
    with Target(interpreter, "ready()") as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert found["verdict"] == "none", found
        assert 0 <= found["free_bytes"] <= found["held_bytes"]
        assert found["held_bytes"] / 1024 <= target.status("VmRSS")


def test_every_number_of_pymalloc_is_the_interpreters_own(interpreter, lowtide):
    with Target(interpreter, QUIET) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        expected = debug_malloc_stats(target.output())
        rows = [{name: row[name] for name in expected["size_classes"][0]} for row in found["size_classes"]]
        assert rows == expected["size_classes"]
        for name in ("arenas", "arena_bytes", "used_bytes", "free_bytes", "free_pools"):
            assert found["pymalloc"][name] == expected[name], name


def test_survivors_pin_the_arenas(interpreter, lowtide):
    with Target(interpreter, SURVIVORS) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        if not has_pymalloc(found):
            pytest.skip("an interpreter without pymalloc")
        assert found["verdict"] == "pinned", found
        pymalloc = found["pymalloc"]
        assert pymalloc["pinned_arenas"] > 0.5 * pymalloc["arenas"]
        assert pymalloc["pinned_free_bytes"] > 10 * pymalloc["pinned_used_bytes"] > 0
        assert pymalloc["pinned_blocks"] >= 70
        assert found["ratio"] == pytest.approx(found["free_bytes"] / found["held_bytes"])
        assert pymalloc["pinned_free_bytes"] <= pymalloc["resident_free_bytes"] <= pymalloc["arena_bytes"]
        assert pymalloc["pool_bytes"] <= found["largest_free_bytes"] < pymalloc["arena_bytes"]


def test_holes_in_malloc_are_internal(interpreter, lowtide):
    with Target(interpreter, HOLES) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert found["malloc"], found
        assert found["verdict"] == "internal", found
        main = found["arenas"][0]
        assert main["kind"] == "main"
        assert main["resident_free_bytes"] > 0.95 * target.facts["holes"], main
        assert 20_000 <= main["largest_free_bytes"]
        assert found["malloc"]["resident_free_bytes"] > 5 * found["pymalloc"]["resident_free_bytes"]


def test_arenas_of_many_threads(interpreter, lowtide):
    with Target(interpreter, THREADS) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert found["malloc"], found
        if found["malloc"]["thread_arenas"] < 4:
            pytest.skip("malloc makes too few arenas for threads on this machine")
        assert found["verdict"] == "arenas", found
        assert found["malloc"]["thread_arenas_free_bytes"] > 0.5 * target.facts["freed"]
        threads = [arena for arena in found["arenas"] if arena["kind"] == "thread"]
        assert len(threads) == found["malloc"]["thread_arenas"]
        assert sum(arena["resident_free_bytes"] for arena in threads) == found["malloc"]["thread_arenas_free_bytes"]


def test_a_limit_of_address_space_is_told_apart(interpreter, lowtide):
    script = '''
import resource
ballast = bytearray(100 << 20)
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
limit = used + (4 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
ready(limit=limit)
'''
    with Target(interpreter, script) as target:
        target.wait_asleep()
        found = look(lowtide, target, "--mode", "stop")
        limit = next(each for each in found["limits"] if each["cause"] == "RLIMIT_AS")
        assert limit["limit"] == target.facts["limit"]
        assert limit["used"] + limit["headroom"] == limit["limit"]
        assert abs(limit["used"] / 1024 - target.status("VmSize")) <= 4096
        assert limit["tight"] == (limit["headroom"] < 0.1 * limit["limit"])
        assert limit["tight"] and found["exhausted"], limit
        assert found["verdict"] == "none"
        text = lowtide("fragmentation", "--mode", "stop", target.pid)
        assert "Nearly exhausted: address space (RLIMIT_AS)" in text.out


def test_the_map_in_text_and_as_a_picture(interpreter, lowtide, tmp_path):
    with Target(interpreter, SURVIVORS) as target:
        target.wait_asleep()
        picture = tmp_path / "map.svg"
        result = lowtide("fragmentation", "--svg", picture, target.pid)
        assert result.code == 0, result
        found = look(lowtide, target)
        rows = result.out[result.out.index("MAP OF "):].splitlines()
        assert rows[1:] and all(set(row) <= set(" .-+*#\u00b7\u2591\u2592\u2593\u2588") or "MAP OF" in row or "full" in row
                                for row in rows if row), rows
        root = ElementTree.parse(picture).getroot()
        space = "{http://www.w3.org/2000/svg}"
        assert root.tag == space + "svg"
        texts = " ".join(node.text or "" for node in root.iter(space + "text"))
        assert "Fragmentation: " in texts and "not resident" in texts and f"PID {target.pid}" in texts
        height, width = float(root.get("height")), float(root.get("width"))
        cells = [(int(x), int(y)) for path in root.iter(space + "path")
                 for x, y in re.findall(r"M(\d+) (\d+)", path.get("d"))]
        assert len(cells) == len(set(cells))
        assert all(0 <= x < width and 0 <= y < height for x, y in cells)
        if has_pymalloc(found):
            assert "pinned by survivors" in texts
            pools = found["pymalloc"]["arena_bytes"] // found["pymalloc"]["pool_bytes"]
            assert len(cells) > 0.5 * min(pools, 8192)
        assert "http" not in picture.read_text().replace("http://www.w3.org/2000/svg", "")


def test_a_picture_tells_arenas_and_allocators_apart(interpreter, lowtide, tmp_path):
    picture = tmp_path / "map.svg"
    space = "{http://www.w3.org/2000/svg}"
    with Target(interpreter, THREADS, options=("-X", "a=<&>")) as target:
        target.wait_asleep()
        found = look(lowtide, target)
        assert lowtide("fragmentation", "--svg", picture, target.pid).code == 0
    root = ElementTree.parse(picture).getroot()
    titles = [node.text for node in root.iter(space + "text") if node.get("font-weight") == "bold"]
    arenas = found["malloc"]["thread_arenas"]
    if arenas < 4:
        pytest.skip("malloc makes too few arenas for threads on this machine")
    assert any(title.startswith("malloc, main arena: ") for title in titles), titles
    assert any(title.startswith(f"malloc, {arenas} arenas for threads") for title in titles), titles
    assert any("<&>" in (node.text or "") for node in root.iter(space + "text"))
    top = max(int(node.get("y")) for node in root.iter(space + "text"))
    rows = sorted({int(y) for path in root.iter(space + "path") for y in re.findall(r"M\d+ (\d+)", path.get("d"))})
    rows = [y for y in rows if y > top]
    assert sum(after - before > 8 for before, after in zip(rows, rows[1:])) == arenas - 1, rows


def test_a_picture_that_cannot_be_written_is_said_before_the_process_is_stopped(lowtide, tmp_path):
    result = lowtide("fragmentation", "--svg", tmp_path / "none" / "map.svg", 1)
    assert result.code == 6, result


# Blocks of 3,000 bytes by the C allocator: every fourth stays.
OTHER = """
held = [bytes([i % 255]) * 3000 for i in range(60_000)]
kept = held[::4]
del held
ready(kept=len(kept))
"""


@pytest.mark.parametrize("allocator", ["jemalloc", "mimalloc"])
def test_another_allocator(interpreter, lowtide, allocator, tmp_path):
    library = next(iter(sorted(Path("/usr/lib/x86_64-linux-gnu").glob(f"lib{allocator}.so*"))), None)
    if library is None or interpreter.root is not None:
        pytest.skip(f"lib{allocator} is not here, or not in the root of the interpreter")
    with Target(interpreter, OTHER, env={"LD_PRELOAD": str(library)}) as target:
        result = lowtide("fragmentation", "--json", target.pid)
        shown = lowtide("fragmentation", "--svg", tmp_path / "map.svg", target.pid)
    assert f"\nMAP OF {allocator.upper()} " in shown.out and f">{allocator}: " in (tmp_path / "map.svg").read_text(), shown
    assert result.code == 0 and shown.code == 0, (result, shown)
    found = result.json["result"]
    other = found["other_allocator"]
    assert other["name"] == allocator and other["whole"]
    assert found["verdict"] == "internal" and allocator in shown.out
    # 45,000 blocks have gone: 129 MiB at least, but for pages that went back already; the objects that are left stay.
    gone, stays = 45_000 * 3033, 15_000 * 3033
    assert other["resident_bytes"] - other["resident_free_bytes"] >= stays
    assert found["held_bytes"] >= other["resident_bytes"] >= stays
    assert 0.2 * gone <= other["resident_free_bytes"] <= 1.3 * gone
    assert other["free_page_bytes"] <= other["resident_free_bytes"]
    assert other["largest_free_bytes"] <= found["largest_free_bytes"]
    assert [arena["kind"] for arena in found["arenas"]][-1] == allocator
