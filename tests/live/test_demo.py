"""`make demo`, with fewer visitors: the report names the leak, and nothing that was started stays."""
import os
import signal
import subprocess
import time
from pathlib import Path

from harness import REPOSITORY, build_dir, reset_signals, run_command
from harness.target import clean_environment

DEMO = REPOSITORY / "scripts" / "demo.sh"


def started(folder) -> set[str]:
    """Processes that the demo with that temporary folder has started, itself left out."""
    found = set()
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and f"TMPDIR={folder}\0".encode() in Path("/proc", name, "environ").read_bytes() and \
                    b"shop" in Path("/proc", name, "cmdline").read_bytes():
                found.add(name)
        except OSError:
            pass
    return found


def test_demo(lowtide, tmp_path):
    result = run_command(DEMO, build_dir(), env={"DEMO_VISITS": "600", "TMPDIR": str(tmp_path)})
    assert result.code == 0, result
    assert "sys.modules['shop.pricing']._quotes" in result.out
    assert "lowtide doctor PID" in result.out
    assert not started(tmp_path)
    assert not list(tmp_path.iterdir())


def test_demo_ends_what_it_started_when_it_is_ended(lowtide, tmp_path):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        with open(os.devnull, "wb") as nothing:
            demo = subprocess.Popen([DEMO, build_dir()], stdin=subprocess.DEVNULL, stdout=nothing, stderr=nothing, preexec_fn=reset_signals,
                                    env=clean_environment({"DEMO_VISITS": "1000000", "TMPDIR": str(tmp_path)}), start_new_session=True)
        try:
            # A process that is just being started is a copy of its parent for a moment.
            deadline = time.monotonic() + 60
            while len(seen := started(tmp_path)) != 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert len(seen) == 2
        except BaseException:
            demo.kill()
            demo.wait()
            raise
        demo.send_signal(number)
        assert demo.wait(30) == code
        deadline = time.monotonic() + 30
        while started(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not started(tmp_path)
