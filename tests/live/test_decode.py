"""How single references are labelled: attribute names, items, members, locals; and conservative scans."""
import pytest
from decoding import decode
from harness import Target

SCRIPT = '''
import collections, functools, sys, types

class Plain:
    def __init__(self):
        self.first = ["one"]
        self.second = {"two": 2}

class Slotted:
    __slots__ = ("left", "right")

plain, materialised, slotted = Plain(), Plain(), Slotted()
for thing in (plain, materialised):
    pass
materialised.__dict__
slotted.left = ["left"]
table = {"key": ["value"], 5: ["five"]}
names = {"only": ["text"]}
items = [["zero"], ["one"]]
queue = collections.deque(items)

def make(free):
    def inner(argument, *, keyword=None):
        local = [argument]
        yield free
        return local
    return inner

generator = make(["free"])(["argument"])
next(generator)
function = make(["closed"])

@functools.lru_cache(maxsize=4)
def cached(number):
    return [number]

cached(("key",))
error = ValueError(["argument"])
error.__cause__ = KeyError("cause")
half = types.SimpleNamespace(value=["in a namespace"])
keys = {name: id(sys.intern(name)) for name in ("first", "second", "key", "only", "value")}
named = dict(globals())
ready(keys=keys, **{name: id(named[name]) for name in (
    "plain", "materialised", "slotted", "table", "names", "items", "queue", "generator", "function", "cached", "error",
    "half", "Plain")},
    first=id(plain.first), second=id(plain.second), left=id(slotted.left), key=id(table["key"]), five=id(table[5]),
    only=id(names["only"]), zero=id(items[0]), one=id(items[1]), first_of_materialised=id(materialised.first),
    code=id(function.__code__), closure=id(function.__closure__), cause=id(error.__cause__),
    half_dict=id(half.__dict__), names_of_code=id(function.__code__.co_names), materialised_dict=id(materialised.__dict__))
'''


@pytest.fixture
def target(interpreter):
    with Target(interpreter, SCRIPT) as running:
        yield running


def labels(target, name):
    """(kind, index or name) of each reference of one object, by what it refers to."""
    (decoded,), unreadable = decode(target.pid, [target.facts[name]], kinds=True)
    assert decoded.whole and unreadable == 0 and not decoded.conservative
    return {reference.to: reference for reference in decoded.references}


def test_attributes_bear_their_names(target):
    facts = target.facts
    found = labels(target, "plain")
    if facts["first"] in found:  # else in a dict of its own
        for name in ("first", "second"):
            reference = found[facts[name]]
            assert (reference.kind, int(reference.name, 16)) == ("attribute", facts["keys"][name])
    else:
        assert {reference.kind for reference in found.values()} == {"dict", "type"}
    assert found[facts["Plain"]].kind == "type"
    slot = labels(target, "slotted")[facts["left"]]
    assert (slot.kind, slot.index > 0) == ("slot", True)


def test_a_materialised_dict_is_reached(target):
    facts = target.facts
    found = labels(target, "materialised")
    assert found[facts["materialised_dict"]].kind == "dict"
    (inner,), _ = decode(target.pid, [facts["materialised_dict"]], kinds=True)
    values = {r.to: r for r in inner.references if r.kind == "value"}
    reference = values[facts["first_of_materialised"]]
    assert int(reference.name, 16) == facts["keys"]["first"]
    # The collector visits each value once, from one of the two.
    from_object = facts["first_of_materialised"] in found and not found[facts["first_of_materialised"]].untraversed
    assert from_object != (not reference.untraversed)


def test_keys_and_values_of_dicts(target):
    facts = target.facts
    found = labels(target, "table")
    assert found[facts["key"]].kind == "value" and int(found[facts["key"]].name, 16) == facts["keys"]["key"]
    assert found[facts["keys"]["key"]].kind == "key" and not found[facts["keys"]["key"]].untraversed
    # Keys that are strings only cannot close a cycle: the collector passes them over, lowtide does not.
    found = labels(target, "names")
    assert found[facts["keys"]["only"]].kind == "key" and found[facts["keys"]["only"]].untraversed
    assert not found[facts["only"]].untraversed


@pytest.mark.parametrize("name", ["items", "queue"])
def test_items_are_numbered(target, name):
    found = labels(target, name)
    assert [(found[target.facts[item]].kind, found[target.facts[item]].index) for item in ("zero", "one")] == \
        [("item", 0), ("item", 1)]


def test_members_are_spelled(target):
    facts = target.facts
    found = labels(target, "function")
    assert found[facts["code"]].name == ".__code__" and found[facts["closure"]].name == ".__closure__"
    assert labels(target, "error")[facts["cause"]].name == ".__cause__"
    assert labels(target, "half")[facts["half_dict"]].kind == "dict"
    code = labels(target, "code")
    assert code[facts["names_of_code"]].untraversed and code[facts["names_of_code"]].kind == "member"


def test_locals_of_a_suspended_generator(target):
    (generator,), _ = decode(target.pid, [target.facts["generator"]], kinds=True)
    local = [r for r in generator.references if r.kind == "local"]
    if not local:  # the frame is an object of its own up to 3.10
        (frame,) = [r.to for r in generator.references if r.name == "<frame>"]
        (decoded,), _ = decode(target.pid, [frame], kinds=True)
        local = [r for r in decoded.references if r.kind == "local"]
    # argument, keyword, local, free
    assert sorted({r.index for r in local}) == [0, 1, 2, 3]


def test_results_of_a_cache_are_held_by_their_keys(target):
    found = labels(target, "cached")
    values = [r for r in found.values() if r.kind == "value"]
    assert len(values) == 1 and int(values[0].name, 16) in {r.to for r in found.values() if r.kind == "key"}


def test_nothing_at_an_address(target):
    (decoded,), _ = decode(target.pid, [0x10], kinds=True)
    assert decoded.type == "?" and not decoded.references
