"""Snapshot files: the same answers as from the process, and nothing in them that is a value."""
import json
import re
import subprocess
import textwrap

import pytest
from harness import Target, build_dir
from test_findings import service

SHOP = '''
    import array, collections, functools, threading
    recent = collections.deque(range(100), maxlen=100)
    raw, numbers = bytearray(10000), array.array("d", [1.5] * 1000)
    class Order:
        __slots__ = ("number", "lines")
        def __init__(self, number):
            self.number = number
            self.lines = [{"line": number, "text": "line %d" % number}]
    class Registry:
        entries = {}
    Registry.entries.update((("order", i), Order(i)) for i in range(3000))
    class Session:
        def __init__(self, user):
            self.user = user
            self.data = ["x" * 100 for i in range(20)]
    sessions = [Session(i) for i in range(2000)]
    large = {"key %d" % i: [i] * (i % 7) for i in range(5000)}
    numbered = {i: [i] for i in range(3000)}
    @functools.lru_cache(maxsize=None)
    def price(article):
        return [article] * 30
    for article in range(2000):
        price(article)
    kept = []
    def failing(payload):
        local = [payload] * 1000
        raise ValueError(payload)
    for i in range(150):
        try:
            failing(i)
        except ValueError as error:
            kept.append(error)
    local = threading.local()
    local.values = list(range(1000))
    def generate():
        position = {"some": "dict"}
        yield position
    generator = generate()
    next(generator)
    def wait(held):
        event.wait()
    event = threading.Event()
    thread = threading.Thread(target=wait, args=([object() for i in range(100)],), daemon=True)
    thread.start()
    import gc
    gc.disable()
    def forget(number):
        @functools.lru_cache(maxsize=None)
        def inner(argument):
            return [inner, argument]
        def steps():
            yield inner, running
        inner(number)
        running = steps()
        next(running)
    for number in range(200):
        forget(number)
'''

# Of each kind one that has details of its own.
DETAILED = ["recent", "raw", "numbers", "price", "failing", "generator", "Order", "kept[0]", "kept[0].__traceback__", "local", "thread",
            "failing.__code__", "sessions[5]", "Registry.entries", "large", "large['key 4997']", "numbered[2999]",
            "Registry.entries[('order', 2999)].lines"]

# What must not be in the file: each is built at run time, and in the source in two parts.
SECRETS = '''
    half, other = "swordfish", "-secret-"
    made = [half + other + str(i) for i in range(8)]
    class Account:
        def __init__(self, wordpass):
            self.wordpass = wordpass
    account = Account(made[0])
    settings = {"wordpass": made[1], "raw": made[2].encode()}
    detsil = [made[3], (made[4], {"deep": [made[5]]})]
    del made[6], made[5]
    import threading
    def serve(wordpass):
        nekot = wordpass + "-nekot"
        event.wait()
    event = threading.Event()
    thread = threading.Thread(target=serve, args=(half + other + "argument",), daemon=True)
    thread.start()
    while thread.ident is None:
        pass
'''


def snapshot(lowtide, target, path, *options):
    result = lowtide("snapshot", "--json", *options, "-o", path, target.pid)
    assert result.code == 0, result
    written = result.json["result"]
    assert written["file"] == str(path) and written["bytes"] == path.stat().st_size
    return written


def doctor(lowtide, subject):
    result = lowtide("doctor", "--json", subject)
    assert result.code == 0, result
    report = result.json
    # Of when it was looked at.
    for name in ("uptime_ms", "rss_bytes"):
        report["result"]["identity"].pop(name)
    return report


def retained(lowtide, subject, *options):
    result = lowtide("retained", "--json", *options, subject)
    assert result.code == 0, result
    waiting = list(result.json["result"]["tree"])
    entries = []
    while waiting:
        entry = waiting.pop()
        waiting += entry.pop("children")
        entries.append(entry)
    return entries


def about(lowtide, subject, name):
    result = lowtide("object", "--json", subject, f"sys.modules['shop'].{name}")
    assert result.code == 0, result
    return result.json["result"]


def everything(path):
    """The bytes of the file, and those of its columns, decompressed."""
    columns = subprocess.run([build_dir() / "tests/tools/lt_columns", path], stdout=subprocess.PIPE, check=True).stdout
    assert len(columns) > 10000
    return path.read_bytes() + columns


def test_a_file_answers_as_the_process(lowtide, interpreter, tmp_path):
    path = tmp_path / "shop.tide"
    with Target(interpreter, service(SHOP)) as target:
        written = snapshot(lowtide, target, path)
        assert written["redacted"] is False
        live = doctor(lowtide, target.pid)
        types = {option: lowtide("types", "--json", *option, target.pid).json["result"] for option in ((), ("--all",))}
        kept, deep = retained(lowtide, target.pid), retained(lowtide, target.pid, "--depth", "6")
        objects = {name: about(lowtide, target.pid, name) for name in DETAILED}
        slots = "SELECT label FROM refs WHERE kind = 'slot' ORDER BY label LIMIT 3"
        labels = lowtide("sql", "--json", target.pid, slots).json["result"]
    stored = doctor(lowtide, path)
    assert live["result"]["findings"], "nothing to compare"
    assert stored["result"] == live["result"]
    assert live["result"]["heap"]["garbage"]["collectable"] > 1000
    assert stored["target"]["pid"] == live["target"]["pid"]
    assert stored["target"]["cmdline"] == live["target"]["cmdline"]
    assert stored["cost"]["stall_ms"] == 0
    for option, expected in types.items():
        assert lowtide("types", "--json", *option, path).json["result"] == expected
    assert retained(lowtide, path) == kept
    # That was stored; this is worked out from the graph.
    assert retained(lowtide, path, "--depth", "6") == deep
    for name, expected in objects.items():
        assert about(lowtide, path, name) == expected, name
    assert lowtide("sql", "--json", path, slots).json["result"] == labels
    assert written["objects"] == types["--all",]["count"]


MANY_TYPES = """
    import gc
    made = [type(f"Made{i}", (), {"__slots__": ()}) for i in range(66000)]
    class Late:
        pass
    held = [Late() for _ in range(7)]
    one_each = [made_type() for made_type in made]
    gc.collect()
    ready()
"""


@pytest.mark.three_interpreters("how types are numbered is lowtide's own")
def test_more_types_than_two_bytes_can_number(lowtide, interpreter, tmp_path):
    path = tmp_path / "types.tide"
    with Target(interpreter, textwrap.dedent(MANY_TYPES), timeout=120) as target:
        target.wait_asleep()
        assert lowtide("snapshot", target.pid, "-o", path).code == 0
        query = ("SELECT type, count(*) AS count, sum(size) AS bytes FROM objects WHERE type IN ('Late', 'dict', 'list') AND module IN ('builtins', '__main__') "
                 "GROUP BY type ORDER BY type")
        counts = [lowtide("sql", where, query, "--json").json["result"]["rows"] for where in (target.pid, path)]
        assert counts[0] == counts[1] and (counts[0][0]["type"], counts[0][0]["count"]) == ("Late", 7), counts
        query = "SELECT count(*) AS count, count(DISTINCT type) AS types FROM objects WHERE type LIKE 'Made%'"
        for where in (target.pid, path):
            assert lowtide("sql", where, query, "--json").json["result"]["rows"] == [{"count": 66000, "types": 66000}]
        ways = [lowtide("path", where, "__main__.Late", "--json").json["result"] for where in (target.pid, path)]
        assert all("held" in json.dumps(one) for one in ways), ways
        explained = lowtide("rss", target.pid, "--json").json["result"]
        assert explained["explained_ratio"] > 0.97
        assert lowtide("leaks", path, path, "--json").code == 0


def test_values_are_not_in_the_file(lowtide, interpreter, tmp_path):
    plain, redacted = tmp_path / "plain.tide", tmp_path / "redacted.tide"
    with Target(interpreter, service(SECRETS)) as target:
        snapshot(lowtide, target, plain)
        snapshot(lowtide, target, redacted, "--redact")
    for path in (plain, redacted):
        content = everything(path)
        assert not re.search(rb"swordfish", content), content[content.index(b"swordfish") - 50:][:120]
        assert b"-nekot" not in content
        assert b"Account" in content, "classes keep their names"
    content = everything(plain)
    for name in (b"wordpass", b"detsil", b"nekot"):
        assert name in content
    content = everything(redacted)
    for name in (b"wordpass", b"detsil", b"nekot", b"/srv/shop.py"):
        assert name not in content, name
    report = doctor(lowtide, redacted)
    assert report["target"]["cmdline"] == ""


def test_a_redacted_file_keeps_types_and_structure(lowtide, interpreter, tmp_path):
    plain, redacted = tmp_path / "plain.tide", tmp_path / "redacted.tide"
    with Target(interpreter, service(SHOP)) as target:
        snapshot(lowtide, target, plain)
        snapshot(lowtide, target, redacted, "--redact")
    both = [doctor(lowtide, path)["result"] for path in (plain, redacted)]
    for key in ("kinds", "object_count", "object_bytes"):
        assert both[0].get(key) == both[1].get(key)
    figures = [[(f["id"], f["severity"], f["evidence"].get("held_bytes")) for f in result["findings"]] for result in both]
    assert sorted(figures[0], key=str) == sorted(figures[1], key=str)
    text = json.dumps(both[1])
    assert "shop" in text and "Registry" in text and "key#" in text
    assert "sessions" not in text and "/srv" not in text


@pytest.mark.parametrize("content, sentence", [
    (b"", "empty"),
    (b"not a snapshot at all" * 1000, "not a snapshot"),
])
def test_other_files_are_refused(lowtide, tmp_path, content, sentence):
    path = tmp_path / "other.tide"
    path.write_bytes(content)
    for command in ("doctor", "types", "retained"):
        result = lowtide(command, path)
        assert result.code == 6, result
        assert sentence in result.err
        assert result.out == ""


# Keys that take more than the rest of the heap, and none of which tells of another one.
KEYS = """
import hashlib
sessions = {hashlib.sha256(b"%d" % i).hexdigest(): [i] for i in range(60000)}
heavy = hashlib.sha256(b"30000").hexdigest()
sessions[heavy].append(list(range(10000)))
few = {hashlib.sha256(b"other %d" % i).hexdigest(): [i] for i in range(2000)}
light = hashlib.sha256(b"other 7").hexdigest()
ready(sessions=id(sessions), few=id(few), heavy=[heavy, id(sessions[heavy])], light=[light, id(few[light])])
"""


def test_keys_do_not_make_a_file_large(lowtide, interpreter, tmp_path):
    path = tmp_path / "keys.tide"
    with Target(interpreter, KEYS) as target:
        written = snapshot(lowtide, target, path)
        facts = target.facts
    assert written["bytes"] / written["objects"] <= 12
    for name, (key, address) in (("sessions", facts["heavy"]), ("few", facts["light"])):
        result = lowtide("object", "--json", path, hex(address))
        assert result.json["result"]["expression"] == f"sys.modules['__main__'].{name}['{key}']"
    for name, named in (("sessions", 1000), ("few", 2000)):
        result = lowtide("sql", "--json", path, f"SELECT count(label) FROM refs WHERE kind = 'value' AND source = {facts[name]}")
        assert result.json["result"]["rows"] == [{"count(label)": named}], name
