"""A target whose names are made to do harm: to a terminal, to a reader, to a program that parses JSON."""
import json
import unicodedata

import pytest
from harness import Target

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\r\n'\"\\\u200b\x9b1m"
SCRIPT = r'''
import sys, types
evil = "\x1b]0;owned\x07\x1b[2J\u202e\r\n'\"\\\u200b\x9b1m"
module = types.ModuleType("evil" + evil)
sys.modules[module.__name__] = module
Evil = type(evil, (), {"__module__": module.__name__})
Lone = type("Lone", (), {"__module__": "\ud800"})
Nameless = type("", (), {"__module__": "m"})
module.nameless = [Nameless() for _ in range(20000)]
setattr(module, evil, [Evil() for _ in range(30000)])
module.nested = {evil: {"\udcff": [Lone() for _ in range(30000)]}}

exec(compile("def run(evil):\n    held = [Evil() for _ in range(30000)]\n    ready()\n    sleep_forever()",
             "/tmp/" + evil + ".py", "exec"))
run(evil)
'''


@pytest.fixture
def evil_target(interpreter):
    with Target(interpreter, SCRIPT, EVIL) as target:
        yield target


def harmless(text: str) -> None:
    bad = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    assert not bad, f"{sorted(map(hex, map(ord, bad)))} in the report"
    assert "\ufffd" not in text


def test_text(lowtide, evil_target):
    for arguments in (["doctor"], ["doctor", "-v"], ["types", "--top=200"], ["types", "--all"], ["rss", "-v", "--top=200"]):
        result = lowtide(*arguments, evil_target.pid)
        assert result.code == 0, str(result)
        harmless(result.out)
        harmless(result.err)
    # Nothing that looks like a line of lowtide's own begins with what the target chose.
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202e\\x0d\\x0a" in lowtide("types", "--top=200", evil_target.pid).out


def test_ways_and_trees(lowtide, evil_target):
    where = lowtide("path", "--json", evil_target.pid, "Lone").json["result"]["paths"][0]["address"]
    for command, *arguments in (["retained"], ["retained", "-v", "--depth=12"], ["path", "dict"], ["path", "-v", "Lone"],
                                ["path", where], ["object", where], ["object", "sys.modules['sys']"],
                                ["types", "--retained"]):
        options = [word for word in arguments if word.startswith("-")]
        rest = [word for word in arguments if not word.startswith("-")]
        for form in ([], ["--json"]):
            result = lowtide(command, *options, *form, evil_target.pid, *rest)
            assert result.code == 0, str(result)
            harmless(result.out)
            harmless(result.err)
            if form:
                assert result.out.isascii()
                json.loads(result.out)
    # A name that cannot be told from nothing: an error of the command line, harmless too.
    for name in (EVIL + "x", "\udcff", "'" * 3000, "sys.modules['" + "a" * 5000, "[" * 5000):
        result = lowtide("path", evil_target.pid, name)
        assert result.code == 2, str(result)
        harmless(result.err)


def test_list(lowtide, evil_target):
    result = lowtide("ps")
    assert result.code == 0
    harmless(result.out)
    assert str(evil_target.pid) in result.out


def test_json(lowtide, evil_target):
    for arguments in (["doctor"], ["types"], ["types", "--all"], ["rss"]):
        result = lowtide(*arguments, "--json", evil_target.pid)
        assert result.code == 0, str(result)
        assert result.out.isascii()
        json.loads(result.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert "\x1b" not in result.out
    rows = lowtide("types", "--json", evil_target.pid).json["result"]["rows"]
    mine = [row for row in rows if row["count"] == 60000]
    assert [row["type"] for row in mine] == [EVIL] and mine[0]["module"] == "evil" + EVIL, mine
    assert {"type": "", "module": "m"} in [{"type": row["type"], "module": row["module"]} for row in rows
                                           if row["count"] == 20000]
