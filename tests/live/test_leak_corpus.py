"""Every program of the corpus tests/live/leaks: the first suspect of `lowtide leaks` is the seeded one; healthy services have none."""
import concurrent.futures
import time

import pytest
from harness import run_lowtide
from leak_corpus import alarms, interpreter_for, programs, suspects, target, what_is_wrong

LEAKS = [program for program in programs() if program.expect is not None]
SERVICES = [program for program in programs() if program.expect is None]
# Those that look different to lowtide from one CPython to the next; they run on all of them.
EVERYWHERE = ("lru_unbounded", "closure_cell", "kept_exception", "thread_local", "unfinished_generator", "buffer_bytearray")


# Those that a file must have what the process has for.
STORED = ("lru_unbounded", "closure_cell", "thread_local", "context_variable", "unfinished_generator", "buffer_mmap",
          "cycle_with_del", "c_cycle", "unjoined_threads", "native_growth")
AHEAD = 3  # programs that run at once: they only wait most of the time


@pytest.fixture(scope="module", autouse=True)
def leaks_command(lowtide):
    assert lowtide("help", "leaks").code == 0


def ask(program, interpreter):
    with target(program, interpreter) as process:
        found = suspects(run_lowtide, process.pid)
        assert process.alive(), process.output()
    return found


@pytest.fixture(scope="module")
def answers(lowtide):
    """The suspects of a program; those that are asked for next start meanwhile."""
    order, futures = LEAKS + SERVICES, {}
    with concurrent.futures.ThreadPoolExecutor(AHEAD) as pool:

        def answer(program):
            first = order.index(program)
            for one in order[first:first + AHEAD]:
                if one.name not in futures:
                    futures[one.name] = pool.submit(lambda chosen=one: ask(chosen, interpreter_for(chosen)))
            return futures[program.name].result()

        yield answer
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("program", LEAKS, ids=lambda program: program.name)
def test_the_first_suspect_is_the_seeded_leak(program, answers, record_property):
    found = answers(program)
    wrong = what_is_wrong(program.expect, found)
    record_property("seeded leak", f"{program.name}: {wrong or 'right'}")
    assert not wrong, (wrong, found[:3])


@pytest.mark.parametrize("program", SERVICES, ids=lambda program: program.name)
def test_a_healthy_service_has_no_suspect(program, answers, record_property):
    found = alarms(answers(program))
    record_property("healthy service", f"{program.name}: {found or 'right'}")
    assert not found


def test_seeded_leaks_on_every_interpreter(interpreter):
    """All at once: they only wait most of the time."""
    chosen = [program for program in LEAKS if program.name in EVERYWHERE]
    assert len(chosen) == len(EVERYWHERE)
    with concurrent.futures.ThreadPoolExecutor(len(chosen)) as pool:
        found = list(pool.map(lambda program: ask(program, interpreter), chosen))
    wrong = {program.name: what_is_wrong(program.expect, answer) for program, answer in zip(chosen, found)}
    assert {name: text for name, text in wrong.items() if text} == {}


def test_snapshots_say_the_same(lowtide, tmp_path):
    """`leaks` of three files, which were taken a second apart."""

    def compare(program):
        files = [tmp_path / f"{program.name}-{number}.tide" for number in range(3)]
        with target(program, interpreter_for(program)) as process:
            for file in files:
                time.sleep(1)
                result = run_lowtide("snapshot", "-o", file, process.pid)
                assert result.code == 0, result
        result = run_lowtide("leaks", "--json", *files)
        assert result.code == 0, result
        return what_is_wrong(program.expect, result.json["result"]["suspects"])

    chosen = [program for program in LEAKS if program.name in STORED]
    with concurrent.futures.ThreadPoolExecutor(AHEAD) as pool:
        wrong = dict(zip((program.name for program in chosen), pool.map(compare, chosen)))
    assert len(chosen) == len(STORED) and {name: text for name, text in wrong.items() if text} == {}


def test_the_corpus_has_every_kind():
    kinds = {kind for program in LEAKS for kind in program.expect["kind"]}
    assert kinds >= {"lru-cache-unbounded", "module-container", "class-attribute", "instance-attribute", "closure-cell",
                     "default-argument", "thread-local", "context-variable", "callback-list", "logging-handler",
                     "kept-exception", "task-set", "unfinished-generator", "unjoined-threads", "cycle-with-del",
                     "weak-value-container", "repeated-modules", "repeated-classes", "untracked-container", "c-buffer",
                     "native-growth", "references-from-c", "type-without-traverse"}
    assert len(LEAKS) >= 28 and len(SERVICES) >= 10
