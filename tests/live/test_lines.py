"""Lines of instructions, names of local variables and small values, against what the target says of them."""
import textwrap

from harness import Target, build_dir, run_command

CODES = textwrap.dedent('''
    import argparse, ast, asyncio, collections, dis, email.message, gc, inspect, json, os, types, typing

    def lines(code):
        """[offset, line] of each instruction that has a line; that of a module which is entered has line 0."""
        if hasattr(code, "co_lines"):
            ranges = [(start, stop, line) for start, stop, line in code.co_lines() if line]
        else:
            starts = list(dis.findlinestarts(code)) + [(len(code.co_code), None)]
            ranges = [(at, starts[i + 1][0], line) for i, (at, line) in enumerate(starts[:-1])]
        return [[offset, line] for start, stop, line in ranges for offset in range(start, stop, 2)]

    seen, waiting = {}, []
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType):
            waiting.append(thing.__code__)
    while waiting:
        code = waiting.pop()
        if id(code) not in seen:
            seen[id(code)] = code
            waiting += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    kept = list(seen.values())
    kept.sort(key=lambda c: (c.co_filename, c.co_firstlineno, c.co_name))
    kept = kept[::7][:900]

    def names(code):
        """As the slots of a frame are: a cell that is an argument has one slot from 3.11 on."""
        if hasattr(code, "co_qualname"):
            cells = [name for name in code.co_cellvars if name not in code.co_varnames]
        else:
            cells = list(code.co_cellvars)
        return list(code.co_varnames) + cells + list(code.co_freevars)

    ready(codes=[[id(code), lines(code), names(code)] for code in kept])
''')

VALUES = textwrap.dedent('''
    texts = ["plain", "", "caf\\u00e9", "\\u20ac uro", "\\U0001f600 smile", "x" * 100, "tab\\tline\\n", "esc\\x1b[31m"]
    values = [0, 1, -1, 2 ** 30, -2 ** 30, 2 ** 62, -2 ** 62, True, False, None, 1.5, -0.1, 1e300, 3.0, "it's", 'say "x"',
              "back\\\\slash", b"bytes\\x00\\xff", (1, "two", (3.0, None)), (), (1,)]
    unknown = [2 ** 100, [1], {}, object(), "y" * 1000, tuple(range(50)), float("inf")]
    ready(texts=[[id(t), t] for t in texts], values=[[id(v), repr(v)] for v in values], unknown=[id(v) for v in unknown])
''')


GENERATORS = textwrap.dedent('''
    class Aw:
        def __await__(self):
            yield 1

    def simple(n):
        a = [n]
        yield a
        for i in range(3):
            try:
                x = yield (
                    i
                )
            finally:
                x = None

    def outer(n):
        yield from simple(n)

    def unstarted():
        yield 1

    async def coro():
        x = 1
        await Aw()

    async def coro2():
        with memoryview(b"x") as m:
            await coro()

    async def agen():
        y = 1
        yield y
        async with Ctx() as c:
            await Aw()
        yield 2

    class Ctx:
        async def __aenter__(self):
            await Aw()
        async def __aexit__(self, *a):
            await Aw()

    def done():
        yield 1

    kept = []
    def keep(g, steps=0, attr="gi_frame"):
        for _ in range(steps):
            g.send(None)
        kept.append((g, attr))
    for s in range(4):
        keep(simple(1), s)
    for s in range(4):
        keep(outer(1), s)
    keep(unstarted())
    d = done(); list(d); keep(d)
    keep(coro(), 1, "cr_frame"); keep(coro2(), 1, "cr_frame"); keep(coro2(), 0, "cr_frame")
    a = agen(); 
    kept.append((a, "ag_frame"))
    a2 = agen()
    try: a2.asend(None).send(None)
    except StopIteration: pass
    kept.append((a2, "ag_frame"))
    s3 = a2.asend(None); s3.send(None)
    g = (x
         for x in
         [1, 2, 3])
    keep(g, 1)
    keep((y for y in "ab"), 0)
    def thrown():
        try:
            yield 1
        except ValueError:
            z = 1
            yield 2
    t = thrown(); next(t); t.throw(ValueError()); keep(t)
    rows = []
    for gen, attr in kept:
        f = getattr(gen, attr)
        rows.append([id(gen), f.f_lineno if f else 0, gen.__qualname__])
    ready(rows=rows)
''')


def ask(target, requests):
    result = run_command(build_dir() / "tests/tools/lt_lines", target.pid, stdin="".join(r + "\n" for r in requests))
    assert result.code == 0, result
    answers = result.out.split("\n")[:-1]
    assert len(answers) == len(requests)
    return answers


def test_lines_of_every_instruction(interpreter):
    with Target(interpreter, CODES) as target:
        codes = target.facts["codes"]
        requests = ["l %x %x" % (code, offset) for code, lines, _ in codes for offset, _ in lines]
        expected = [line for _, lines, _ in codes for _, line in lines]
        assert len(expected) > 5000
        answers = [int(a) for a in ask(target, requests)]
        assert [(r, a, e) for r, a, e in zip(requests, answers, expected) if a != e][:5] == []


def test_names_of_local_variables(interpreter):
    with Target(interpreter, CODES) as target:
        codes = target.facts["codes"]
        requests = ["n %x %x" % (code, i) for code, _, names in codes for i in range(len(names) + 1)]
        expected = [name for _, _, names in codes for name in [*names, "?"]]
        assert len(expected) > 1000
        answers = ask(target, requests)
        assert [(r, a, e) for r, a, e in zip(requests, answers, expected) if a != e[:40]][:5] == []


def test_text_and_values(interpreter):
    with Target(interpreter, VALUES) as target:
        facts = target.facts
        answers = ask(target, ["s %x" % address for address, _ in facts["texts"]])
        for answer, (_, text) in zip(answers, facts["texts"]):
            shown = "".join(c if c.isprintable() else "?" for c in text)
            assert answer == (shown if len(text) <= 40 else shown[:40] + "...")
        answers = ask(target, ["v %x" % address for address, _ in facts["values"]])
        assert answers == [value for _, value in facts["values"]]
        assert ask(target, ["v %x" % address for address in facts["unknown"]]) == ["?"] * len(facts["unknown"])
        assert ask(target, ["v 10", "s 10", "l 10 0", "n 10 0"]) == ["?", "?", "0", "?"]


def test_lines_of_suspended_generators(interpreter):
    with Target(interpreter, GENERATORS) as target:
        rows = target.facts["rows"]
        assert len(rows) == 18 and len({line for _, line, _ in rows}) > 12
        answers = [int(a) for a in ask(target, ["g %x" % address for address, _, _ in rows])]
        assert [(name, line, a) for (_, line, name), a in zip(rows, answers) if a != line] == []
