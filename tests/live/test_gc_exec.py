"""A program that becomes another one by exec() while it is watched: told as that, with what was recorded until then."""
import os
import textwrap

import pytest

from harness import Target, watching

LIVES = textwrap.dedent('''
    import gc, os, sys, threading, time
    gc.disable()
    held = [[i] for i in range(100000)]
    def become(*command):
        for _ in range(5):
            time.sleep(0.05)
            gc.collect()
        time.sleep(0.05)
        os.execv(command[0], command)
    ready()
    wait_line()
''')
AFTER = "import time\\nheld = [[i] for i in range(300000)]\\nwhile True: time.sleep(1)"
# How it goes over, and what runs then.
WAYS = {
    "program": ("become('/bin/sleep', '100')", "/bin/sleep 100"),
    "thread": ("threading.Thread(target=become, args=('/bin/sleep', '100')).start()", "/bin/sleep 100"),
    "restart": ("become(sys.executable, '-c', %r)" % AFTER.replace("\\n", "\n"), "held = [[i] for i in range(300000)]"),
}


possible = {}  # by interpreter and source


@pytest.mark.three_interpreters("what goes over and how is the kernel's", every={"way": ("restart",)})
@pytest.mark.parametrize("source", ["probe", "ring", "poll"])
@pytest.mark.parametrize("way", sorted(WAYS))
def test_exec_is_told_as_what_it_is(interpreter, lowtide, tmp_path, way, source):
    path = tmp_path / "app.tide"
    then, command = WAYS[way]
    with Target(interpreter, LIVES + then + "\nsleep_forever()\n") as target:
        if (interpreter.id, source) not in possible:
            possible[interpreter.id, source] = lowtide("gc", "--json", "-d", "1", "--source", source, target.pid).code != 4
        if not possible[interpreter.id, source]:
            pytest.skip("the source %s is not possible here" % source)
        with watching("gc", "-d", 60, "--source", source, "-o", path, target.pid) as process:
            target.send()
            out, err = process.communicate(timeout=40)
        assert process.returncode == 0, (out, err)
        assert target.alive()
    assert "the program was replaced" in out and "the process ended" not in out, out
    assert "It became another program by exec(): " in out, out
    read = lowtide("gc", "--json", path)
    assert read.code == 0, read
    found = read.json["result"]
    assert found["ended"] is True and command in found["replaced_by"], found["replaced_by"]
    full = [one for one in found["collections"] if one["generation"] == 2]
    assert len(full) == 5 and {one["cause"] for one in full} == {"explicit"}, full
    # By polling a stack that is seen late in a collection is left out.
    places = [one["where"].rpartition(":")[2] for one in full if one["where"]]
    assert set(places) == {"become"} and len(places) >= (5 if source == "probe" else 3), full


@pytest.mark.three_interpreters("the end of a process is the kernel's")
def test_an_end_is_no_exec(interpreter, lowtide):
    """Also of one with several threads and much memory, which takes its time to go."""
    script = LIVES + textwrap.dedent('''
        block = b"x" * (300 << 20)
        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        time.sleep(0.3)
        os.kill(os.getpid(), 9)
    ''')
    for source in ("probe", "poll"):
        with Target(interpreter, script) as target:
            with watching("gc", "--json", "-d", 60, "--source", source, target.pid) as process:
                target.send()
                out, _ = process.communicate(timeout=40)
            if process.returncode == 4:
                continue
            assert process.returncode == 0
            assert '"ended": true' in out and '"replaced_by": null' in out


@pytest.mark.three_interpreters("the end of a process is the kernel's")
def test_a_redacted_recording_has_no_command_line(interpreter, lowtide, tmp_path):
    path = tmp_path / "app.tide"
    with Target(interpreter, LIVES + "become('/bin/sleep', '123.4567')\n") as target:
        with watching("gc", "-d", 60, "--redact", "-o", path, target.pid) as process:
            target.send()
            out, err = process.communicate(timeout=40)
        name = os.path.basename(os.readlink(f"/proc/{target.pid}/exe"))
    assert process.returncode == 0, err
    assert b"123.4567" not in path.read_bytes() and "123.4567" not in out
    assert lowtide("gc", "--json", path).json["result"]["replaced_by"] == name


@pytest.mark.three_interpreters("the end of a process is the kernel's")
@pytest.mark.parametrize("command", [("doctor", "-d", 60), ("leaks", "-d", 12, "--snapshots", 3)], ids=lambda one: one[0])
def test_two_programs_are_not_compared(interpreter, lowtide, command):
    """A restart by exec() keeps the PID: what the program before it did says nothing of the one that runs now."""
    then, _ = WAYS["restart"]
    with Target(interpreter, LIVES + then + "\n") as target:
        with watching(*command, target.pid) as process:
            target.send()
            out, err = process.communicate(timeout=90)
    assert process.returncode == 5, (out, err)
    assert "became another program while it was watched" in err, err
