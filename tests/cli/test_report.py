"""The reports of made-up results (tests/tools/report_samples.c), compared with the files in golden/.

After a change that is meant: `LOWTIDE_GOLDEN=write python3 -m pytest tests/cli/test_report.py`, then read the
difference before it is committed.
"""
import json
import os
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness import run_command
from harness.run import build_dir

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    "doctor", "doctor ascii 80", "doctor color 70", "doctor quiet", "doctor verbose", "doctor json",
    "doctor-empty", "doctor-empty json", "types", "types verbose 60", "types json", "ps", "ps 80", "ps json",
    "ps-empty", "error", "error ascii", "error json", "fragmentation", "fragmentation ascii 80", "fragmentation quiet",
    "fragmentation-limits", "fragmentation json", "fragmentation-svg",
]
ENVELOPE = ["lowtide", "schema", "command", "target", "cost", "unreadable", "warnings"]


@pytest.fixture(scope="module")
def samples():
    program = build_dir() / "tests" / "tools" / "report_samples"
    if not program.exists():
        pytest.skip(f"{program} is not built")

    def run(case: str) -> str:
        result = run_command(program, *case.split(), env={"LC_ALL": "C.UTF-8"})
        assert result.code == 0, str(result)
        return result.out

    return run


@pytest.mark.parametrize("case", CASES)
def test_report_is_as_agreed(samples, case):
    path = GOLDEN / (case.replace(" ", "-") + ".txt")
    # The version of lowtide is in the envelope; it changes with every release.
    out = re.sub(r'"lowtide": "[0-9.]+"', '"lowtide": "VERSION"', samples(case))
    if os.environ.get("LOWTIDE_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(out)
    assert out == path.read_text()


@pytest.mark.parametrize("case", CASES)
def test_hostile_strings_are_harmless(samples, case):
    """No control character, no change of reading direction; escapes are lowtide's own colours only."""
    out = samples(case)
    if "color" in case:
        out = re.sub(r"\x1b\[[0-9;]*m", "", out)
    bad = {c for c in out if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    assert not bad, f"{sorted(map(hex, map(ord, bad)))} in the report"
    if "ascii" in case or "json" in case:
        assert out.isascii()


def test_colours_are_all_ended(samples):
    for line in samples("doctor color").splitlines():
        codes = re.findall(r"\x1b\[([0-9;]*)m", line)
        assert [code == "0" for code in codes] == [False, True] * (len(codes) // 2), line


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_tables_and_paragraphs_respect_the_width(samples, width):
    def columns(line: str) -> int:
        return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)

    for line in samples(f"ps {width}").splitlines():
        if line.startswith(("4242", "  77")) and width >= 80:
            assert columns(line) <= width, line
    for line in samples(f"doctor {width}").splitlines():
        if re.match(r" {4}(why|fix|seen) ", line):
            assert columns(line) <= width, line


@pytest.mark.parametrize("case", [case for case in CASES if "json" in case])
def test_envelope(samples, case):
    text = json.loads(samples(case))
    assert list(text) == [*ENVELOPE, "error" if case.startswith("error") else "result"]
    assert text["schema"] == 1
    assert text["unreadable"] == 3
    assert set(text["cost"]) == {"stall_ms", "elapsed_ms", "peak_bytes"}
    assert text["target"] is None or set(text["target"]) == {"pid", "python", "cmdline"}


def test_json_keeps_strings_exactly(samples):
    rows = json.loads(samples("types json"))["result"]["rows"]
    assert [set(row) for row in rows] == [{"type", "module", "count", "bytes"}] * 5
    assert rows[2]["type"] == "\x1b[31mRed\x1b[0m\x07"
    assert rows[2]["module"] == "evil\r\nmodule"
    assert rows[3]["type"] == "Café\u202e商品"
    assert rows[4]["type"] == r"broken\xff\xc3("


def test_findings_in_json(samples):
    findings = json.loads(samples("doctor json"))["result"]["findings"]
    assert [set(f) for f in findings] == [{"id", "severity", "title", "expression", "where", "evidence",
                                           "explanation", "fix"}] * 3
    assert [f["severity"] for f in findings] == ["critical", "high", "info"]
    assert findings[0]["evidence"] == {"held_bytes": 222718976, "share": 0.3094, "entries": 180233, "maxsize": "None"}
    assert findings[1]["evidence"] == {"enabled": False, "count": -3, "ratio": 1.71571}
    assert findings[1]["expression"] is None


def test_the_map_shows_each_shade(samples):
    """The sample has 384 pools, of which each sign stands for one, and 150 runs of malloc, of each shade ten in turn."""
    for case, signs in (("fragmentation", "\u00b7\u2591\u2592\u2593\u2588"), ("fragmentation ascii 80", ".-+*#")):
        out = samples(case)
        python, malloc = out[out.index("MAP OF PYTHON"):].split("MAP OF MALLOC")
        rows = [line[2:] for line in python.splitlines()[1:] if line.startswith("  ")]
        cells = "".join(row.ljust(64) for row in rows if not set(row) - set(signs + " "))
        assert len(cells) == 384 and cells[:128] == signs[4] * 128, cells
        assert cells.count(signs[1]) == 4 and cells.count(signs[0]) == 4 * 55 and cells.count(" ") == 4 * 8, cells
        rows = [line[2:] for line in malloc.splitlines()[1:] if line.startswith("  ")]
        cells = "".join(row for row in rows if not set(row) - set(signs + " "))
        assert cells[:49] == signs[4] * 10 + signs[3] * 10 + signs[2] * 10 + signs[1] * 10 + signs[0] * 9


def test_the_picture_is_small_valid_and_has_a_legend(samples):
    text = samples("fragmentation-svg")
    root = ElementTree.fromstring(text.encode())
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == space + "svg" and root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    words = [node.text for node in root.iter(space + "text")]
    assert words[0] == "Fragmentation: pinned by survivors"
    legend = {rect.get("fill") for rect in root.iter(space + "rect")} - {"#ffffff"}
    names = [word for word in words if word in ("full", "75 to 95 %", "25 to 75 %", "below 25 %", "empty, but held", "not resident")]
    assert len(names) == len(set(names)) == len(legend) == 6
    cells = {path.get("fill"): 0 for path in root.iter(space + "path")}
    for path in root.iter(space + "path"):
        cells[path.get("fill")] += len(re.findall(r"M\d+ \d+h7v7h-7z", path.get("d")))
    assert set(cells) == legend and sum(cells.values()) == 384 + 150
    assert len(text) < 20_000
    assert "<script" not in text and "href" not in text and text.count("http") == 1
