"""The harness itself: it is what all other live tests rest on."""
import os

import pytest
from harness import Target, TargetFailed, run_command


def test_target_says_ready_and_is_gone_after_the_block(interpreter):
    with Target(interpreter, "import sys\nready(version=list(sys.version_info[:3]))") as target:
        assert tuple(target.facts["version"]) == interpreter.version
        assert target.facts["pid"] == target.pid
        assert target.settled()
    assert not os.path.exists(f"/proc/{target.pid}")
    assert not target.directory.exists()


def test_target_is_led_by_lines(interpreter):
    with Target(interpreter, "ready(at=1)\nassert wait_line() == 'on'\nready(at=2)") as target:
        assert target.facts["at"] == 1
        target.send("on")
        assert target.wait_ready()["at"] == 2


def test_a_target_that_fails_shows_its_traceback(interpreter):
    with pytest.raises(TargetFailed, match="boom"):
        with Target(interpreter, "raise ValueError('boom')"):
            pass


def test_children_of_a_target_end_with_it(interpreter):
    script = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(600)\nready(child=pid)"
    with Target(interpreter, script) as target:
        child = target.facts["child"]
        assert os.path.exists(f"/proc/{child}")
    assert not os.path.exists(f"/proc/{child}")


def test_a_container_is_process_1_of_its_own_world(interpreter):
    if interpreter.root is None:
        pytest.skip("runs as a container only from a root of its own")
    script = "import os\nready(root=sorted(os.listdir('/mnt')), pids=[p for p in os.listdir('/proc') if p.isdigit()])"
    with Target(interpreter, script, container=True) as target:
        assert target.facts["pid"] == 1
        assert target.facts["pids"] == ["1"]
        assert target.pid != target.process.pid
        with open(f"/proc/{target.pid}/cmdline") as line:
            assert interpreter.path in line.read()
    assert not os.path.exists(f"/proc/{target.pid}")


def test_a_command_that_hangs_is_ended():
    result = run_command("sh", "-c", "echo begun; sleep 600 & wait", timeout=0.5)
    assert result.timed_out and result.code == 137 and result.out == "begun\n"
