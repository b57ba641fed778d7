"""doctor on memory whose reads go wrong: it ends, with a result or with a failure that has a sentence."""
import textwrap

from harness import Target, build_dir, run_command

SCRIPT = textwrap.dedent('''
    import collections, functools, gc, threading, time
    class Thing:
        pass
    class Slotted:
        __slots__ = ("one",)
    things = [Thing() for _ in range(200)]
    for thing in things:
        thing.other, thing.slotted = things[0], Slotted()
        thing.slotted.one = collections.OrderedDict(a=[1])
    @functools.lru_cache(maxsize=None)
    def cached(number):
        return [number]
    for number in range(300):
        cached(number)
    def generate():
        local = {1, 2, 3}
        yield local
    generator = generate()
    next(generator)
    errors = []
    for _ in range(200):
        try:
            1 / 0
        except ZeroDivisionError as error:
            errors.append(error)
    threading.Thread(target=lambda: time.sleep(3600), daemon=True).start()
    ready()
''')


def test_reads_that_go_wrong(interpreter):
    with Target(interpreter, SCRIPT) as target:
        result = run_command(build_dir() / "tests/tools/lt_faults", target.pid, 1, 5000, 499)
        assert result.code == 0, result
        assert result.json["results"] + result.json["failures"] == 66
        assert result.json["results"] > 30, "one wrong read costs an object, not the whole result"
        assert target.alive()
