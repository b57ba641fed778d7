"""Growth that is seeded in small services: the first suspect is what grows, and what only turns over is none."""
import textwrap

import pytest
from harness import Target

SEVERITIES = ["info", "low", "medium", "high", "critical"]

KEYS = {"rank", "severity", "kind", "title", "expression", "where", "type", "growth_objects", "growth_bytes",
        "growth_bytes_per_second", "steadiness", "retained_bytes", "share", "evidence", "explanation", "fix"}


def service(setup: str, step: str) -> str:
    """A module `shop` that does `step(i)` 1,000 times a second after `setup`, with 2,000 steps before it is ready."""
    source = textwrap.dedent(setup) + "\ndef step(i):\n" + textwrap.indent(textwrap.dedent(step), "    ")
    return textwrap.dedent('''
        import sys, time, types
        shop = types.ModuleType("shop")
        shop.__file__ = "/srv/shop.py"
        sys.modules["shop"] = shop
        exec(compile(%r, "/srv/shop.py", "exec"), shop.__dict__)
        def run():
            step, i = sys.modules["shop"].step, 0
            while i < 2000:
                step(i)
                i += 1
            ready()
            begin = time.monotonic()
            while True:
                due = 2000 + int((time.monotonic() - begin) * 1000)
                while i < due:
                    step(i)
                    i += 1
                time.sleep(0.01)
        del shop, types
        run()
    ''') % source


def leaks(lowtide, target, seconds=3, snapshots=3):
    result = lowtide("leaks", "--json", "-d", str(seconds), "--snapshots", str(snapshots), target.pid)
    assert result.code == 0, result
    found = result.json["result"]
    ranks = [SEVERITIES.index(s["severity"]) for s in found["suspects"]]
    assert ranks == sorted(ranks, reverse=True), "worst first"
    for number, suspect in enumerate(found["suspects"], 1):
        assert set(suspect) >= KEYS
        assert suspect["rank"] == number
        assert suspect["title"] and suspect["explanation"] and suspect["fix"], suspect
    assert len(found["looks"]) == snapshots
    return found["suspects"]


GROWTH = {
    "module-container": ("events = []", 'events.append({"i": i, "text": "event %d" % i})',
                         "sys.modules['shop'].events"),
    "module-container of lists": ("by_day = {}", 'by_day.setdefault(i // 50, []).append("event %d" % i)',
                                  "sys.modules['shop'].by_day"),
    "lru-cache-unbounded": ("import functools\n@functools.lru_cache(maxsize=None)\ndef price(i): return [str(i)] * 3",
                            "price(i)", "sys.modules['shop'].price"),
    "closure-cell": ("def make():\n    seen = {}\n    def note(i): seen[i] = ['n%d' % i]\n    return note\nnote = make()",
                     "note(i)", "sys.modules['shop'].note.__closure__[0].cell_contents"),
    "default-argument": ("def note(i, seen=[]): seen.append('note %d' % i)", "note(i)",
                         "sys.modules['shop'].note.__defaults__[0]"),
    "untracked-container": ("path = ()", "global path\nif i % 10 == 0:\n    path += tuple(i * 1000.0 + x for x in range(30))",
                            "sys.modules['shop'].path"),
}


@pytest.mark.parametrize("name", GROWTH)
def test_what_grows_is_the_first_suspect(interpreter, lowtide, name):
    setup, step, expression = GROWTH[name]
    with Target(interpreter, service(setup, step)) as target:
        suspects = leaks(lowtide, target)
        assert suspects, "nothing found"
        assert (suspects[0]["kind"], suspects[0]["expression"]) == (name.split()[0], expression), suspects[0]
        assert SEVERITIES.index(suspects[0]["severity"]) >= SEVERITIES.index("medium"), suspects[0]
        assert suspects[0]["growth_objects"] > 1000
        assert suspects[0]["growth_bytes"] <= suspects[0]["retained_bytes"]


TURNOVER = {
    "a ring": ("import collections\nring = collections.deque(maxlen=500)", 'ring.append({"i": i, "t": "event %d" % i})'),
    "a cache at its bound": ("import functools\n@functools.lru_cache(maxsize=256)\ndef price(i): return [str(i)] * 3",
                             "price(i)"),
    "objects of one step": ("", 'rows = [{"i": i, "x": "row %d" % x} for x in range(20)]\nlen(rows)'),
}


@pytest.mark.parametrize("name", TURNOVER)
def test_what_turns_over_is_no_suspect(interpreter, lowtide, name):
    with Target(interpreter, service(*TURNOVER[name])) as target:
        suspects = leaks(lowtide, target)
        assert all(s["severity"] in ("info", "low") for s in suspects), suspects


def test_level_decides_the_exit_code(interpreter, lowtide):
    setup, step, _ = GROWTH["module-container"]
    with Target(interpreter, service(setup, step)) as target:
        assert lowtide("leaks", "-d", "2", "--fail-on", "low", target.pid).code == 1
        assert lowtide("leaks", "-d", "2", "--fail-on", "critical", target.pid).code == 0


def test_target_that_ends_meanwhile(interpreter, lowtide):
    with Target(interpreter, "import time\nready()\ntime.sleep(1)\nraise SystemExit") as target:
        result = lowtide("leaks", "-d", "20", target.pid)
        assert result.code == 5, result
