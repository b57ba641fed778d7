"""Tasks that asyncio lists: asyncio.all_tasks() of the target says which, and expressions that begin at one are true."""
import pytest
from harness import Target

SCRIPT = '''
import asyncio, gc, sys, threading

gc.disable()

class Payload:
    __slots__ = ("__weakref__",)

payloads, lines = {}, {}

def line_after(name):
    lines[name] = sys._getframe(1).f_lineno + 1

async def sleeps(name):
    held = Payload()
    payloads[name] = id(held)
    line_after(name)
    await asyncio.sleep(3600)

async def waits(future):
    held = Payload()
    payloads["waits"] = id(held)
    line_after("waits")
    await future

async def stored():
    held = Payload()
    payloads["stored"] = id(held)
    line_after("stored")
    await asyncio.sleep(3600)

async def nothing_holds():
    held = Payload()
    payloads["lost"] = id(held)
    await asyncio.get_running_loop().create_future()

async def ends():
    pass

class OwnTask(asyncio.Task):
    pass

def listed(loop):
    return sorted([id(task), task.get_name()] for task in asyncio.all_tasks(loop))

async def other():
    asyncio.get_running_loop().create_task(sleeps("thread"))
    await asyncio.sleep(0.05)
    started.set()
    await asyncio.sleep(3600)

def answer(loop):
    while True:
        text = wait_line()
        done = threading.Event()
        def run():
            try:
                value = id(eval(text, {"sys": sys}))
            except Exception as error:
                value = repr(error)
            ready(value=value)
            done.set()
        loop.call_soon_threadsafe(run)
        done.wait()

async def main():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    kept = [asyncio.ensure_future(ends())]
    loop.create_task(sleeps("named")).set_name("sleeper")
    loop.create_task(sleeps("unnamed"))
    own = OwnTask(sleeps("own"), loop=loop)
    del own
    loop.create_task(waits(future))
    sys.modules["asyncio"].stored_here = [loop.create_task(stored())]
    loop.create_task(nothing_holds())
    await asyncio.sleep(0.05)
    threading.Thread(target=lambda: asyncio.run(other()), daemon=True).start()
    started.wait()
    threading.Thread(target=answer, args=(loop,), daemon=True).start()
    tasks = listed(loop) + listed(next(l for l in gc.get_objects()
                                       if isinstance(l, asyncio.AbstractEventLoop) and l is not loop))
    ready(tasks=tasks, payloads=payloads, stored=id(sys.modules["asyncio"].stored_here[0]),
          file=__file__, lines=lines)
    await asyncio.sleep(3600)

started = threading.Event()
asyncio.run(main())
'''


def test_roots_are_the_tasks_that_the_target_lists(interpreter, lowtide, tmp_path):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        for options in ((), ("--redact",)):
            file = tmp_path / f"tasks{len(options)}.tide"
            assert lowtide("snapshot", *options, target.pid, "-o", file).code == 0
            query = "SELECT address, variable FROM roots WHERE kind = 'asyncio-task'"
            result = lowtide("sql", "--json", file, query)
            assert result.code == 0, result
            found = sorted([row["address"], row["variable"]] for row in result.json["result"]["rows"])
            wanted = sorted(target.facts["tasks"])
            assert len(wanted) == 9
            assert found == [[address, None if options else name] for address, name in wanted]


def test_expressions_begin_at_tasks(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        payloads, stored, file, lines = (target.facts[key] for key in ("payloads", "stored", "file", "lines"))
        names = dict(target.facts["tasks"])
        del payloads["lost"]
        assert set(payloads) == {"named", "unnamed", "own", "waits", "thread", "stored"}
        for name, address in payloads.items():
            result = lowtide("path", "--json", target.pid, hex(address))
            assert result.code == 0, result
            paths = result.json["result"]["paths"]
            first = paths[0]
            assert len({path["expression"] for path in paths}) == len(paths)
            if name == "stored":
                # A place of the program's own says more than asyncio's list.
                assert first["root_kind"] == "modules", first
                expression = first["expression"]
                assert "stored_here[0]" in expression
            else:
                assert first["root_kind"] == "asyncio-task", first
                title, _, expression = first["expression"].partition(": ")
                task = int(first["steps"][0]["address"], 16)
                function = "waits" if name == "waits" else "sleeps"
                assert title == f"asyncio task '{names[task]}' of {function}()"
                if name == "named":
                    assert names[task] == "sleeper"
            # Where the coroutine waits.
            assert first["where"] == f"{file}:{lines[name]}"
            assert "<" not in expression
            assert first["steps"][-1]["address"] == hex(address)
            if name != "thread":  # a task of another loop
                target.send(expression)
                assert target.wait_ready()["value"] == address, first
        held = lowtide("path", "--json", target.pid, hex(stored))
        assert any("stored_here[0]" in path["expression"] for path in held.json["result"]["paths"])


def test_a_task_that_nothing_holds_is_garbage(interpreter, lowtide):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        result = lowtide("path", "--json", target.pid, hex(target.facts["payloads"]["lost"]))
        assert result.code == 0, result
        assert result.json["result"]["paths"] == []


EAGER = '''
import asyncio, gc

gc.disable()

class Payload:
    __slots__ = ("__weakref__",)

payloads = {}

async def sleeps(name):
    held = Payload()
    payloads[name] = id(held)
    await asyncio.sleep(3600)

async def ends_at_once():
    pass

async def blocks():
    held = Payload()
    payloads["blocks"] = id(held)
    loop = asyncio.get_running_loop()
    ready(tasks=sorted([id(task), task.get_name()] for task in asyncio.all_tasks(loop)),
          running=id(asyncio.current_task()), payloads=payloads)
    wait_line()

async def main():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    ended = loop.create_task(ends_at_once())
    loop.create_task(sleeps("first"), name="first")
    loop.create_task(sleeps("second"), name="second")
    assert ended.done()
    loop.create_task(blocks(), name="runs")

asyncio.run(main())
'''


def test_eager_tasks(interpreter, lowtide, tmp_path):
    """Started eagerly, a task is listed once it waits; one that runs its first step is held by the frame that runs it."""
    with Target(interpreter, "import asyncio\nready(eager=hasattr(asyncio, 'eager_task_factory'))") as target:
        if not target.facts["eager"]:
            pytest.skip("asyncio starts no task eagerly in this release")
    with Target(interpreter, EAGER) as target:
        file = tmp_path / "eager.tide"
        assert lowtide("snapshot", target.pid, "-o", file).code == 0
        result = lowtide("sql", "--json", file, "SELECT address, variable FROM roots WHERE kind = 'asyncio-task'")
        assert result.code == 0, result
        running = target.facts["running"]
        listed = sorted(target.facts["tasks"])
        assert len(listed) == 4 and running in dict(listed)
        # Up to 3.13 it is in a set of its own until it waits; since 3.14 it is listed as all are.
        wanted = [task for task in listed if task[0] != running or interpreter.version >= (3, 14)]
        assert sorted([row["address"], row["variable"]] for row in result.json["result"]["rows"]) == wanted
        for name, kind in (("first", "asyncio-task"), ("second", "asyncio-task"), ("blocks", None)):
            result = lowtide("path", "--json", file, hex(target.facts["payloads"][name]))
            assert result.code == 0, result
            paths = result.json["result"]["paths"]
            assert paths, name
            if kind:
                assert paths[0]["root_kind"] == kind and f"'{name}' of sleeps()" in paths[0]["expression"], paths[0]
            else:
                assert paths[0]["root_kind"] == "local" and "'held' of blocks()" in paths[0]["expression"], paths[0]
