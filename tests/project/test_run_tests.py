"""scripts/run_tests.py: what it counts, and the second try of a failed test."""
import importlib
import os

import pytest

from harness.pythons import REPOSITORY

FIRST_TIME = '''
import os, pathlib
def test_good(): pass
def test_shaky():
    mark = pathlib.Path(os.environ["SHAKY"])
    seen = mark.exists()
    mark.touch()
    assert seen
def test_bad(): assert False
'''


@pytest.fixture()
def runner(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return importlib.import_module("run_tests")


@pytest.mark.parametrize("name, passed, failed", [("test_shaky_one", 2, 1), ("test_freeze", 1, 2), ("test_harm_commands", 1, 2)])
def test_second_try(runner, tmp_path, monkeypatch, name, passed, failed):
    folder = tmp_path / "tests" / "live"
    folder.mkdir(parents=True)
    (tmp_path / "tests" / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (folder / f"{name}.py").write_text(FIRST_TIME)
    monkeypatch.setenv("SHAKY", str(tmp_path / "mark"))
    monkeypatch.setattr(runner, "REPOSITORY", tmp_path)
    suite = runner.run_pytest(folder, tmp_path)
    assert (suite.passed, suite.failed) == (passed, failed)
    assert any("UNSTEADY live/test_shaky_one.py::test_shaky" in detail for detail in suite.details) == (passed == 2)
    assert os.path.exists(tmp_path / "mark")
