"""The heap of a target that works on while it is read, or ends while it is read."""
import subprocess
import time

import pytest

from harness import Target, build_dir, run_command

BUSY = '''
import gc, threading, time
shared, kept = [], [{"number": i, "items": [i]} for i in range(20000)]

class Thing:
    def __init__(self, number):
        self.number, self.me = number, self
        if number % 3 == 0:
            self.extra = {number: [number]}

def work(seed):
    number = seed
    while True:
        number += 1
        batch = [Thing(number + i) for i in range(50)]
        shared.append(batch)
        if number % 7 == 0:
            made = type("Made%d" % (number % 11), (Thing,), {"made": batch})
            shared.append(made(number))
        if len(shared) > 200:
            del shared[:150]
        kept[number % len(kept)] = {str(i): (i, [i]) for i in range(number % 40)}
        if number % 200 == 0:
            gc.collect(number % 3)
        time.sleep(0.002)

for seed in range(4):
    threading.Thread(target=work, args=(seed * 1000,), daemon=True).start()
ready()
sleep_forever()
'''


@pytest.mark.parametrize("mode", ["live", "fork", "stop"])
def test_busy(interpreter, mode):
    with Target(interpreter, BUSY) as target:
        for turn in range(3):
            options = ["--graph"] if turn == 1 else []
            result = run_command(build_dir() / "tests/tools/lt_probe", "--mode", mode, *options, target.pid)
            assert result.code == 0 and not result.timed_out, result
            seen = result.json
            counts = {f"{m}:{n}": c for m, n, c, *_ in seen["types"]}
            figures = {key: value for key, value in seen.items() if key not in ("types", "graph")}, counts
            assert seen["tracked"] > 20000, figures
            assert counts["builtins:dict"] > 15000, figures
            if options:
                assert seen["graph"]["misplaced"] == 0 and seen["graph"]["nodes"] > 40000
            # Not each count is exact, and the result says so: it is proved or something was unreadable.
            assert seen["proved"] or seen["unreadable"] > 0
        assert target.alive()


ENDS = '''
held = [{"number": i, "items": [i, (i, "x%d" % i)]} for i in range(150000)]
ready()
sleep_forever()
'''


@pytest.mark.parametrize("mode", ["live", "fork"])
def test_the_target_ends_midway(interpreter, mode):
    codes = []
    for delay in (0.0, 0.01, 0.03, 0.06, 0.12):
        with Target(interpreter, ENDS) as target:
            # 0: it was read before it ended, or the frozen copy outlived it.
            command = [build_dir() / "tests/tools/lt_probe", "--mode", mode, "--graph", str(target.pid)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
                time.sleep(delay)
                target.process.kill()
                target.process.wait()
                out, err = run.communicate(timeout=60)
            codes.append(run.returncode)
            assert run.returncode in (0, 5), (delay, out[:2000], err)
    assert 5 in codes or mode == "fork", codes
