"""The command line: what is understood, what is refused and how, where output goes."""
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from harness import lowtide_path
from harness.run import run_command

COMMANDS = ["doctor", "leaks", "gc", "ps", "types", "diff", "object", "snapshot", "path", "retained", "rss", "fragmentation", "trim", "try-allocators", "sql", "help"]


def refused(result, code, sentence, remedy=None):
    """A sentence and its remedy on stderr, nothing on stdout."""
    lines = result.err.splitlines()
    assert result.code == code, str(result)
    assert len(lines) == 2, str(result)
    assert lines[0].startswith("lowtide: ") and lines[0].endswith("."), lines[0]
    assert sentence in lines[0]
    assert lines[1]
    if remedy:
        assert remedy in lines[1]
    assert result.out == ""


@pytest.mark.parametrize("arguments, sentence, remedy", [
    ([], "no command is given", "lowtide ps"),
    (["docto", "1"], "there is no command 'docto'", "Did you mean 'lowtide doctor'?"),
    (["type", "1"], "there is no command 'type'", "Did you mean 'lowtide types'?"),
    (["frobnicate"], "there is no command 'frobnicate'", "lowtide --help"),
    (["help", "typos"], "there is no command 'typos'", "Did you mean 'lowtide types'?"),
    (["4242"], "a command comes before the process ID 4242", "lowtide doctor 4242"),
    (["doctor"], "the command doctor takes a process ID", "lowtide doctor PID"),
    (["doctor", "0"], "'0' is not a process ID", "4194304"),
    (["doctor", "-1"], "-1 is not a process ID", "4194304"),
    (["doctor", "--", "-1"], "'-1' is neither a process ID nor a file", "lowtide ps"),
    (["doctor", "4194305"], "'4194305' is not a process ID", "4194304"),
    (["doctor", "99999999999999999999999"], "is not a process ID", "4194304"),
    (["doctor", "1x"], "'1x' is neither a process ID nor a file", None),
    (["doctor", "+1"], "'+1' is neither a process ID nor a file", None),
    (["doctor", " 1"], "' 1' is neither a process ID nor a file", None),
    (["doctor", ""], "'' is neither a process ID nor a file", None),
    (["snapshot", "/dev/null", "-o", "/tmp/x.tide"], "'/dev/null' is a snapshot file already", ".heapsnapshot"),
    (["snapshot", "1"], "the command snapshot needs a file to write", "lowtide snapshot 1 -o FILE.tide"),
    (["snapshot", "--format", "json", "1"], "the command snapshot cannot write json", "tide"),
    (["doctor", "1", "2"], "'2' is one argument too many for doctor", "lowtide doctor PID"),
    (["ps", "1"], "'1' is one argument too many for ps", "lowtide ps"),
    (["ps", "--jso"], "there is no option --jso", "Did you mean --json?"),
    (["ps", "--js"], "there is no option --js", "Did you mean --json?"),
    (["ps", "--json=1"], "the option --json takes no argument", "Write --json alone."),
    (["ps", "-x"], "there is no option -x", "lowtide --help"),
    (["ps", "-"], "'-' is one argument too many for ps", None),
    (["ps", "--all"], "the command ps has no option --all", "lowtide help ps"),
    (["doctor", "--all", "1"], "the command doctor has no option --all", "lowtide help doctor"),
    (["types", "--fail-on", "low", "1"], "the command types has no option --fail-on", None),
    (["doctor", "--fail-on"], "the option --fail-on takes an argument", "--fail-on=LEVEL"),
    (["doctor", "--fail-on", "dire", "1"], "'dire' is not an argument that --fail-on takes",
     "Give info, low, medium, high or critical."),
    (["doctor", "--fail-on=", "1"], "'' is not an argument that --fail-on takes", None),
    (["types", "--mode", "fast", "1"], "'fast' is not an argument that --mode takes", "Give fork, stop or live."),
    (["ps", "--color=red"], "'red' is not an argument that --color takes", "Give auto, always or never."),
    (["types", "--top", "0", "1"], "'0' is not an argument that --top takes", "from 1 to 1000000"),
    (["types", "--top", "-5", "1"], "'-5' is not an argument that --top takes", None),
    (["types", "--limit", "1e9", "1"], "'1e9' is not an argument that --top takes", None),
    (["types", "-n1000001", "1"], "'1000001' is not an argument that --top takes", None),
    (["types", "-n", "18446744073709551617", "1"], "is not an argument that --top takes", None),
    (["sql", "1"], "the command sql takes PID|FILE QUERY", "lowtide sql PID|FILE QUERY"),
    (["sql", "1", "SELECT 1", "2"], "'2' is one argument too many for sql", None),
    (["sql", "--format", "html", "1", "SELECT 1"], "the command sql cannot write html", "text, json or csv"),
    (["ps", "--format", "csv"], "the command ps cannot write csv", "text or json"),
    (["try-allocators"], "the command try-allocators takes -- and a command to run", "lowtide try-allocators -- COMMAND"),
    (["try-allocators", "--"], "the command try-allocators takes -- and a command to run", None),
    (["try-allocators", "true"], "'true' stands before the -- of try-allocators", "lowtide try-allocators -- COMMAND"),
    (["try-allocators", "--only", "tuned,tcmalloc", "--", "true"], "'tcmalloc' is no setting that --only takes", "malloc+jemalloc"),
    (["try-allocators", "--runs", "0", "--", "true"], "'0' is not an argument that --runs takes", "from 1 to 100"),
    (["ps", "-o", ""], "the file name of --output is empty", None),
])
def test_refused(lowtide, arguments, sentence, remedy):
    refused(lowtide(*arguments), 2, sentence, remedy)


def test_hostile_arguments_do_no_harm(lowtide):
    for argument in ["\x1b[31m" + "x" * 5000, "\u202e", "%s%n", "--" + "y" * 100000, "-\x07"]:
        result = lowtide(argument)
        assert result.code == 2
        assert "\x1b" not in result.err and "\x07" not in result.err and "\u202e" not in result.err


@pytest.mark.parametrize("arguments", [["--json", "nosuch"], ["nosuch", "--json"], ["doctor", "0", "--json"]])
def test_usage_error_as_json(lowtide, arguments):
    result = lowtide(*arguments)
    assert result.code == 2
    error = result.json["error"]
    assert error["status"] == "usage" and error["exit_code"] == 2 and error["message"] and error["remedy"]
    assert result.err.startswith("lowtide: ")


def test_after_two_dashes_nothing_is_an_option(lowtide):
    refused(lowtide("--", "--json"), 2, "there is no command '--json'")


def test_version(lowtide):
    for arguments in (["--version"], ["-V"], ["-V", "doctor"]):
        result = lowtide(*arguments)
        assert result.code == 0 and result.err == ""
        assert result.out.split()[0] == "lowtide" and result.out.split()[1][0].isdigit()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(lowtide, command):
    first = lowtide("help", command)
    assert first.code == 0 and first.err == ""
    assert first.out.startswith(f"Usage: lowtide {command} [OPTIONS]")
    for arguments in ([command, "--help"], [command, "-h"], ["--help", command], [command, "-h", "--top=3"]):
        assert lowtide(*arguments).out == first.out


def test_help_of_the_program(lowtide):
    first = lowtide("--help")
    assert first.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in first.out
    for word in ("--json", "--output FILE", "--fail-on LEVEL", "  70  "):
        assert word in first.out
    assert "--generate" not in first.out
    assert lowtide("help").out == first.out
    assert max(map(len, first.out.splitlines())) <= 80


def test_man_page_has_every_option(lowtide, tmp_path):
    page = lowtide("--generate", "man")
    assert page.code == 0
    text = page.out.replace("\\-", "-")
    for word in ("lowtide doctor", "lowtide ps", "lowtide types", "--fail-on", "--limit", "--mode", "NO_COLOR"):
        assert word in text, word
    path = tmp_path / "lowtide.1"
    path.write_text(page.out)
    try:
        checked = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", path], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no groff on this machine")
    assert checked.returncode == 0 and checked.stderr == "", checked.stderr


def bash_completions(lowtide, tmp_path, *words):
    script = tmp_path / "completion"
    script.write_text(lowtide("--generate", "bash").out)
    quoted = " ".join(f"'{word}'" for word in ("lowtide", *words))
    result = run_command("bash", "-c", f". {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _lowtide; "
                         'printf "%s\\n" "${COMPREPLY[@]}"')
    assert result.code == 0 and result.err == "", str(result)
    return result.out.split()


def test_bash_completion(lowtide, tmp_path):
    assert bash_completions(lowtide, tmp_path, "") == COMMANDS
    assert bash_completions(lowtide, tmp_path, "do") == ["doctor"]
    assert bash_completions(lowtide, tmp_path, "doctor", "--fail") == ["--fail-on"]
    assert bash_completions(lowtide, tmp_path, "doctor", "--fail-on", "") == ["info", "low", "medium", "high", "critical"]
    assert bash_completions(lowtide, tmp_path, "types", "--mode", "l") == ["live"]
    assert bash_completions(lowtide, tmp_path, "help", "ty") == ["types"]
    assert "--all" not in bash_completions(lowtide, tmp_path, "doctor", "--")
    assert bash_completions(lowtide, tmp_path, "try-allocators", "--ru") == ["--runs"]
    assert bash_completions(lowtide, tmp_path, "try-allocators", "--", "env", "--ru") == []
    assert "env" in bash_completions(lowtide, tmp_path, "try-allocators", "--", "en")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_completions_are_valid(lowtide, tmp_path, shell):
    script = lowtide("--generate", shell).out
    for command in COMMANDS:
        assert command in script
    path = tmp_path / "completion"
    path.write_text(script)
    try:
        checked = subprocess.run([shell, "-n", path], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"no {shell} on this machine")
    assert checked.returncode == 0, checked.stderr


def test_output_to_a_file(lowtide, tmp_path):
    path = tmp_path / "report"
    result = lowtide("help", "--help", "-o", path)
    assert result.code == 0 and result.out == ""
    assert path.read_text() == lowtide("help", "--help").out
    assert [entry.name for entry in tmp_path.iterdir()] == ["report"]


def test_output_replaces_a_file_and_keeps_its_mode(lowtide, tmp_path):
    path = tmp_path / "report"
    path.write_text("old")
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to("report")
    assert lowtide("--version", f"-o{link}").code == 0
    assert path.read_text().startswith("lowtide ") and link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "report"]


def test_a_failed_command_leaves_an_old_report_alone(lowtide, tmp_path):
    path = tmp_path / "report"
    path.write_text("old")
    assert lowtide("doctor", 4194304, "--json", f"--output={path}").code == 5
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("name, sentence", [
    ("nosuch/report", "No such file or directory"),
    (".", "is a folder"),
    ("file/report", "Not a directory"),
])
def test_output_that_cannot_be(lowtide, tmp_path, name, sentence):
    (tmp_path / "file").write_text("")
    refused(lowtide("--version", "-o", tmp_path / name), 6, sentence)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_full_disk(lowtide):
    refused(lowtide("--version", "-o", "/dev/full"), 6, "cannot write /dev/full: No space left on device")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    result = run_command("sh", "-c", f"{lowtide_path()} --version > /dev/full")
    refused(result, 6, "cannot write to standard output: No space left on device")


def test_closed_standard_output(lowtide):
    refused(run_command("sh", "-c", f"{lowtide_path()} --version >&-"), 6, "standard output is closed")


def test_reader_that_went_away(lowtide):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([lowtide_path(), "--help"], stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert done.returncode == 6
    assert done.stderr.startswith("lowtide: standard output was closed before the report was complete.\n")


def test_error_as_json_when_nobody_reads(lowtide):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([lowtide_path(), "--json", "nosuch"], stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)
    assert done.returncode == 2
    assert "there is no command 'nosuch'" in done.stderr


def test_docs_name_every_command_and_option(lowtide):
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    for command in COMMANDS:
        assert f"`lowtide {command}" in text
    help_text = "".join(lowtide("help", command).out for command in COMMANDS)
    for word in {word.strip(",") for word in help_text.split() if word.startswith("--") and len(word) > 2}:
        assert word.split("=")[0] in text, word


def test_documented_json_members_are_the_written_ones(lowtide):
    """Each member of the golden JSON stands in docs/json.md."""
    text = (Path(__file__).parents[2] / "docs" / "json.md").read_text()

    def members(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                if key != "evidence":
                    yield from members(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from members(inner)

    for path in (Path(__file__).parent / "golden").glob("*-json.txt"):
        for name in set(members(json.loads(path.read_text()))):
            assert f"`{name}`" in text, f"{name} of {path.name}"
