"""Whose thread-local values they are: of which thread, by its name, and whether that one has ended."""
import pytest
from harness import Target

SCRIPT = '''
import ctypes, sys, threading, time, types

app = types.ModuleType("app")
sys.modules["app"] = app
app.local = threading.local()
found = {}

class Value:
    __slots__ = ("__weakref__",)

def keep(name):
    app.local.value = Value()
    found[name] = {"value": id(app.local.value), "native": threading.get_native_id()}

def work(name):
    keep(name)
    ready_count.release()
    time.sleep(3600)

ready_count = threading.Semaphore(0)
for name in ("reader", "writer"):
    threading.Thread(target=work, args=(name,), name="the " + name, daemon=True).start()
for _ in range(2):
    ready_count.acquire()
keep("main")

# Ends as threads should: its values are gone.
thread = threading.Thread(target=keep, args=("done",))
thread.start()
thread.join()
del found["done"], thread

# A thread of C code that leaves its state behind: PyGILState_Ensure() once more than PyGILState_Release().
libc = ctypes.CDLL(None)
entry = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
ctypes.pythonapi.PyGILState_Ensure.restype = ctypes.c_int

@entry
def leaves(_):
    ctypes.pythonapi.PyGILState_Ensure()
    keep("left")
    return None

handle = ctypes.c_ulong()
assert libc.pthread_create(ctypes.byref(handle), None, leaves, None) == 0
assert libc.pthread_join(handle, None) == 0
ready(found=found)
'''


@pytest.mark.parametrize("redact", [False, True])
def test_values_name_their_thread(interpreter, lowtide, tmp_path, redact):
    with Target(interpreter, SCRIPT) as target:
        target.wait_asleep()
        found = target.facts["found"]
        assert set(found) == {"reader", "writer", "main", "left"}
        file = tmp_path / "threads.tide"
        assert lowtide("snapshot", *(["--redact"] if redact else []), target.pid, "-o", file).code == 0
        titles = {"reader": "'the reader'", "writer": "'the writer'", "main": "'MainThread'"}
        for name, facts in found.items():
            for source in [file] if redact else [target.pid, file]:
                result = lowtide("path", "--json", source, hex(facts["value"]))
                assert result.code == 0, result
                [expression] = [path["expression"] for path in result.json["result"]["paths"] if "value" in path["expression"]
                                and "sys.modules" in path["expression"] or redact][:1]
                title, _, rest = expression.partition(": ")
                if name == "left":
                    # 3.9 and 3.10 know a thread's id by what glibc keeps, which is gone with the thread.
                    assert title.startswith("in the ended thread "), expression
                    if interpreter.version >= (3, 11):
                        assert title.split("'")[0].strip() == f"in the ended thread {facts['native']}"
                else:
                    wanted = f"in thread {facts['native']}"
                    assert title == (wanted if redact else f"{wanted} {titles[name]}"), expression
                if not redact:
                    assert rest == "sys.modules['app'].local.value"
