"""Every program of the corpus tests/live/leaks: the first suspect of `lowtide leaks` is the seeded one; healthy services have none."""
import concurrent.futures

import pytest
from harness import run_lowtide
from leak_corpus import alarms, interpreter_for, programs, suspects, target, what_is_wrong

LEAKS = [program for program in programs() if program.expect is not None]
SERVICES = [program for program in programs() if program.expect is None]
# Those that look different to lowtide from one CPython to the next; they run on all of them.
EVERYWHERE = ("lru_unbounded", "closure_cell", "kept_exception", "thread_local", "unfinished_generator", "buffer_bytearray")


@pytest.fixture(scope="module", autouse=True)
def leaks_command(lowtide):
    if lowtide("help", "leaks").code != 0:
        pytest.skip("lowtide leaks is not built yet")


@pytest.mark.parametrize("program", LEAKS, ids=lambda program: program.name)
def test_the_first_suspect_is_the_seeded_leak(program, lowtide, record_property):
    with target(program, interpreter_for(program)) as process:
        found = suspects(lowtide, process.pid)
        assert process.alive(), process.output()
    wrong = what_is_wrong(program.expect, found)
    record_property("seeded leak", f"{program.name}: {wrong or 'right'}")
    assert not wrong, (wrong, found[:3])


@pytest.mark.parametrize("program", SERVICES, ids=lambda program: program.name)
def test_a_healthy_service_has_no_suspect(program, lowtide, record_property):
    with target(program, interpreter_for(program)) as process:
        found = alarms(suspects(lowtide, process.pid))
        assert process.alive(), process.output()
    record_property("healthy service", f"{program.name}: {found or 'right'}")
    assert not found


def test_seeded_leaks_on_every_interpreter(interpreter):
    """All at once: they only wait most of the time."""

    def ask(program):
        with target(program, interpreter) as process:
            return what_is_wrong(program.expect, suspects(run_lowtide, process.pid))

    chosen = [program for program in LEAKS if program.name in EVERYWHERE]
    assert len(chosen) == len(EVERYWHERE)
    with concurrent.futures.ThreadPoolExecutor(len(chosen)) as pool:
        answers = dict(zip(EVERYWHERE, pool.map(ask, sorted(chosen, key=lambda one: EVERYWHERE.index(one.name)))))
    assert {name: wrong for name, wrong in answers.items() if wrong} == {}


def test_the_corpus_has_every_kind():
    kinds = {kind for program in LEAKS for kind in program.expect["kind"]}
    assert kinds >= {"lru-cache-unbounded", "module-container", "class-attribute", "instance-attribute", "closure-cell",
                     "default-argument", "thread-local", "context-variable", "callback-list", "logging-handler",
                     "kept-exception", "task-set", "unfinished-generator", "unjoined-threads", "cycle-with-del",
                     "weak-value-container", "repeated-modules", "repeated-classes", "untracked-container", "c-buffer",
                     "native-growth"}
    assert len(LEAKS) >= 28 and len(SERVICES) >= 10
