"""The pages of the sixteen questions: complete, linked, and true to the command line."""
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "questions"
PAGES = sorted(FOLDER.glob("[0-9][0-9]-*.md"))


def test_there_are_sixteen():
    assert [int(page.name[:2]) for page in PAGES] == list(range(1, 17))
    index = (FOLDER / "README.md").read_text()
    for page in PAGES:
        title = page.read_text().splitlines()[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_has_its_parts(page):
    text = page.read_text()
    parts = re.findall(r"^\*\*(.+?)\.\*\*", text, re.M)
    assert parts == ["Symptom", "Command", "Output", "How to read it", "What to change", "Not built yet"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_are_understood(lowtide, page):
    """Of each command line with a PID or files in it: refused for what is not there, and not for its form."""
    lines = re.findall(r"^(?:\$ )?lowtide ([a-z].*)$", page.read_text(), re.M)
    assert lines
    for line in lines:
        words = ["4194304" if word == "PID" or word.isdigit() and len(word) > 2 else word for word in line.split()]
        result = lowtide(*words)
        files = any(word.endswith(".tide") for word in words)
        assert result.code == (5 if "4194304" in words else 6 if files else 0), f"{line}\n{result}"
