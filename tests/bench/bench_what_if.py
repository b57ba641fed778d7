#!/usr/bin/env python3
"""What other settings of the collector would do: predicted from one recording with the usual thresholds, against the same work
really done with each setting.

Five workloads (what_if_service.py) in five settings. The truth is the target's own log through gc.callbacks. Memory is
garbage that waits, at most: objects that units of work which are over left for the collector, less those it had found by then;
resident memory would measure the allocator's arenas, too. Times are wall-clock times, or, with
--cpu (for a machine that has more to do), processor time of the thread.

    bench_what_if.py [--cpu] [--python LABEL] [--only WORKLOAD] [--runs N] [--scale X] [--keep DIRECTORY]
    bench_what_if.py --from DIRECTORY

--keep stores what was recorded and what was really so, which is not run again when it is there; --from puts another model on
both without any run.
"""
import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import build_dir, interpreters, newest, result  # noqa: E402
from harness import Target  # noqa: E402

SERVICE = Path(__file__).resolve().parent / "what_if_service.py"
TOOL = build_dir() / "tests/tools/lt_what_if"
UNITS = {"web": 20000, "parse": 12000, "cache": 20000, "orm": 60000, "async": 12000}
MORE = {"shop": 30000}  # only when asked for by --only
SETTINGS = ("300,10,10", "5000,10,10", "20000,5,5", "50000,20,20", "freeze")
# Least differences that count: below them a figure is too small to be told from nothing.
WANTED = {"collections": (0.10, 2), "gc_time_ms": (0.20, 1), "pause_max_ms": (0.25, 0.2), "garbage": (0.20, 500)}


def garbage_waiting(head: dict, events: list[dict]) -> float:
    """The most that waited when a collection came: what the units that were over had made, less what was collected by then."""
    of_unit = (sum(e["collected"] for e in events) + head["left"]) / head["units"]
    collected = most = 0
    for event in [*events, {"unit": head["units"], "collected": 0}]:
        most = max(most, event["unit"] * of_unit - collected)
        collected += event["collected"]
    return most


def read_log(path: Path, cpu: bool) -> dict:
    """Figures of one run, from its own log."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    events = lines[1:]
    took = [(e["cpu"] if cpu else e["end"] - e["start"]) / 1e6 for e in events]
    return {"collections": len(events), "by_generation": [sum(e["generation"] == g for e in events) for g in range(3)],
            "ms_by_generation": [sum(ms for e, ms in zip(events, took) if e["generation"] == g) for g in range(3)],
            "gc_time_ms": sum(took), "pause_max_ms": max(took, default=0), "garbage": garbage_waiting(lines[0], events),
            "seconds": (lines[0]["cpu"] if cpu else lines[0]["end"] - lines[0]["start"]) / 1e9}


def run_once(interpreter, workload: str, units: int, setting: str, cpu: bool, watch=None, keep: Path | None = None) -> dict:
    with Target(interpreter, SERVICE, workload, str(units), setting, timeout=300) as target:
        log = target.directory / "collections"
        tool = watch(target.pid, log) if watch else None
        target.send(str(log))
        target.wait_ready()
        figures = read_log(log, cpu)
        if tool is not None:
            out, _ = tool.communicate(timeout=120)
            assert tool.returncode == 0
            if keep:
                shutil.copy(log, keep)
            figures["model"] = json.loads(out.splitlines()[-1])
    return figures


def median_run(runs: list[dict]) -> dict:
    return {key: statistics.median(run[key] for run in runs) for key in WANTED} | {
        name: [statistics.median(run[name][g] for run in runs) for g in range(3)] for name in ("by_generation", "ms_by_generation")}


def met(name: str, predicted: float, real: float) -> bool:
    share, least = WANTED[name]
    return abs(predicted - real) <= max(share * real, least)


def settings_words() -> list[str]:
    return [word for setting in SETTINGS for word in ("--what-if", setting)]


def record(interpreter, workload: str, units: int, options) -> tuple[dict, dict]:
    """Figures of a run with the usual settings, and the model's."""
    kept = options.keep and options.keep / f"{interpreter.label}-{workload}"

    def watch(pid: int, log: Path):
        more = ["--keep", f"{kept}.recording"] if kept else []
        tool = subprocess.Popen([TOOL, "--log", log, "--cpu", str(int(options.cpu)), *more, *settings_words(), str(pid)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert tool.stdout.readline() == "ready\n"
        return tool

    recorded = run_once(interpreter, workload, units, "usual", options.cpu, watch, kept and Path(f"{kept}.log"))
    return recorded, recorded.pop("model")


def model_again(kept: str, cpu: bool) -> tuple[dict, dict]:
    out = subprocess.run([TOOL, "--log", f"{kept}.log", "--cpu", str(int(cpu)), *settings_words(), "--from", f"{kept}.recording"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return read_log(Path(f"{kept}.log"), cpu), json.loads(out.splitlines()[-1])


class Table:
    """Prints cells, and counts those that are met."""

    def __init__(self, verbose: bool) -> None:
        self.verbose = verbose
        self.counts = {name: [0, 0] for name in WANTED}

    def workload(self, name: str, recorded: dict, model: dict, truths: list[dict]) -> None:
        itself = model["itself"]
        print(f"{name}: recorded {recorded['by_generation']} collections, {recorded['gc_time_ms']:.0f} ms of "
              f"{recorded['seconds']:.1f} s, worst {recorded['pause_max_ms']:.2f} ms, garbage {recorded['garbage']:.0f}; "
              f"replayed {itself['collections']}, {itself['gc_time_ms']:.0f} ms, "
              f"{itself['pause_max_ms']:.2f} ms, {itself['garbage_peak']:.0f}")
        if self.verbose:
            print("   ", json.dumps(model["model"]))
        for predicted, real in zip(model["what_if"], truths):
            pairs = {"collections": (sum(predicted["collections"]), real["collections"]),
                     "gc_time_ms": (predicted["gc_time_ms"], real["gc_time_ms"]),
                     "pause_max_ms": (predicted["pause_max_ms"], real["pause_max_ms"]),
                     "garbage": (predicted["garbage_peak"], real["garbage"])}
            cells = []
            for key, (a, b) in pairs.items():
                good = met(key, a, b)
                self.counts[key][0] += good
                self.counts[key][1] += 1
                cells.append(f"{a:.5g}/{b:.5g}{'' if good else ' *'}")
            print(f"  {predicted['setting']:14} {'  '.join(f'{cell:>22}' for cell in cells)}   {predicted['collections']} "
                  f"{real['by_generation']} {[round(ms) for ms in predicted['gc_ms']]} {[round(ms) for ms in real['ms_by_generation']]}",
                  flush=True)

    def results(self) -> None:
        for name, (good, all_of) in self.counts.items():
            print(f"RESULT what-if {name} within {WANTED[name][0]:.0%} | {good} of {all_of} | | {good / max(all_of, 1):.2f} | 1.0")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--python")
    parser.add_argument("--only")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--from", type=Path, dest="kept")
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    if not TOOL.exists():
        print("lt_what_if is not built")
        return 77
    table = Table(options.v)
    if options.kept:
        for path in sorted(options.kept.glob("*.truth")):
            truth = json.loads(path.read_text())
            recorded, model = model_again(str(path.with_suffix("")), truth["cpu"])
            table.workload(path.stem, recorded, model, truth["runs"])
        table.results()
        return 0
    chosen = next((i for i in interpreters() if i.label == options.python), None) or newest()
    print(f"CPython {chosen.label}; {'processor' if options.cpu else 'wall-clock'} time")
    for workload, units in (UNITS | MORE).items():
        if workload not in (options.only.split(",") if options.only else UNITS):
            continue
        units = int(units * options.scale)
        recorded, model = record(chosen, workload, units, options)
        kept = options.keep and options.keep / f"{chosen.label}-{workload}.truth"
        if kept and kept.exists():
            truths = json.loads(kept.read_text())["runs"]
        else:
            truths = [median_run([run_once(chosen, workload, units, setting, options.cpu) for _ in range(options.runs)])
                      for setting in SETTINGS]
        if kept:
            kept.write_text(json.dumps({"cpu": options.cpu, "runs": truths}))
        table.workload(workload, recorded, model, truths)
    table.results()
    return 0


if __name__ == "__main__":
    sys.exit(main())
