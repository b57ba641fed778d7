"""try-allocators: the figures against the command's own, what fails is shown, nothing is left behind."""
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from harness import lowtide_path, run_command, run_lowtide
from harness.target import clean_environment, reset_signals

MIB = 1 << 20
PYTHON = [sys.executable, "-S", "-c"]

# A large block that is freed teaches glibc to keep chunks of its size; then one survivor in ten pins the others' memory.
HOLES = '''
import time
large = b"x" * (24 << 20)
del large
blocks = [b"%d" % i * (1 << 19) for i in range(10, 99)]
kept = blocks[::10] + blocks[-1:]
del blocks
time.sleep(1)
'''

# What it holds depends on the environment, so that the advice is known before.
HOLDS = '''
import os, sys, time
held = b"x" * ((%s) << 20)
time.sleep(1)
sys.exit(%s)
'''
NO_PYMALLOC = '"PYTHONMALLOC" in os.environ'


def settings(result):
    assert result.code == 0, str(result)
    return {setting["name"]: setting for setting in result.json["result"]["settings"]}


def try_json(*arguments, **keywords):
    return run_lowtide("try-allocators", "--json", *arguments, **keywords)


def test_figures_are_those_of_the_command(tmp_path):
    code = '''
import resource, sys, time
held = b"x" * (96 << 20)
del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
time.sleep(1.5)
'''
    result = try_json("--only", "tuned", "--runs", "2", "--", *PYTHON, code)
    peaks = [int(line) for line in result.err.split()]
    found = settings(result)
    runs = [run for i in range(2) for run in (found["as-is"]["runs"][i], found["tuned"]["runs"][i])]
    assert list(found) == ["as-is", "tuned"]
    assert len(peaks) == len(runs) == 4, str(result)
    for own, run in zip(peaks, runs):
        assert own <= run["peak_bytes"] < own + 16 * MIB
        assert run["final_bytes"] < run["peak_bytes"] - 80 * MIB
        assert run["exit_code"] == 0 and not run["timed_out"] and run["seconds"] >= 1.5
    assert found["as-is"]["figures"]["peak_bytes"] == min(run["peak_bytes"] for run in runs[::2])


def test_holes_of_glibc_go_with_fixed_thresholds():
    result = try_json("--only", "tuned", "--", *PYTHON, HOLES)
    found = settings(result)
    assert found["tuned"]["final_gain_ratio"] > 0.3, str(result)
    advice = result.json["result"]["advice"]
    assert advice["name"] == "tuned" and result.json["result"]["reason"] is None
    assert advice["environment"]["MALLOC_ARENA_MAX"] == "2"
    assert advice["environment"] == found["tuned"]["environment"]


def test_advice_names_the_environment_and_the_gain():
    code = HOLDS % (f"20 if {NO_PYMALLOC} else 120", "0")
    result = run_lowtide("try-allocators", "--only", "malloc,tuned", "--", *PYTHON, code)
    assert result.code == 0, str(result)
    advice = result.out[result.out.index("ADVICE"):]
    assert "PYTHONMALLOC=malloc" in advice and "MALLOC_ARENA_MAX" not in advice, str(result)
    gain = try_json("--only", "malloc", "--", *PYTHON, code).json["result"]["advice"]["peak_gain_ratio"]
    assert 0.6 < gain < 0.9


def test_no_advice_without_a_gain():
    result = try_json("--only", "malloc,tuned", "--", *PYTHON, HOLDS % ("100", "0"))
    assert result.json["result"]["advice"] is None, str(result)
    assert "10 %" in result.json["result"]["reason"]


def test_child_processes_count():
    child = "import time; held = b'x' * (48 << 20); time.sleep(2)"
    code = f"import subprocess, sys\nfor p in [subprocess.Popen([sys.executable, '-S', '-c', {child!r}]) for _ in range(2)]: p.wait()"
    figures = settings(try_json("--only", "as-is", "--", *PYTHON, code))["as-is"]["figures"]
    assert figures["processes"] >= 3
    assert figures["peak_bytes"] > 96 * MIB


def test_a_setting_that_fails_is_shown_and_not_advised():
    code = HOLDS % (f"20 if {NO_PYMALLOC} else 120", f"3 if {NO_PYMALLOC} else 0")
    result = try_json("--only", "malloc", "--", *PYTHON, code)
    found = settings(result)
    assert found["as-is"]["state"] == "tried" and found["malloc"]["state"] == "failed"
    assert found["malloc"]["figures"]["exit_code"] == 3
    assert result.json["result"]["advice"] is None
    text = run_lowtide("try-allocators", "--only", "malloc", "--", *PYTHON, code)
    assert "fails with it" in text.out, str(text)


def test_a_command_that_fails_anyway_gives_no_advice():
    code = HOLDS % (f"20 if {NO_PYMALLOC} else 120", "3")
    result = try_json("--only", "malloc", "--", *PYTHON, code)
    assert settings(result)["malloc"]["state"] == "tried"
    assert result.json["result"]["advice"] is None
    assert "fails as it is" in result.json["result"]["reason"]


def test_a_signal_is_named():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    figures = settings(try_json("--only", "as-is", "--", *PYTHON, code))["as-is"]["figures"]
    assert figures["signal"] == signal.SIGKILL and figures["exit_code"] is None
    assert "SIGKILL" in run_lowtide("try-allocators", "--only", "as-is", "--", *PYTHON, code).out


def test_a_command_that_is_not_there_is_an_error():
    result = run_lowtide("try-allocators", "--", "/nonexistent/program")
    assert result.code == 6 and "cannot be started: No such file" in result.err and result.out == "", str(result)


def test_output_and_options_of_the_command_are_its_own(tmp_path):
    code = "import sys; print('out', *sys.argv[1:]); print('err', file=sys.stderr); print(repr(sys.stdin.read()))"
    arguments = ["--", *PYTHON, code, "--json", "-q", "-o", str(tmp_path / "x"), "--", "--help"]
    result = run_lowtide("try-allocators", "--only", "as-is", *arguments, stdin="something")
    assert result.code == 0 and result.out.count("ALLOCATORS") == 1, str(result)
    assert f"out --json -q -o {tmp_path}/x -- --help" in result.err and "err" in result.err and "''" in result.err
    assert "err\n" not in result.out and not (tmp_path / "x").exists()
    assert run_lowtide("try-allocators", "-q", "--only", "as-is", *arguments).err == ""


def test_time_ends_a_service_with_all_its_processes(tmp_path):
    pids = tmp_path / "pids"
    result = try_json("--only", "tuned", "--timeout", "2", "--", *PYTHON, service(pids))
    for setting in settings(result).values():
        assert setting["state"] == "tried" and setting["figures"]["timed_out"], str(result)
        assert setting["figures"]["exit_code"] is None and setting["time_ratio"] is None
    assert_all_gone(pids)


def service(pids):
    """A service with a daemon in a session of its own; both heed no SIGTERM, and write down who they are."""
    return f'''
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
with open({str(pids)!r}, "a") as file:
    file.write("%d\\n" % os.getpid())
time.sleep(3600)
'''


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def assert_all_gone(pids):
    written = [int(line) for line in pids.read_text().split()]
    assert len(written) >= 2
    deadline = time.monotonic() + 60
    while any(map(is_alive, written)):
        assert time.monotonic() < deadline, f"{written} are left"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_lowtide_is_ended(tmp_path, number):
    pids = tmp_path / "pids"
    process = subprocess.Popen([str(lowtide_path()), "try-allocators", "-q", "--", *PYTHON, service(pids)], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=clean_environment(None), preexec_fn=reset_signals, start_new_session=True)
    deadline = time.monotonic() + 60
    while not pids.exists() or len(pids.read_text().split()) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == -number and out == ""
    assert_all_gone(pids)


def library_folder(tmp_path, make):
    folder = tmp_path / "lib"
    folder.mkdir()
    make(folder / "libjemalloc.so.2")
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}, folder / "libjemalloc.so.2"


def test_a_library_is_found_and_loaded(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")

    def build(path):
        source = tmp_path / "empty.c"
        source.write_text("int lowtide_test_marker = 1;\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(path), str(source)], check=True)

    environment, path = library_folder(tmp_path, build)
    code = "import os, time; print(os.environ.get('LD_PRELOAD'), flush=True); time.sleep(0.5)"
    result = try_json("--only", "jemalloc,malloc+jemalloc", "--", *PYTHON, code, env=environment)
    found = settings(result)
    assert found["jemalloc"]["state"] == found["malloc+jemalloc"]["state"] == "tried", str(result)
    assert found["jemalloc"]["library"] == str(path)
    assert found["malloc+jemalloc"]["environment"]["PYTHONMALLOC"] == "malloc"
    assert found["jemalloc"]["environment"]["LD_PRELOAD"].split(":")[0] == str(path)
    assert result.err.count(str(path)) == 2, str(result)


def test_a_library_that_is_not_loaded_says_nothing(tmp_path):
    environment, _ = library_folder(tmp_path, lambda path: path.write_text("no library"))
    code = "import os, time; held = b'x' * ((20 if os.environ.get('LD_PRELOAD') else 120) << 20); time.sleep(0.5)"
    result = try_json("-q", "--only", "jemalloc", "--", *PYTHON, code, env=environment)
    assert settings(result)["jemalloc"]["state"] == "not-loaded", str(result)
    assert result.json["result"]["advice"] is None


def test_what_is_missing_is_listed_with_its_package():
    result = try_json("-q", "--only", "jemalloc,mimalloc", "--", *PYTHON, "pass")
    text = run_lowtide("try-allocators", "-q", "--only", "jemalloc,mimalloc", "--", *PYTHON, "pass").out
    for name, package in [("jemalloc", "libjemalloc2"), ("mimalloc", "libmimalloc")]:
        setting = settings(result)[name]
        assert package in setting["package"]
        assert (setting["library"] is None) == (setting["state"] == "missing") == (setting["figures"] is None)
        assert (f"not installed: package {package}" in text) == (setting["state"] == "missing")


def installed(name):
    return sorted(os.path.realpath(path) for path in glob.glob(f"/usr/lib/*/lib{name}.so.*"))


def test_what_is_installed_is_found_and_loaded():
    names = [name for name in ("jemalloc", "mimalloc") if installed(name)]
    if not names:
        pytest.skip("neither jemalloc nor mimalloc: not here (Debian's packages libjemalloc2 and libmimalloc2.0)")
    code = "import time; print({line.split()[-1] for line in open('/proc/self/maps') if 'malloc.so' in line}, flush=True); time.sleep(0.5)"
    chosen = names + ["malloc+" + name for name in names]
    result = try_json("--only", ",".join(chosen), "--", *PYTHON, code)
    found = settings(result)
    for name in chosen:
        assert found[name]["state"] == "tried" and found[name]["library"] in installed(name.removeprefix("malloc+")), str(result)
        assert found[name]["figures"]["exit_code"] == 0 and found[name]["figures"]["peak_bytes"] > 4 * MIB, str(result)
        assert result.err.count(repr({found[name]["library"]})) == 2, str(result)


# Small objects of which a few survive, in a program that then only waits.
WAITS = """
import time
rows = [{"id": i, "name": str(i), "points": [i] * 20} for i in range(100_000)]
kept = rows[::300]
del rows
time.sleep(3)
"""


def test_free_pages_go_back_while_the_command_waits():
    if not installed("jemalloc"):
        pytest.skip("jemalloc: not here (Debian's package libjemalloc2)")
    found = settings(try_json("--only", "malloc+jemalloc", "--", *PYTHON, WAITS))["malloc+jemalloc"]
    assert found["environment"]["MALLOC_CONF"].startswith("background_thread:true"), found
    assert found["final_gain_ratio"] > 0.3, found
    kept = {"MALLOC_CONF": "dirty_decay_ms:10000"}
    found = settings(try_json("--only", "malloc+jemalloc", "--", *PYTHON, WAITS, env=kept))["malloc+jemalloc"]
    assert "MALLOC_CONF" not in found["environment"] and found["final_gain_ratio"] < 0.1, found


def test_the_setting_of_mimalloc_is_one_that_it_knows():
    if not installed("mimalloc"):
        pytest.skip("mimalloc: not here (Debian's package libmimalloc2.0)")
    found = settings(try_json("--only", "mimalloc", "--", *PYTHON, "pass"))["mimalloc"]
    name, = (name for name in found["environment"] if name.startswith("MIMALLOC_"))
    assert found["environment"][name] == "0"
    with open(found["library"], "rb") as library:
        assert name.removeprefix("MIMALLOC_").lower().encode() + b"\0" in library.read()


def test_a_package_that_is_gone_is_listed(tmp_path):
    """In a mount namespace where the folder of the libraries has none of them any more."""
    folder, upper, work = "/usr/lib/x86_64-linux-gnu", tmp_path / "upper", tmp_path / "work"
    upper.mkdir()
    work.mkdir()
    try:
        for path in glob.glob(f"{folder}/libjemalloc.so.*") + glob.glob(f"{folder}/libmimalloc.so.*"):
            os.mknod(upper / os.path.basename(path), 0o020000, 0)  # an overlay takes it for removed
    except PermissionError:
        pytest.skip("takes root: a device to be made")
    mount = f"mount -t overlay overlay -o lowerdir={folder},upperdir={upper},workdir={work} {folder} || exit 125"
    result = run_command("unshare", "--mount", "--propagation", "private", "--", "sh", "-c", mount + '; exec "$@"', "sh", lowtide_path(),
                         "try-allocators", "-q", "--only", "tuned,jemalloc,malloc+mimalloc", "--", *PYTHON, "pass")
    if result.code == 125:
        pytest.skip("an overlay cannot be mounted here")
    assert result.code == 0, str(result)
    assert result.out.count("not installed: package libjemalloc2") == 1, str(result)
    assert result.out.count("not installed: package libmimalloc2.0 (Debian 12) or libmimalloc3") == 1, str(result)
    assert " tuned " in result.out
