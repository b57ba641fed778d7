"""Snapshot files that are damaged, foreign, newer or cannot be written: a sentence and exit code 6, never another answer.

The damage itself is tried byte by byte in tests/unit/test_store_damage.c; here are the commands on a real snapshot.
"""
import ctypes
import errno
import fcntl
import os
import random
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import textwrap

import pytest
from harness import Target, build_dir, interpreters, lowtide_path, reset_signals

PAGE, RESERVED = 16384, 16
SCRIPT = textwrap.dedent('''
    class Order:
        def __init__(self, number):
            self.number, self.note, self.lines = number + 1000, "note %d" % number, [(number, "line")]
    orders = {i: Order(i) for i in range(4000)}
    ready()
''')
QUESTIONS = (["types", "--all"], ["retained"], ["sql"])
QUERY = "SELECT count(*), sum(size), sum(address), min(name) FROM objects"


@pytest.fixture(scope="module")
def target():
    with Target(interpreters()[0], SCRIPT) as process:
        yield process


@pytest.fixture(scope="module")
def good(target, tmp_path_factory, lowtide):
    path = tmp_path_factory.mktemp("tide") / "good.tide"
    result = lowtide("snapshot", "-o", path, target.pid)
    assert result.code == 0, result
    return path


def ask(lowtide, path, question):
    arguments = [question[0], "--json", *question[1:], path] + ([QUERY] if question[0] == "sql" else [])
    return lowtide(*arguments)


@pytest.fixture(scope="module")
def answers(lowtide, good):
    found = [ask(lowtide, good, question) for question in QUESTIONS]
    assert all(answer.code == 0 for answer in found), found
    return [answer.json["result"] for answer in found]


def is_refused(result, words=""):
    lines = [line for line in result.err.splitlines() if not line.startswith("lowtide: warning")]
    assert result.code == 6, str(result)
    assert lines[0].startswith("lowtide: ") and lines[0].endswith(".") and words in lines[0], str(result)


def test_only_the_file_is_there(good):
    assert sorted(os.listdir(good.parent)) == [good.name]
    assert good.stat().st_mode & 0o077 == 0


def test_any_sqlite_reads_it(good):
    database = sqlite3.connect(f"file:{good}?immutable=1", uri=True)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("SELECT value FROM meta WHERE key = 'complete'").fetchall() == [(1,)]
    database.close()
    assert sorted(os.listdir(good.parent)) == [good.name]


def test_cut_at_every_4_kib(lowtide, good, tmp_path):
    path = tmp_path / "cut.tide"
    shutil.copy(good, path)
    for turn, length in enumerate(range(good.stat().st_size // 4096 * 4096, -1, -4096)):
        if length == good.stat().st_size:
            continue
        os.truncate(path, length)
        is_refused(ask(lowtide, path, QUESTIONS[turn % 3]), "it is cut off" if length else "it is empty")


def test_flipped_bytes(lowtide, good, answers, tmp_path):
    content, chance, path = good.read_bytes(), random.Random(3), tmp_path / "flipped.tide"
    found = 0
    for page in range(0, len(content), PAGE):
        damaged = bytearray(content)
        damaged[page + chance.randrange(PAGE)] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        turn = page // PAGE % 3
        result = ask(lowtide, path, QUESTIONS[turn])
        if result.code == 0:
            assert result.json["result"] == answers[turn], page
        else:
            is_refused(result, "does not match its checksum")
            found += 1
    assert found > 0
    assert sorted(os.listdir(tmp_path)) == [path.name]


def test_foreign_files(lowtide, tmp_path):
    path = tmp_path / "foreign.tide"
    for content, words in ((b"", "it is empty"), (b"What a nice day.\n", "it is no SQLite database"),
                           (b"\x89PNG\r\n\x1a\n" + bytes(1000), "it is no SQLite database"),
                           (b"SQLite format 3\0", "it is cut off"), (b"SQLite format 3\0" + bytes(5000), "of another program")):
        path.write_bytes(content)
        for question in QUESTIONS:
            is_refused(ask(lowtide, path, question), words)
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE meta (key, value)")
    database.close()
    is_refused(ask(lowtide, path, QUESTIONS[0]), "of another program")
    path.unlink()
    os.mkfifo(path)
    is_refused(ask(lowtide, path, QUESTIONS[0]), "no regular file")
    is_refused(ask(lowtide, tmp_path, QUESTIONS[0]), "it is a folder")


def test_every_command_refuses_damage(lowtide, good, tmp_path):
    bad, out = tmp_path / "bad.tide", tmp_path / "out.heapsnapshot"
    commands = (["doctor", bad], ["path", bad, "__main__.Order"], ["object", bad, "sys.modules['__main__'].orders"],
                ["retained", "--from", "__main__.Order", bad], ["types", "--retained", bad], ["snapshot", "-o", out, bad],
                ["diff", good, bad], ["diff", bad, good], ["leaks", good, bad])
    shutil.copy(good, bad)
    content, chance = good.read_bytes(), random.Random(5)
    right = [lowtide(*command, "--json") for command in commands]
    assert all(answer.code == 0 for answer in right), right
    found = dict.fromkeys(range(len(commands)), 0)
    for damage in range(9):
        damaged = bytearray(content)
        if damage == 0:
            del damaged[len(damaged) // 8192 * 4096:]
        else:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        bad.write_bytes(damaged)
        out.unlink(missing_ok=True)
        for number, command in enumerate(commands):
            result = lowtide(*command, "--json")
            if result.code == 0 and damage > 0:
                assert result.json["result"] == right[number].json["result"], (damage, command)
                continue
            is_refused(result, "" if damage else "it is cut off")
            assert "result" not in result.json
            assert command[0] != "snapshot" or os.listdir(tmp_path) == ["bad.tide"]
            found[number] += 1
    # Each met the cut, and many of the flipped bytes are where most of them read.
    assert min(found.values()) >= 1 and sum(found.values()) > 2 * len(commands), found


def xxh64(data: bytes, seed: int) -> int:
    """By the description of the algorithm, so that the format is what its documentation says."""
    ones = (1 << 64) - 1
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)

    def turn(value, bits):
        return (value << bits | value >> (64 - bits)) & ones

    def mix(lane, word):
        return turn((lane + word * p2) & ones, 31) * p1 & ones

    assert len(data) >= 32 and len(data) % 8 == 0
    lanes = [(seed + p1 + p2) & ones, (seed + p2) & ones, seed, (seed - p1) & ones]
    whole = len(data) // 32 * 32
    for words in struct.iter_unpack("<4Q", data[:whole]):
        lanes = [mix(lane, word) for lane, word in zip(lanes, words)]
    value = sum(turn(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & ones
    for lane in lanes:
        value = ((value ^ mix(0, lane)) * p1 + p4) & ones
    value = (value + len(data)) & ones
    for (word,) in struct.iter_unpack("<Q", data[whole:]):
        value = (turn(value ^ mix(0, word), 27) * p1 + p4) & ones
    value = (value ^ value >> 33) * p2 & ones
    value = (value ^ value >> 29) * p3 & ones
    return value ^ value >> 32


def checksum(page: bytes, number: int) -> int:
    (file_number,) = struct.unpack("<Q", page[PAGE - 16:PAGE - 8])
    return xxh64(page[:PAGE - RESERVED], file_number ^ number * 0x9E3779B97F4A7C15 & (1 << 64) - 1)


def test_checksums_are_as_documented(good):
    content = good.read_bytes()
    for number in (1, 2, len(content) // PAGE):
        page = content[(number - 1) * PAGE:number * PAGE]
        assert struct.unpack("<Q", page[-8:]) == (checksum(page, number),)


def test_newer_schema(lowtide, good, tmp_path):
    content = bytearray(good.read_bytes())
    (schema,) = struct.unpack(">I", content[60:64])
    content[60:64] = struct.pack(">I", schema + 1)
    content[PAGE - 8:PAGE] = struct.pack("<Q", checksum(bytes(content[:PAGE]), 1))
    path = tmp_path / "newer.tide"
    path.write_bytes(content)
    for question in QUESTIONS:
        result = ask(lowtide, path, question)
        is_refused(result, f"its schema is {schema + 1}")
        assert "or later" in result.err


def test_changed_by_another_program(lowtide, good, tmp_path):
    path = tmp_path / "changed.tide"
    shutil.copy(good, path)
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = 7 WHERE key = 'complete'")
    database.commit()
    database.close()
    is_refused(ask(lowtide, path, QUESTIONS[0]), "damaged")


def snapshot(lowtide, target, path, **options):
    return lowtide("snapshot", "-o", path, target.pid, **options)


def test_a_second_writer(lowtide, target, good, tmp_path):
    path = tmp_path / "a.tide"
    shutil.copy(good, path)
    with open(f"{path}.unfinished", "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        is_refused(snapshot(lowtide, target, path), "another lowtide is writing")
        assert os.path.exists(other.name)
    assert path.read_bytes() == good.read_bytes()
    # Its writer is gone now: what it left is replaced.
    assert snapshot(lowtide, target, path).code == 0
    assert sorted(os.listdir(tmp_path)) == ["a.tide"]
    assert ask(lowtide, path, QUESTIONS[1]).code == 0


def test_a_second_writer_while_the_first_is_at_work(lowtide, target, tmp_path):
    path = tmp_path / "a.tide"
    first = subprocess.Popen([lowtide_path(), "snapshot", "-o", str(path), str(target.pid)], stdout=subprocess.DEVNULL,
                             preexec_fn=reset_signals)
    try:
        while first.poll() is None and not os.path.exists(f"{path}.unfinished"):
            pass
        first.send_signal(signal.SIGSTOP)
        # It stands from here on; it may have been done just before.
        os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if os.path.exists(f"{path}.unfinished"):
            is_refused(snapshot(lowtide, target, path), "another lowtide is writing")
            assert os.listdir(tmp_path) == ["a.tide.unfinished"]
        first.send_signal(signal.SIGCONT)
        assert first.wait(60) == 0
    finally:
        first.kill()
        first.wait()
    assert os.listdir(tmp_path) == ["a.tide"] and ask(lowtide, path, QUESTIONS[0]).code == 0


def test_a_file_in_the_way_stays(lowtide, target, tmp_path):
    other = tmp_path / "a.tide.unfinished"
    other.write_text("my notes, do not touch")
    is_refused(snapshot(lowtide, target, tmp_path / "a.tide"), "is in the way")
    assert other.read_text() == "my notes, do not touch"


def test_places_where_nothing_can_be_written(lowtide, target, tmp_path):
    is_refused(snapshot(lowtide, target, tmp_path / "nosuch" / "a.tide"), "No such file or directory")
    is_refused(snapshot(lowtide, target, "/proc/a.tide"), "cannot write")
    (tmp_path / "file").write_text("")
    is_refused(snapshot(lowtide, target, tmp_path / "file" / "a.tide"), "Not a directory")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_full_disk(target, good, tmp_path, share):
    path = tmp_path / "a.tide"
    path.write_text("as it was")
    limit = int(good.stat().st_size * share)
    done = subprocess.run([lowtide_path(), "snapshot", "-o", str(path), str(target.pid)], capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)), timeout=120, check=False)
    assert done.returncode == 6 and "cannot write" in done.stderr, done
    assert path.read_text() == "as it was" and os.listdir(tmp_path) == ["a.tide"]


def test_a_small_file_system(lowtide, target, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    script = ('mount -t tmpfs -o size=64k none "$1" && { "$2" snapshot -o "$1/a.tide" "$3"; code=$?; ls -A "$1" >&2; exit $code; }')
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), str(lowtide_path()), str(target.pid)],
                          capture_output=True, text=True, timeout=120, check=False)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no mount namespace here")
    assert done.returncode == 6 and "No space left on device" in done.stderr and "a.tide." not in done.stderr.split("\n", 1)[1], done


def test_an_end_by_a_signal_leaves_nothing(target, tmp_path):
    path = tmp_path / "a.tide"
    process = subprocess.Popen([lowtide_path(), "snapshot", "-o", str(path), str(target.pid)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and not os.path.exists(f"{path}.unfinished"):
        pass
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    # It may have been done just before the signal came.
    assert (code == -signal.SIGTERM and os.listdir(tmp_path) == []) or (code == 0 and os.listdir(tmp_path) == ["a.tide"])


def without_unnamed_files() -> None:
    """O_TMPFILE fails from here on, as it does where the file system has no such files."""
    steps = ((0x20, 0, 0, 0), (0x15, 0, 3, 257),  # the number of the call: openat
             (0x20, 0, 0, 32), (0x45, 0, 1, 0o20000000),  # its flags
             (0x06, 0, 0, 0x50000 | errno.EOPNOTSUPP), (0x06, 0, 0, 0x7fff0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    reset_signals()
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        os._exit(99)


def test_an_end_by_a_signal_leaves_no_report(good, tmp_path):
    path = tmp_path / "a.heapsnapshot"
    ends = []
    for number in (signal.SIGTERM, signal.SIGINT, 0):
        process = subprocess.Popen([lowtide_path(), "snapshot", "-o", str(path), str(good)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=without_unnamed_files)
        temporary = f"{path}.{process.pid}.tmp"
        while process.poll() is None and not os.path.exists(temporary):
            pass
        seen = process.poll() is None
        process.send_signal(number)
        ends.append(process.wait(60))
        # It may have been done just before the signal came.
        assert ends[-1] in (0, -number) and os.listdir(tmp_path) == ([path.name] if ends[-1] == 0 else []), (ends, os.listdir(tmp_path))
        path.unlink(missing_ok=True)
    assert seen and ends[-1] == 0, "no name while it was written"


def test_files_that_lie(good, tmp_path):
    """Values changed and all checksums right: an answer or a sentence, never a crash (tests/tools/lt_forge.c)."""
    done = subprocess.run([build_dir() / "tests/tools/lt_forge", good, tmp_path / "forged.tide", "12", "1"],
                          capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done
