"""Running frames as lowtide sees them, against what the target says of itself."""
import textwrap

from harness import Target, build_dir, run_command

SCRIPT = textwrap.dedent('''
    import sys, threading, time, traceback

    def deep(level, label):
        number = level * 1000
        ratio = 0.5
        if level:
            return deep(
                level - 1,
                label,
            )
        started.set()
        while True:
            time.sleep(3600)

    class Worker:
        def run(self, name):
            captured = name + "!"
            def inner():
                big = 10 ** 15
                return captured, deep(3, ("x", 1, None, True, b"\\x00y"))
            return [inner() for _ in range(1)]

    started = threading.Event()
    thread = threading.Thread(target=Worker().run, args=("worker \\u00e9'",), daemon=True)
    thread.start()
    started.wait()
    time.sleep(0.2)
    frame = sys._current_frames()[thread.ident]
    stack = traceback.extract_stack(frame)
    # A list comprehension is a frame of its own up to 3.11; functions are told by co_name here.
    ready(thread=thread.ident, stack=[[f.name, f.filename, f.lineno] for f in stack])
''')


def test_frames_and_locals(interpreter):
    with Target(interpreter, SCRIPT) as target:
        result = run_command(build_dir() / "tests/tools/lt_roots", target.pid)
        assert result.code == 0, result
        seen = result.json
        assert seen["unreadable"] == 0
        frames = [f for f in seen["frames"] if f["thread_id"] == target.facts["thread"]]
        frames.sort(key=lambda f: -f["depth"])
        ours = [[f["function"].split(".")[-1], f["file"], f["line"]] for f in frames]
        assert ours == target.facts["stack"]
        innermost = frames[-1]["locals"]
        assert innermost["label"] == repr(("x", 1, None, True, b"\x00y"))
        assert (innermost["level"], innermost["number"], innermost["ratio"]) == ("0", "0", "0.5")
        inner = next(f for f in frames if f["function"].split(".")[-1] == "inner")
        assert inner["locals"]["big"] == str(10 ** 15)
        run = next(f for f in frames if f["function"].split(".")[-1] == "run" and "threading" not in f["file"])
        assert run["locals"]["name"] == repr("worker \u00e9'")
        main = [f for f in seen["frames"] if f["thread_id"] != target.facts["thread"]]
        assert {"sleep_forever", "<module>"} & {f["function"].split(".")[-1] for f in main}
        assert seen["roots"]["modules"] == 1
        assert seen["roots"]["local"] > 10
