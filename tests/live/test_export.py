"""Exports of real targets: the page, the V8 heap snapshot."""
import base64
import hashlib
import json
import os
import re
import shutil
import textwrap
from html.parser import HTMLParser

import pytest
from harness import Target, build_dir, interpreters, run_command
from harness.heapsnapshot import HeapSnapshot

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr", "area", "base", "embed", "source", "track"}

# Names that would leave the place that they are written into, of each kind that a page shows.
HOSTILE = '''
    import functools
    name = "</script><script>alert(1)</script>"
    Evil = type(name, (), {"__module__": name})
    evil = [Evil() for _ in range(3000)]
    for one in evil:
        setattr(one, "\\"'><img src=x onerror=alert(2)>", ["x"] * 20)
    table = {"</style><!--<script>" + "&lt;" * i: [0] * 200 for i in range(100)}
    globals()["<b onclick=alert(3)>"] = ["%d of them" % i for i in range(20000)]
    @functools.lru_cache(maxsize=None)
    def cached(x):
        return [x] * 40
    for i in range(20000):
        cached(i)
    ready()
'''


class Page(HTMLParser):
    """A page whose elements are balanced; `elements` are (tag, attributes, text)."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.text, self.open, self.elements, self.wrong = text, [], [], []
        self.feed(text)
        self.close()
        assert not self.wrong and not self.open, (self.wrong, self.open)

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if len({name for name, _ in attributes}) != len(attributes):
            self.wrong.append(("attribute twice", tag))
        if tag not in VOID:
            self.open.append((tag, len(self.elements) - 1))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.wrong.append((self.open[-1:], tag, self.getpos()))
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, index in self.open:
            self.elements[index][2] += data

    def handle_comment(self, data):
        self.wrong.append(("comment", data[:80]))

    def all(self, tag: str, **attributes) -> list:
        return [e for e in self.elements if e[0] == tag and attributes.items() <= e[1].items()]


def check_page(text: str) -> Page:
    """What holds of every page: it is well formed, stands alone, and runs and loads nothing but its own."""
    assert len(text.encode()) < 5_000_000
    page = Page(text)
    assert "http://" not in text and "https://" not in text and "url(" not in text and "@import" not in text
    assert {tag for tag, _, _ in page.elements}.isdisjoint({"img", "link", "iframe", "object", "embed", "b onclick=alert(3)", "form", "a"})
    for tag, attributes, _ in page.elements:
        for name in attributes:
            assert not name.startswith("on") and name not in ("style", "src", "href", "srcset", "action"), (tag, attributes)
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    [policy] = [a["content"] for _, a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and rules["form-action"] == "'none'"

    def hashed(content):
        return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"

    [style] = page.all("style")
    assert rules["style-src"] == hashed(style[2])
    data = page.all("script", type="application/json")
    [script] = [e for e in page.all("script") if not e[1]]
    assert rules["script-src"] == hashed(script[2])
    assert len(page.all("script")) == 1 + len(data)
    assert len(page.all("h1")) == 1 and len(page.all("title")) == 1
    return page


KINDS = ["heap", "object", "group", "module", "roots", "rest"]


def tree_of(page: Page) -> list[dict]:
    """The blocks of the page, as its script gets them."""
    [data] = page.all("script", type="application/json")
    keys = ["kind", "parent", "type", "expression", "where", "objects", "own", "retained", "cut"]
    return [dict(zip(keys, row), kind=KINDS[row[0]]) for row in json.loads(data[2])]


def check_tree(blocks: list[dict]) -> None:
    """Owners come first and are as big as what they hold."""
    held = [0] * len(blocks)
    assert blocks[0]["kind"] == "heap" and blocks[0]["parent"] == 0
    for index, block in enumerate(blocks[1:], 1):
        assert block["parent"] < index and block["kind"] != "heap"
        assert block["own"] <= block["retained"] and block["objects"] >= 1
        held[block["parent"]] += block["retained"]
    for block, inside in zip(blocks, held):
        if block["kind"] == "rest":
            assert inside == 0
        else:
            assert block["cut"] == (block["own"] + inside < block["retained"]), block
            assert block["own"] + inside <= block["retained"], block
    for one, other in zip(blocks[1:], blocks[2:]):
        if one["parent"] == other["parent"] and other["kind"] != "rest":
            assert one["retained"] >= other["retained"]


def test_page_of_doctor(interpreter, lowtide, tmp_path):
    path = tmp_path / "report.html"
    with Target(interpreter, textwrap.dedent(HOSTILE)) as target:
        result = lowtide("doctor", "-o", path, target.pid)
        assert result.code == 0 and result.out == "" and result.err == "", result
        found = lowtide("doctor", "--json", target.pid).json["result"]
        pid = target.pid
    page = check_page(path.read_text())
    text = page.all("main")[0][2]
    assert str(pid) in page.all("dl")[0][2]
    for finding in found["findings"]:
        if finding["id"] == "lru-cache-unbounded":
            assert finding["expression"] in text and finding["fix"] in text
    assert "</script><script>alert(1)</script>" in text  # as text, not as elements: see check_page
    assert "<b onclick=alert(3)>" in text
    blocks = tree_of(page)
    check_tree(blocks)
    assert any(block["type"].endswith("</script><script>alert(1)</script>") for block in blocks)
    assert 0.9 * found["heap"]["bytes"] <= blocks[0]["retained"] <= found["heap"]["bytes"]
    cache = next(block for block in blocks if block["expression"] == "sys.modules['__main__'].cached")
    assert cache["retained"] > 20000 * 40 * 8
    assert any(block["type"] == "list" and block["objects"] >= 19000 for block in blocks), "the entries of the cache are one block"
    # Every row of the table is there for a reader without JavaScript.
    assert len(re.findall("<tr>", page.text)) > 40


def test_page_of_a_small_heap(interpreter, lowtide, tmp_path):
    path = tmp_path / "report.html"
    with Target(interpreter, "ready()", options=("-S", "-E")) as target:
        assert lowtide("doctor", "-o", path, "--mode", "live", target.pid).code == 0
    page = check_page(path.read_text())
    check_tree(tree_of(page))
    assert "Nothing was stopped for this look" in page.all("header")[0][2]


def test_page_of_long_names_stays_small(interpreter, lowtide, tmp_path):
    path = tmp_path / "report.html"
    script = '''
        held = {}
        for i in range(3000):
            name = "%d" % i + "\\u20ac" * 20000
            held[name[:50] + str(i)] = type(name, (), {"__module__": name, "table": [0] * 300})
        ready()
    '''
    with Target(interpreter, textwrap.dedent(script)) as target:
        assert lowtide("doctor", "--top", "1000000", "-o", path, target.pid).code == 0
    page = check_page(path.read_text())
    check_tree(tree_of(page))


def test_page_of_retained(interpreter, lowtide, tmp_path):
    path = tmp_path / "report.html"
    with Target(interpreter, textwrap.dedent(HOSTILE)) as target:
        assert lowtide("retained", "-o", path, target.pid).code == 0
        page = check_page(path.read_text())
        assert lowtide("retained", "--from", "sys.modules['__main__'].cached", "-o", path, target.pid).code == 0
        part = check_page(path.read_text())
    check_tree(tree_of(page))
    check_tree(tree_of(part))
    assert tree_of(part)[1]["expression"] == "sys.modules['__main__'].cached"
    assert tree_of(part)[0]["retained"] == tree_of(part)[1]["retained"] < tree_of(page)[0]["retained"]


def test_pages_of_a_snapshot_file(interpreter, lowtide, tmp_path):
    tide, page, tree = (tmp_path / name for name in ("app.tide", "doctor.html", "retained.html"))
    with Target(interpreter, textwrap.dedent(HOSTILE)) as target:
        assert lowtide("snapshot", target.pid, "-o", tide).code == 0
        pid = target.pid
    for command, path in (("doctor", page), ("retained", tree)):
        assert lowtide(command, tide, "-o", path).code == 0
        found = check_page(path.read_text())
        assert "From a snapshot file" in found.all("header")[0][2] and str(pid) in found.all("dl")[0][2]
        check_tree(tree_of(found))
        assert any(block["expression"] == "sys.modules['__main__'].cached" for block in tree_of(found))


LEAK = '''
    import threading, time
    class Entry:
        def __init__(self, number):
            self.text = "</script><script>alert(%d)</script>" % number * 20
    kept = []
    def grow():
        while True:
            kept.extend(Entry(i) for i in range(200))
            time.sleep(0.02)
    threading.Thread(target=grow, daemon=True).start()
    while len(kept) < 2000:
        time.sleep(0.01)
    ready()
'''


@pytest.mark.three_interpreters("a page is made of the result")
def test_page_of_leaks(interpreter, lowtide, tmp_path):
    path = tmp_path / "report.html"
    with Target(interpreter, textwrap.dedent(LEAK)) as target:
        assert lowtide("leaks", "-d", "2", "-o", path, target.pid).code == 0
    page = check_page(path.read_text())
    cards = page.all("article")
    assert cards and "sys.modules['__main__'].kept" in cards[0][2], cards
    assert "grew by" in cards[0][2] and "of the heap" in cards[0][2]
    assert "The looks" in page.all("main")[0][2]
    # What holds the memory, as in the other pages: the list that grows is in it.
    blocks = tree_of(page)
    check_tree(blocks)
    kept = next(block for block in blocks if block["expression"] == "sys.modules['__main__'].kept")
    assert kept["retained"] > 2000 * 600
    assert page.text.count("<h2 ") == len(page.all("h2")) == 3  # suspects, the tree, the looks: each once


HEAP = '''
    import functools, gc, threading, time
    class Slotted:
        __slots__ = ("first", "second")
    class Item:
        def __init__(self, number):
            self.number, self.label = number, "the label %d" % number
    items = {("key", i): Item(i) for i in range(2000)}
    by_name = {"name %d" % i: [i, str(i)] for i in range(2000)}
    quoted = {"a\\"b\\\\c\\n\\u20ac\\ud800": ["found"]}
    slotted = Slotted()
    slotted.first, slotted.second = ["one"] * 100, {"two": 2}
    secret = "a value that must not be there"
    def generate():
        held = [str(i) for i in range(1000)]
        yield held
    generator = generate()
    next(generator)
    def waits(rows):
        started.set()
        time.sleep(3600)
    started = threading.Event()
    threading.Thread(target=waits, args=([str(i) for i in range(500)],), daemon=True).start()
    started.wait()
    gc.collect()
    gc.disable()
    for i in range(50):
        cycle = Item(i)
        cycle.self = cycle
    del cycle
    ready(items=id(items), by_name=id(by_name), slotted=id(slotted), generator=id(generator), item=id(items["key", 7]))
'''


def heap_snapshot(target: Target, path, *names: str) -> tuple[HeapSnapshot, dict, dict[str, tuple[int, dict]]]:
    """The snapshot, what lowtide says of it, and for each name the node and what lowtide says of that."""
    done = run_command(build_dir() / "tests" / "tools" / "lt_heapsnapshot", target.pid, path,
                       *(hex(target.facts[name]) for name in names))
    assert done.code == 0, done
    snapshot, facts = HeapSnapshot(path), done.json
    first = len(snapshot) - facts["objects"]
    return snapshot, facts, {name: (first + one["node"], one) for name, one in zip(names, facts["found"])}


def test_heap_snapshot(interpreter, lowtide, tmp_path):
    path = tmp_path / "heap.heapsnapshot"
    with Target(interpreter, textwrap.dedent(HEAP)) as target:
        snapshot, facts, found = heap_snapshot(target, path, "items", "by_name", "slotted", "generator", "item")
        again, _, _ = heap_snapshot(target, tmp_path / "again")
    assert facts["unreadable"] == 0

    # The root, "(GC roots)" below it, and in that the kinds of root.
    assert snapshot.type(0) == "synthetic" and snapshot.name(0) == ""
    gc_roots = snapshot.child(0, 1)
    assert (snapshot.type(gc_roots), snapshot.name(gc_roots)) == ("synthetic", "(GC roots)")
    kinds = {snapshot.name(to): to for _, _, to in snapshot.edges_of(gc_roots)}
    assert {"(modules)", "(local)", "(garbage)"} <= set(kinds)
    assert all(snapshot.size(to) == 0 for to in kinds.values())

    # Everything is there, once, and is reached.
    assert snapshot.total() == facts["bytes"]
    assert snapshot.reachable().count(1) == len(snapshot)
    assert snapshot.first_edge[-1] >= facts["edges"]
    garbage = [to for _, _, to in snapshot.edges_of(kinds["(garbage)"])]
    assert len(garbage) == facts["garbage"] >= 50
    assert [snapshot.name(node) for node in garbage].count("__main__.Item") == 50

    # Sizes as lowtide says, and retained sizes by their definition.
    for name in ("items", "by_name", "slotted", "generator"):
        node, said = found[name]
        assert snapshot.size(node) == said["own"], name
        assert snapshot.retained(node) == said["retained"], name

    # Types and names.
    node, _ = found["items"]
    assert (snapshot.type(node), snapshot.name(node)) == ("object", "dict")
    items = {name: to for kind, name, to in snapshot.edges_of(node) if kind == "property"}
    assert len(items) == 2000 and items["('key', 7)"] == found["item"][0]
    item = found["item"][0]
    assert snapshot.name(item) == "__main__.Item"
    attributes = {name for _, name, to in snapshot.edges_of(item)} | \
        {inner for _, name, to in snapshot.edges_of(item) if name == "__dict__" for _, inner, _ in snapshot.edges_of(to)}
    assert {"number", "label"} <= attributes
    lists = {name: to for kind, name, to in snapshot.edges_of(found["by_name"][0]) if kind == "property"}
    assert {f"name {i}" for i in range(2000)} == set(lists)
    assert [(kind, name) for kind, name, _ in snapshot.edges_of(lists["name 5"])] == [("element", 0), ("element", 1)]
    slots = {name: to for kind, name, to in snapshot.edges_of(found["slotted"][0]) if kind == "property"}
    assert snapshot.name(slots["first"]) == "list" and snapshot.name(slots["second"]) == "dict"
    generator = found["generator"][0]
    frames = [to for _, _, to in snapshot.edges_of(generator) if snapshot.name(to) == "frame"]  # up to 3.10
    held = [to for node in (generator, *frames) for _, name, to in snapshot.edges_of(node) if name == "held"]
    assert held and snapshot.name(held[0]) == "list"
    local = [name for _, name, _ in snapshot.edges_of(kinds["(local)"]) if str(name).startswith("rows of waits() at ")]
    assert local, snapshot.edges_of(kinds["(local)"])
    closures = {snapshot.name(at) for at in range(len(snapshot)) if snapshot.type(at) == "closure"}
    assert {"generate", "waits", "Item", "Slotted"} <= closures

    # Names of things, never values.
    text = path.read_text()
    assert "a value that must not be there" not in text and "the label" not in text
    assert any(name.startswith('a"b\\c') for name in snapshot.strings)

    # An object has the same number in the next snapshot: DevTools compares by it.
    ids = {snapshot.id(node) for node, _ in found.values()}
    assert ids <= {again.id(at) for at in range(len(again))}
    common = {snapshot.id(at) for at in range(len(snapshot))} & {again.id(at) for at in range(len(again))}
    assert len(common) >= 0.99 * len(snapshot)


def test_snapshot_command_writes_heap_snapshots(interpreter, lowtide, tmp_path):
    direct, tide, converted, redacted = (tmp_path / name for name in ("a.heapsnapshot", "a.tide", "b.heapsnapshot", "c.x"))
    with Target(interpreter, textwrap.dedent(HEAP)) as target:
        said = lowtide("snapshot", "--json", target.pid, "-o", direct)
        assert said.code == 0, said
        assert lowtide("snapshot", target.pid, "-o", tide).code == 0
        assert lowtide("snapshot", "--redact", "--format", "heapsnapshot", target.pid, "-o", redacted).code == 0
    result = lowtide("snapshot", tide, "-o", converted)
    assert result.code == 0 and str(converted) in result.out and result.err == "", result
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.heapsnapshot", "a.tide", "b.heapsnapshot", "c.x"]
    first, second, third = HeapSnapshot(direct), HeapSnapshot(converted), HeapSnapshot(redacted)
    facts = said.json["result"]
    assert facts["file"] == str(direct) and facts["bytes"] == direct.stat().st_size and not facts["redacted"]
    assert facts["objects"] < len(first) < facts["objects"] + 64

    # The file of a .tide is that of the process, whose heap may have changed a little between the looks.
    assert abs(len(second) - len(first)) <= 0.01 * len(first) and abs(second.total() - first.total()) <= 0.01 * first.total()
    assert second.reachable().count(1) == len(second)
    assert {"label", "two", "__main__.Item", "first"} <= set(first.strings) & set(second.strings)

    # Without names of attributes, variables and keys; types and functions keep theirs.
    assert abs(third.total() - first.total()) <= 0.01 * first.total()
    assert not {"label", "name 7", "two", "first", "slotted"} & set(third.strings)
    assert "__main__.Item" in third.strings and "waits" in third.strings
    assert not any("rows" in name or "/target.py" in name for name in third.strings)


def test_heap_snapshot_of_a_heap_that_changes(interpreter, lowtide, tmp_path):
    path = tmp_path / "live.heapsnapshot"
    script = '''
        import threading
        def churn():
            kept = {}
            for i in range(1 << 60):
                kept[i % 5000] = [str(i), {"i": i}, (i,)]
        for _ in range(2):
            threading.Thread(target=churn, daemon=True).start()
        ready()
    '''
    with Target(interpreter, textwrap.dedent(script)) as target:
        assert lowtide("snapshot", "--mode", "live", target.pid, "-o", path).code == 0
        snapshot = HeapSnapshot(path)
        assert snapshot.reachable().count(1) == len(snapshot)
        assert target.alive()


def test_a_full_disk_leaves_no_heap_snapshot(lowtide, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with Target(interpreters()[0], "ready()") as target:
        result = lowtide("snapshot", target.pid, "--format", "heapsnapshot", "-o", "/dev/full")
        assert result.code == 6 and "No space left" in result.err, result
        assert target.settled()


GRAPH = '''
    import functools
    hostile = 'a"];evil [label="\\\\N &lt;b&gt; \\u202e\\u20ac'
    Evil = type(hostile, (), {})
    class Order:
        pass
    target = Order()
    one = {hostile: [Evil(), target]}
    two = Evil()
    setattr(two, hostile, target)
    by_number = {i: Order() for i in range(300)}
    big = {"order": target, "more": ["%d" % i for i in range(50000)]}
    ready(target=id(target))
'''


def dot_graph(text: str) -> tuple[dict[str, dict[str, str]], list[tuple[str, str, dict[str, str]]]]:
    """Nodes and edges of a graph in the part of DOT that lowtide writes; anything else is wrong."""
    attribute = r'(\w+)=("(?:[^"\\]|\\.)*"|[\w#.]+)'
    attributes = rf"\[({attribute}(?:, {attribute})*)\];"
    lines = text.split("\n")
    assert lines[0] == "digraph lowtide {" and lines[-2:] == ["}", ""]
    nodes, edges = {}, []

    def values(part: str) -> dict[str, str]:
        return {name: value.strip('"') if value.startswith('"') else value for name, value in re.findall(attribute, part)}

    for line in lines[1:-2]:
        node = re.fullmatch(rf"  (\w+) {attributes}", line)
        edge = re.fullmatch(rf"  (n\d+) -> (n\d+) {attributes}", line)
        assert node or edge, line
        if edge:
            edges.append((edge[1], edge[2], values(edge[3])))
        elif node[1] not in ("graph", "node", "edge"):
            assert node[1] not in nodes
            nodes[node[1]] = values(node[2])
    assert all(start in nodes and end in nodes for start, end, _ in edges)
    return nodes, edges


def test_graph_of_paths(interpreter, lowtide, tmp_path):
    path = tmp_path / "paths.dot"
    with Target(interpreter, textwrap.dedent(GRAPH)) as target:
        result = lowtide("path", target.pid, hex(target.facts["target"]), "-o", path)
        assert result.code == 0 and result.out == "", result
        text = path.read_text()
        found = lowtide("path", "--json", target.pid, hex(target.facts["target"])).json["result"]
        assert lowtide("path", target.pid, "__main__.Order", "--format", "dot", "-o", tmp_path / "type").code == 0
    nodes, edges = dot_graph(text)
    labels = [node["label"] for node in nodes.values()]
    # The object once, however many paths lead to it; each step of a path with what it holds.
    [end] = [name for name, node in nodes.items() if node["label"].startswith("__main__.Order")]
    assert nodes[end]["tooltip"] == hex(target.facts["target"])
    assert len({start for start, to, _ in edges if to == end}) == len(found["paths"]) >= 3
    assert any(label.startswith("dict\\nholds ") for label in labels)
    assert any(label.startswith("modules") for label in labels)
    named = [edge["label"] for _, _, edge in edges]
    assert "['order']" in named and "[1]" in named
    # A hostile name stays within its quotes, and means itself in Graphviz.
    assert "\u202e" not in text and any(r'evil [label=\"' in label for label in named + labels)
    assert "&amp;lt;" in text and "&lt;" not in text.replace("&amp;lt;", "")
    assert not any("n" + str(len(nodes) + 1) in edge[:2] for edge in edges)
    nodes, edges = dot_graph((tmp_path / "type").read_text())
    assert any(edge["label"].endswith("\\n300 like it") for _, _, edge in edges), edges
    if shutil.which("dot"):
        for name in (path, tmp_path / "type"):
            drawn = run_command("dot", "-Tsvg", name)
            assert drawn.code == 0 and drawn.err == "" and "</svg>" in drawn.out, drawn
        assert "&amp;lt;b&amp;gt;" in run_command("dot", "-Tsvg", path).out
