"""What is no live CPython process: exit code, sentence and remedy, as text and as JSON."""
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Target, interpreters, lowtide_path, reset_signals, run_command

COMMANDS = ["doctor", "types", "rss"]
NOT_PYTHON, NOT_PERMITTED, GONE = 3, 4, 5
STATUS = {NOT_PYTHON: "not-python", NOT_PERMITTED: "permission", GONE: "gone"}
NOBODY = 65534


def refused(run, pid, code, *sentences, command="doctor"):
    """Both forms of the error, with the same sentence."""
    text = run(command, pid)
    lines = text.err.splitlines()
    assert text.code == code and text.out == "", str(text)
    assert len(lines) == 2 and lines[0].startswith("lowtide: ") and lines[0].endswith("."), str(text)
    assert len(lines[1]) > 10 and lines[1][0].isupper(), str(text)
    for sentence in sentences:
        assert sentence in lines[0], str(text)
    form = run(command, "--json", pid)
    assert form.code == code, str(form)
    envelope = form.json
    assert "result" not in envelope
    assert envelope["command"] == command and envelope["target"]["pid"] == pid
    assert envelope["error"]["status"] == STATUS[code] and envelope["error"]["exit_code"] == code
    assert lines[0] == f"lowtide: {envelope['error']['message']}."
    assert envelope["error"]["remedy"]
    return lines


@contextmanager
def process(*command, **options):
    child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, preexec_fn=reset_signals, **options)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)


def wait_for_program(pid: int, name: str) -> None:
    """Until the child has become that program: right after the fork it still is the Python of the tests."""
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/comm").read_text().strip() != name[:15]:
        assert time.monotonic() < deadline, f"{pid} does not become {name}"
        time.sleep(0.005)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_such_process(lowtide, command):
    refused(lowtide, 4194304, GONE, "there is no process 4194304", command=command)


def test_process_that_has_ended(lowtide):
    with process("true") as child:
        child.wait()
        refused(lowtide, child.pid, GONE, f"there is no process {child.pid}")


def test_zombie(lowtide):
    with process("true") as child:
        deadline = time.monotonic() + 30
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        refused(lowtide, child.pid, GONE, f"process {child.pid} has ended")


@pytest.mark.parametrize("command", COMMANDS)
def test_not_python(lowtide, command):
    with process("sleep", 1000) as child:
        wait_for_program(child.pid, "sleep")
        refused(lowtide, child.pid, NOT_PYTHON, str(child.pid), command=command)


def test_program_that_only_names_itself_python(lowtide, tmp_path):
    path = tmp_path / "python3"
    shutil.copy(shutil.which("sleep"), path)
    with process(path, 1000) as child:
        wait_for_program(child.pid, "python3")
        refused(lowtide, child.pid, NOT_PYTHON, str(child.pid))


def test_stripped_static_program(lowtide, tmp_path):
    source, program = tmp_path / "static.c", tmp_path / "static"
    source.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    try:
        built = subprocess.run(["gcc", "-static", "-s", "-o", program, source], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no gcc on this machine")
    if built.returncode != 0:
        pytest.skip("no static libc on this machine")
    with process(program) as child:
        wait_for_program(child.pid, "static")
        refused(lowtide, child.pid, NOT_PYTHON, str(child.pid))


def test_kernel_thread(lowtide):
    flag = 0x00200000  # PF_KTHREAD, include/linux/sched.h
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[6]) & flag:
                lines = refused(lowtide, int(name), NOT_PYTHON, name)
                assert "kernel" in lines[0]
                return
    pytest.skip("no kernel thread is visible in this PID namespace")


def test_lowtide_itself(lowtide):
    result = run_command("sh", "-c", f"exec {lowtide_path()} doctor $$")
    assert result.code == NOT_PYTHON and result.err.startswith("lowtide: "), str(result)


def test_first_process_of_an_empty_namespace(lowtide):
    """There PID 1 is lowtide itself."""
    unshare = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--pid", "--fork",
               "--mount-proc", "--kill-child"]
    if run_command(*unshare, "true").code != 0:
        pytest.skip("no new PID namespace may be made here")
    result = run_command(*unshare, lowtide_path(), "doctor", 1)
    assert result.code == NOT_PYTHON and result.err.startswith("lowtide: "), str(result)
    # PIDs of the namespace outside mean nothing here.
    result = run_command(*unshare, lowtide_path(), "doctor", os.getpid() + 100000)
    assert result.code == GONE, str(result)


def test_first_process_of_another_namespace(lowtide):
    """Seen from outside it is a process like any other."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    wrap = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    if run_command(*wrap, "true").code != 0:
        pytest.skip("no new PID namespace may be made here")
    chosen = [i for i in interpreters() if i.root is None]
    with Target(chosen[-1], "ready()", wrap=wrap) as target:
        children = Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()
        result = lowtide("types", "--json", int(children[0]))
        assert target.facts["pid"] == 1
        assert result.code == 0, str(result)
        assert result.json["target"]["pid"] == int(children[0])


@pytest.fixture
def as_nobody(tmp_path):
    """Runs lowtide without any privilege, from a copy that everybody can reach."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv on this machine")
    # Not below tmp_path: its parents are closed to others.
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/lowtide-nobody-XXXXXX"], text=True).strip())
    folder.chmod(0o755)
    program = shutil.copy(lowtide_path(), folder)

    def run(*arguments):
        return run_command("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", program, *arguments)

    yield run
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_process_of_somebody_else(as_nobody, command):
    with Target([i for i in interpreters() if i.root is None][-1], "ready()") as target:
        lines = refused(as_nobody, target.pid, NOT_PERMITTED, "not permitted", str(target.pid), command=command)
        assert "sudo" in lines[1], lines


def test_somebody_else_without_python(as_nobody):
    """No guess about what may not be seen: the sentence is about the permission."""
    with process("sleep", 1000) as child:
        wait_for_program(child.pid, "sleep")
        refused(as_nobody, child.pid, NOT_PERMITTED, "not permitted")


def test_root_without_the_capability(lowtide):
    """A container without CAP_SYS_PTRACE: even root may not look at a process that has more."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    without = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    if run_command(*without, "true").code != 0:
        pytest.skip("capabilities may not be dropped here")
    with Target([i for i in interpreters() if i.root is None][-1], "ready()") as target:
        result = run_command(*without, lowtide_path(), "doctor", target.pid)
        assert result.code == NOT_PERMITTED, str(result)
        assert "CAP_SYS_PTRACE" in result.err or "sudo" in result.err, str(result)


def test_list_without_privilege(as_nobody):
    """Processes of others are counted with the reason, and are no error."""
    with Target([i for i in interpreters() if i.root is None][-1], "ready()") as target:
        result = as_nobody("ps", "--json")
        assert result.code == 0, str(result)
        listed = result.json["result"]
        # It may be listed, so that one knows of it, but then with the reason why no more is known.
        mine = [p for p in listed["processes"] if p["pid"] == target.pid]
        assert not mine or (mine[0]["problem"] and mine[0]["gc"] is None), mine
        denied = [s for s in listed["skipped"] if s["status"] == "permission"]
        assert mine or denied, str(result)
        assert as_nobody("ps").code == 0


def opened_memory_of(looker: int, target: int) -> bool:
    try:
        return any(os.readlink(f"/proc/{looker}/fd/{fd}") == f"/proc/{target}/mem"
                   for fd in os.listdir(f"/proc/{looker}/fd"))
    except OSError:
        return False


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mode", ["live", "stop", "fork"])
def test_process_that_ends_midway(lowtide, mode, command):
    """Killed as soon as lowtide has its memory open, before much of it can have been read."""
    script = "held = [[i] for i in range(400000)]\nready()"
    with Target([i for i in interpreters() if i.root is None][-1], script) as target:
        looker = subprocess.Popen([lowtide_path(), command, "--json", "--mode", mode, str(target.pid)], text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  preexec_fn=reset_signals)
        try:
            while looker.poll() is None and not opened_memory_of(looker.pid, target.pid):
                pass
            os.kill(target.pid, signal.SIGKILL)
            out, err = looker.communicate(timeout=100)
        finally:
            looker.kill()
            looker.wait(10)
    seen = f"{looker.returncode}\n{out}\n{err}"
    # Only a frozen copy outlives the process; a picture that was complete before it ended is no error.
    assert looker.returncode in ((0, GONE) if mode == "fork" else (GONE,)), seen
    if looker.returncode == GONE:
        assert str(target.pid) in err and "ended" in err, seen


def test_free_threaded_build(lowtide, tmp_path):
    names = [f"python3.{minor}t" for minor in range(13, 16)]
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        pytest.skip("no free-threaded CPython on this machine")
    with process(found[0], "-c", "import time; time.sleep(1000)") as child:
        wait_for_program(child.pid, Path(found[0]).name)
        time.sleep(1)  # there is no sign from outside that it has started up
        lines = refused(lowtide, child.pid, NOT_PYTHON, str(child.pid))
        assert "free-threaded" in lines[0]
