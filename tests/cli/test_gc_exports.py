"""What the collector did, for other programs: the exports of a made-up recording (tests/tools/gc_samples.c), compared with
golden/ and read by parsers as strict as the formats' descriptions.
"""
import csv
import io
import json
import math
import os
import re
import subprocess
from pathlib import Path

import pytest
from harness.run import build_dir

GOLDEN = Path(__file__).parent / "golden"
FORMS = {"csv": "gc.csv", "trace": "gc-trace.json", "openmetrics": "gc.openmetrics"}


@pytest.fixture(scope="module")
def samples():
    program = build_dir() / "tests" / "tools" / "gc_samples"
    if not program.exists():
        pytest.skip(f"{program} is not built")

    def run(form: str) -> str:
        # As bytes: CSV has lines that end in CR LF.
        done = subprocess.run([program, form], env={"LC_ALL": "C.UTF-8"}, capture_output=True, check=True)
        return done.stdout.decode()

    return run


@pytest.mark.parametrize("form", FORMS)
def test_export_is_as_agreed(samples, form):
    path = GOLDEN / FORMS[form]
    out = re.sub(r'"lowtide":"[0-9.]+"', '"lowtide":"VERSION"', samples(form))
    if os.environ.get("LOWTIDE_GOLDEN") == "write":
        path.write_bytes(out.encode())
    assert out.encode() == path.read_bytes()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    program = build_dir() / "tests" / "tools" / "gc_samples"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    before, after = (tmp_path_factory.mktemp("recordings") / name for name in ("before.tide", "after.tide"))
    subprocess.run([program, before], check=True)
    subprocess.run([program, after, "changed"], check=True)
    return before, after


@pytest.mark.parametrize("form", ["text", "json"])
def test_comparison_is_as_agreed(lowtide, recordings, form):
    result = lowtide("gc", "--requests", "100,50", "--format", form, *recordings, env={"LC_ALL": "C.UTF-8"})
    assert result.code == 0, result
    out = result.out if form == "text" else json.dumps(result.json["result"], indent=2) + "\n"
    path = GOLDEN / ("gc-compare.txt" if form == "text" else "gc-compare-json.txt")
    if os.environ.get("LOWTIDE_GOLDEN") == "write":
        path.write_text(out)
    assert out == path.read_text()
    assert "\x1b" not in out and "\u202e" not in out


def test_requests_are_given_as_a_number_or_a_rate(lowtide, recordings):
    sides = lowtide("gc", "--json", *recordings).json["result"]
    lengths = [sides[side]["seconds"] for side in ("before", "after")]
    for given, wanted in (("100,50", [100, 50]), ("100/s,50", [100 * lengths[0], 50]), ("40/s", [40 * one for one in lengths])):
        result = lowtide("gc", "--json", "--requests", given, *recordings)
        assert result.code == 0, result
        found = [result.json["result"][side]["requests"] for side in ("before", "after")]
        assert all(abs(one - right) <= 1 for one, right in zip(found, wanted)), (given, found, wanted)
    for wrong in ("/s", "5/m", "5/s/s", "5/s,", "-1/s", "0/s"):
        result = lowtide("gc", f"--requests={wrong}", *recordings)
        assert result.code == 2 and f"'{wrong}' is not an argument that --requests takes" in result.err, result


def test_a_recording_beside_itself_is_the_same(lowtide, recordings):
    result = lowtide("gc", "--json", "--fail-on", "medium", recordings[1], recordings[1])
    assert result.json["result"]["changed"] == []
    assert all(one["verdict"] in ("same", "look") for one in result.json["result"]["reasons"]), result


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "newer", "folder", "missing"])
def test_damaged_recordings_are_refused(lowtide, recordings, tmp_path, damage):
    path = tmp_path / "x.tide"
    good = recordings[0].read_bytes()
    places = range(0, len(good), 4096) if damage == "cut" else [len(good) - 9000] if damage == "flipped" else [0]
    for place in places:
        if damage == "cut":
            path.write_bytes(good[:place])
        elif damage == "flipped":
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1:])
        elif damage == "newer":
            # Where SQLite keeps user_version, the schema; the page has its checksum, so this is damage.
            path.write_bytes(good[:63] + b"\x09" + good[64:])
        elif damage == "folder":
            path.mkdir()
        elif damage != "missing":
            path.write_bytes(b"" if damage == "empty" else b"x" * 40000)
        for arguments in ([path], [recordings[0], path], [path, "--format", "csv"]):
            result = lowtide("gc", *arguments)
            assert result.code == 6 and result.err.startswith("lowtide: "), result
            assert result.out == "", result


def test_the_comparison_takes_two_recordings(lowtide, recordings, tmp_path):
    for arguments, sentence in (
        ([*recordings, "-o", tmp_path / "x.csv"], "a comparison of two recordings is written as text or json"),
        (["--requests", "5", recordings[0]], "--requests is for the comparison of two recordings"),
        (["--requests", "0,5", *recordings], "'0,5' is not an argument that --requests takes"),
        (["--requests", "x", *recordings], "'x' is not an argument that --requests takes"),
        ([*recordings, recordings[0]], "is one argument too many for gc"),
    ):
        result = lowtide("gc", *arguments)
        assert result.code == 2 and sentence in result.err, result
    assert list(tmp_path.iterdir()) == []


# ---- CSV ----

def test_csv_has_a_row_a_collection(samples):
    text = samples("csv")
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert [row["cause"] for row in rows] == ["threshold-0", "explicit", "unknown"]
    assert [int(row["collections"]) for row in rows] == [1, 1, 4]
    assert [row["duration_ms"] for row in rows] == ["0.420", "181.250", ""]
    assert [float(row["start"]) for row in rows] == [0.25, 0.5, 0.9]
    assert rows[0]["unix_ms"] == "1790000000500"
    assert rows[0]["where"] == "/srv/shop/shop/orders.py:88:Orders.checkout"
    assert rows[0]["count_0"] == "701" and rows[0]["threshold_0"] == "700"
    assert rows[1]["where"] == '/srv/\\x1b[31mevil\\x1b[0m,"quoted"\\x0a.py:0:\\u202e<script>'
    assert all(None not in row and None not in row.values() for row in rows)


# ---- The trace ----

def check_trace(text: str) -> list[dict]:
    """The members that the trace event format asks for, by phase. Returns the events."""
    trace = json.loads(text)
    assert trace["displayTimeUnit"] == "ms"
    for event in trace["traceEvents"]:
        assert isinstance(event["name"], str) and isinstance(event["pid"], int), event
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
            continue
        assert isinstance(event["ts"], (int, float)) and event["ts"] >= 0, event
        if event["ph"] == "X":
            assert event["dur"] >= 0 and isinstance(event["tid"], int), event
        elif event["ph"] == "C":
            assert event["args"] and all(isinstance(value, (int, float)) for value in event["args"].values()), event
        else:
            assert event["ph"] == "i" and event["s"] in ("g", "p", "t"), event
    return trace["traceEvents"]


def test_trace_has_slices_and_counters(samples):
    text = samples("trace")
    assert text.isascii()
    events = check_trace(text)
    slices = [e for e in events if e["ph"] == "X"]
    assert [(e["name"], e["ts"], e["dur"], e["tid"]) for e in slices] == [
        ("generation 0", 250000, 420, 4242), ("generation 2", 500000, 181250, 4250)]
    assert slices[0]["args"]["cause"] == "threshold-0"
    assert slices[0]["args"]["counts"] == [701, 3, 1] and slices[0]["args"]["thresholds"] == [700, 10, 10]
    assert slices[0]["args"]["collected"] == 12
    assert slices[0]["args"]["stack"][0] == "/srv/shop/shop/orders.py:88:Orders.checkout"
    assert [e["name"] for e in events if e["ph"] == "i"] == [
        "gc.disable", "the collector's settings changed", "4 collections of generation 1, not seen"]
    counters = {}
    for event in events:
        if event["ph"] == "C":
            counters.setdefault(event["name"], []).extend(event["args"].values())
    assert counters["RSS"] == [52428800, 62914560]
    assert counters["tracked objects"] == [104200, 99000]
    # 701 and 350 at the collections seen, 4 times the threshold for those that were not, from 200 to 40.
    assert counters["allocation rate"] == [701 + 350 + 4 * 700 + 40 - 200]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {4242: "main thread", 4250: "thread 4250", 0: "thread not known"}


# ---- OpenMetrics ----

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)")
SUFFIXES = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_count", "_sum", "_created"), "gauge": ("",)}


def parse_labels(text: str) -> dict[str, str]:
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, text
        assert match[1] not in labels, text
        labels[match[1]] = match[2]
        at = match.end()
        if at < len(text):
            assert text[at] == "," and at + 1 < len(text), text
            at += 1
    return labels


def parse_openmetrics(text: str) -> dict[str, dict]:
    """OpenMetrics 1.0 text, as strict as its description is for the types that lowtide writes."""
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1 and "\r" not in text
    families, current = {}, None
    for line in text.split("\n")[:-2]:
        assert line and line == line.strip() and "\t" not in line, line
        if line.startswith("#"):
            match = re.fullmatch(r"# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
            assert match, line
            what, name, value = match.groups()
            if current is None or current["name"] != name:
                assert name not in families, f"{name} is in two places"
                current = families[name] = {"name": name, "samples": []}
            assert what not in current and not current["samples"], line
            current[what] = value
            if what == "TYPE":
                assert value in SUFFIXES, line
            if what == "UNIT":
                assert name.endswith("_" + value), line
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match[1], parse_labels(match[2] or ""), float(match[3])
        endings = [name[len(current["name"]):]] if name.startswith(current["name"]) else []
        assert endings and endings[0] in SUFFIXES[current["TYPE"]], f"{name} in the family {current['name']}"
        assert not math.isnan(value), line
        key = (endings[0], tuple(sorted(labels.items())))
        assert key not in [k for k, _ in current["samples"]], line
        current["samples"].append((key, value))
    for name, family in families.items():
        assert "TYPE" in family and family["samples"], name
        for other in families:
            assert other == name or not any(other == name + s for s in SUFFIXES[family["TYPE"]]), f"{other} clashes"
        for (suffix, labels), value in family["samples"]:
            if family["TYPE"] in ("counter", "histogram"):
                assert value >= 0, name
        if family["TYPE"] == "histogram":
            check_histogram(family)
    return families


def check_histogram(family: dict) -> None:
    buckets, sums = {}, {}
    for (suffix, labels), value in family["samples"]:
        rest = tuple(label for label in labels if label[0] != "le")
        if suffix == "_bucket":
            buckets.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        else:
            sums[rest, suffix] = value
    for rest, pairs in buckets.items():
        bounds, counts = zip(*pairs)
        assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf
        assert list(counts) == sorted(counts)
        assert counts[-1] == sums[rest, "_count"] and sums[rest, "_sum"] >= 0


def values(families: dict, name: str, suffix: str) -> dict:
    return {tuple(value for _, value in labels): number for (ending, labels), number in families[name]["samples"] if ending == suffix}


def test_openmetrics_is_valid_and_right(samples):
    families = parse_openmetrics(samples("openmetrics"))
    assert values(families, "python_gc_collections", "_total") == {("0",): 41, ("1",): 8, ("2",): 2}
    assert values(families, "python_gc_objects_collected", "_total") == {("0",): 410, ("1",): 800, ("2",): 2000}
    assert values(families, "python_gc_objects_uncollectable", "_total") == {("0",): 0, ("1",): 0, ("2",): 3}
    assert values(families, "python_gc_duration_seconds", "_count") == {("0",): 1, ("1",): 0, ("2",): 1}
    assert values(families, "python_gc_duration_seconds", "_sum")[("2",)] == 0.18125
    assert values(families, "process_resident_memory_bytes", "") == {(): 62914560}
    assert values(families, "process_cpu_seconds", "_total") == {(): 2.25}
    assert values(families, "process_start_time_seconds", "") == {(): 1789996400.25}
    seen = values(families, "lowtide_gc_seen_collections", "_total")
    assert seen["explicit", "2"] == 1 and seen["unknown", "1"] == 4 and sum(seen.values()) == 6
    assert families["python_info"]["samples"][0][0][1] == (
        ("implementation", "CPython"), ("major", "3"), ("minor", "12"), ("patchlevel", "8"), ("version", "3.12.8"))


@pytest.mark.parametrize("wrong", [
    "# TYPE a counter\na_total 1\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a gauge\na 1\na 1\n# EOF\n", "a 1\n# EOF\n",
    "# TYPE a gauge\na{b=\"c} 1\n# EOF\n", "# TYPE a gauge\n\na 1\n# EOF\n", "# TYPE a_s gauge\n# UNIT a_s b\na_s 1\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 1\n# EOF\n", "# TYPE a counter\na_total -1\n# EOF\n",
])
def test_the_parser_is_strict(wrong):
    with pytest.raises((AssertionError, TypeError)):
        parse_openmetrics(wrong)
