"""Exports from the command line: which format a file gets, what is refused, and that no part of a file stays."""
import json
import os

import pytest
from test_command_line import refused


@pytest.mark.parametrize("arguments, sentence, remedy", [
    (["ps", "-o", "list.html"], "the command ps cannot write html", "It can write text or json"),
    (["ps", "--format", "dot"], "the command ps cannot write dot", "text or json"),
    (["types", "-o", "x.HeapSnapshot", "1"], "the command types cannot write heapsnapshot", None),
    (["ps", "--format", "pdf"], "'pdf' is not an argument that --format takes", "trace or openmetrics"),
    (["ps", "--format"], "the option --format takes an argument", "--format=FORMAT"),
])
def test_refused_formats(lowtide, tmp_path, monkeypatch, arguments, sentence, remedy):
    monkeypatch.chdir(tmp_path)
    refused(lowtide(*arguments), 2, sentence, remedy)
    assert list(tmp_path.iterdir()) == []


def test_the_ending_chooses(lowtide, tmp_path):
    for name, is_json in (("a.json", True), ("a.JSON", True), ("a.txt", False), ("a", False), (".json", False)):
        path = tmp_path / name
        result = lowtide("ps", "-o", path)
        assert result.code == 0 and result.out == "", result
        assert path.read_text().startswith("{") == is_json, name
    assert json.loads((tmp_path / "a.json").read_text())["command"] == "ps"


def test_format_is_stronger_than_the_ending(lowtide, tmp_path):
    path = tmp_path / "a.html"
    assert lowtide("ps", "--format=json", "-o", path).code == 0
    json.loads(path.read_text())
    assert lowtide("ps", "--json", "-o", path).code == 0
    json.loads(path.read_text())
    assert lowtide("ps", "--format=text", "-o", path).code == 0
    assert not path.read_text().startswith("{")


def test_only_the_file_stays(lowtide, tmp_path):
    path = tmp_path / "report.json"
    path.write_text("older")
    os.chmod(path, 0o640)
    assert lowtide("ps", "-o", path).code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_json_flag_and_another_format(lowtide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = lowtide("ps", "--json", "--format", "text")
    assert result.code == 2
    assert result.json["error"]["message"] == "--json and --format text are two formats"
    assert list(tmp_path.iterdir()) == []
