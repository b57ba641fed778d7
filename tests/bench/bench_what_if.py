#!/usr/bin/env python3
"""What other settings of the collector would do: predicted from one recording with the usual thresholds, against the same work
really done with each setting.

Five workloads (what_if_service.py) in five settings. The truth is the target's own log through gc.callbacks. Memory is
garbage that waits, at most: objects that units of work which are over left for the collector, less those it had found by then;
resident memory would measure the allocator's arenas, too. Times are wall-clock times, or, with
--cpu (for a machine that has more to do), processor time of the thread.

    bench_what_if.py [--cpu] [--cheap] [--python LABEL] [--only WORKLOAD] [--rounds N] [--repeat N] [--scale X] [--keep DIRECTORY]
    bench_what_if.py --from DIRECTORY [--python LABEL] [--only WORKLOAD]

Others on the machine take its caches, for parts of a second: one collection of 50,000 objects took 7 ms, and another of the same 50,000 took 65. So
with --repeat N each setting runs N times, and what a collection takes is the least of what it took in those: the work is the same, object by object. The recorded setting does too, and what is compared
is by how much times change. The worst pause is the median of those of the N runs: what is predicted is what such a moment makes of it.

A machine is faster in one minute than in the next. So a round is a recording and, right after it, one run with each setting, and a cell is the
median over the rounds of predicted to real. The last lines say in how many cells what was really run repeats itself that well, in each
round, by what was recorded in the round: no model can be right in the others but by chance.

--cheap: from the path that a recording to a file has. --keep stores what was recorded and what was really so; --from puts another model on both without any run.
"""
import argparse
import json
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
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
WANTED = {"collections": (0.10, 2), "gc_time_ms": (0.20, 1), "pause_max_ms": (0.25, 0.2), "garbage": (0.20, 500), "garbage_bytes": (0.20, 50000)}


def garbage_waiting(head: dict, events: list[dict]) -> float:
    """The most that waited when a collection came: what the units that were over had made, by their sizes, less what was collected by then."""
    of_work = (sum(e["collected"] for e in events) + head["left"]) / head["work"]
    collected = most = 0
    for event in [*events, {"work": head["work"], "collected": 0}]:
        most = max(most, event["work"] * of_work - collected)
        collected += event["collected"]
    return most


def read_log(path: Path) -> tuple[dict, list[dict]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return lines[0], lines[1:]


def times(events: list[dict], cpu: bool) -> list[float]:
    """ms of each collection."""
    return [(e["cpu"] if cpu else e["end"] - e["start"]) / 1e6 for e in events]


def least_times(runs: list[list[dict]], cpu: bool) -> list[float]:
    """The same of the first run; of collections that other runs had too, the least."""
    def generations(events: list[dict]) -> list[int]:
        return [e["generation"] for e in events]
    alike = [times(events, cpu) for events in runs if generations(events) == generations(runs[0])]
    return [min(each) for each in zip(*alike)]


def figures(logs: list[tuple[dict, list[dict]]], cpu: bool) -> dict:
    """Of a run and its repetitions."""
    head, events = logs[0]
    took = least_times([of_run for _, of_run in logs], cpu)
    garbage = garbage_waiting(head, events)
    return {"collections": len(events), "by_generation": [sum(e["generation"] == g for e in events) for g in range(3)],
            "ms_by_generation": [sum(ms for e, ms in zip(events, took) if e["generation"] == g) for g in range(3)],
            "gc_time_ms": sum(took), "garbage": garbage,
            "pause_max_ms": statistics.median(max(times(of_run, cpu), default=0) for _, of_run in logs),
            "garbage_bytes": garbage * head["bytes"],
            "alone_ms": [sum(times(of_run, cpu)) for _, of_run in logs],
            "seconds": (head["cpu"] if cpu else head["end"] - head["start"]) / 1e9}


def run_once(interpreter, workload: str, units: int, setting: str, watch=None, keep: Path | None = None) -> tuple[tuple, dict | None]:
    """Its log, and the model's figures when somebody watches."""
    model = None
    with Target(interpreter, SERVICE, workload, str(units), setting, timeout=300) as target:
        log = target.directory / "collections"
        tool = watch(target.pid, log) if watch else None
        target.send(str(log))
        target.wait_ready()
        if tool is not None:
            out, _ = tool.communicate(timeout=120)
            assert tool.returncode == 0
            if keep:
                shutil.copy(log, keep)
            model = json.loads(out.splitlines()[-1])
        return read_log(log), model


def ratio(name: str, a: float, b: float) -> float:
    """Of two figures neither of which can be told from nothing: 1."""
    least = WANTED[name][1]
    return 1.0 if abs(a - b) <= least else a / b if b > 0 else float("inf")


def settings_words() -> list[str]:
    return [word for setting in SETTINGS for word in ("--what-if", setting)]


def record(interpreter, workload: str, units: int, options, kept: Path | None) -> tuple[dict, dict]:
    """Figures of a run with the usual settings, and the model's."""
    def watch(pid: int, log: Path):
        more = [*(["--keep", f"{kept}.recording"] if kept else []), "--cheap", str(int(options.cheap))]
        tool = subprocess.Popen([TOOL, "--log", log, "--cpu", str(int(options.cpu)), *more, *settings_words(), str(pid)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert tool.stdout.readline() == "ready\n"
        return tool

    log, model = run_once(interpreter, workload, units, "usual", watch, kept and Path(f"{kept}.log"))
    return figures([log], options.cpu), model


def model_again(kept: str, cpu: bool) -> tuple[dict, dict]:
    out = subprocess.run([TOOL, "--log", f"{kept}.log", "--cpu", str(int(cpu)), *settings_words(), "--from", f"{kept}.recording"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return figures([read_log(Path(f"{kept}.log"))], cpu), json.loads(out.splitlines()[-1])


@dataclass
class Round:
    """A recording, the model that was fitted on it, and what was really so with each setting."""
    recorded: dict
    model: dict
    truths: list[dict]
    usual: dict | None  # what the recorded settings took in repetitions without anybody watching; None: there were none

    def slower(self) -> float:
        """By so much the recording was slower than what truths are: it ran once, and they are the best of several."""
        if self.usual is None or not self.usual["gc_time_ms"] > 0:
            return 1
        return self.recorded["gc_time_ms"] / self.usual["gc_time_ms"]


def pair(name: str, one: Round, at: int) -> tuple[float, float]:
    """Predicted and real, of the setting at that place."""
    predicted, real = one.model["what_if"][at], one.truths[at]
    key = {"garbage": "garbage_peak", "garbage_bytes": "garbage_peak_bytes"}.get(name, name)
    if name == "collections":
        return sum(predicted[key]), real[name]
    return predicted[key] / (one.slower() if name == "gc_time_ms" else 1), real[name]


class Table:
    """Prints cells, and counts those that are met."""

    def __init__(self, verbose: bool) -> None:
        self.verbose = verbose
        self.all = 0
        self.met = dict.fromkeys(WANTED, 0)
        self.repeated = dict.fromkeys(WANTED, 0)
        self.met_of_repeated = dict.fromkeys(WANTED, 0)

    def workload(self, name: str, rounds: list[Round]) -> None:
        for one in rounds:
            recorded, itself = one.recorded, one.model["itself"]
            print(f"{name}: recorded {recorded['by_generation']} collections, {recorded['gc_time_ms']:.0f} ms of "
                  f"{recorded['seconds']:.1f} s, worst {recorded['pause_max_ms']:.2f} ms, garbage {recorded['garbage']:.0f}, slower {one.slower():.2f}; "
                  f"replayed {itself['collections']}, {itself['gc_time_ms']:.0f} ms, "
                  f"{itself['pause_max_ms']:.2f} ms, {itself['garbage_peak']:.0f}")
            if self.verbose:
                print("   ", json.dumps(one.model["model"]))
        for at, setting in enumerate(SETTINGS):
            self.all += 1
            cells = []
            for key, (share, _) in WANTED.items():
                pairs = [pair(key, one, at) for one in rounds]
                of = statistics.median(ratio(key, *both) for both in pairs)
                good = abs(of - 1) <= share
                self.met[key] += good
                repeats = self.repeats(key, rounds, at)
                self.repeated[key] += repeats
                self.met_of_repeated[key] += good and repeats
                a, b = (statistics.median(both[i] for both in pairs) for i in range(2))
                cells.append(f"{a:.5g}/{b:.5g} {of:.2f}{'' if good else ' *'}")
            first = rounds[0].model["what_if"][at], rounds[0].truths[at]
            print(f"  {setting:12} {'  '.join(f'{cell:>24}' for cell in cells)}   {first[0]['collections']} "
                  f"{first[1]['by_generation']} {[round(ms) for ms in first[0]['gc_ms']]} "
                  f"{[round(ms) for ms in first[1]['ms_by_generation']]}", flush=True)

    @staticmethod
    def repeats(key: str, rounds: list[Round], at: int) -> bool:
        """Whether what was really so is close to the median of the rounds, each by its recording, in every round."""
        figures = [one.truths[at][key] / max(one.recorded[key], 1e-9) for one in rounds]
        middle = statistics.median(figures)
        off = [abs(ratio(key, f * one.recorded[key], middle * one.recorded[key]) - 1) for f, one in zip(figures, rounds)]
        return max(off) <= WANTED[key][0]

    def results(self) -> None:
        for name, (share, _) in WANTED.items():
            print(f"RESULT what-if {name} within {share:.0%} | {self.met[name]} of {self.all} | | "
                  f"{self.met[name] / max(self.all, 1):.2f} | 1.0")
        for name, (share, _) in WANTED.items():
            repeated = self.repeated[name]
            print(f"RESULT really run, {name} repeats itself within {share:.0%} | {repeated} of {self.all}, of which "
                  f"{self.met_of_repeated[name]} are predicted | | {self.met_of_repeated[name] / max(repeated, 1):.2f} | 1.0")


def again(options, table: Table) -> None:
    """Rounds that were kept, by workload."""
    kept: dict[str, list[Round]] = {}
    for path in sorted(options.kept.glob("**/*.truth")):
        truth = json.loads(path.read_text())
        label, workload = path.stem.split("-")[:2]
        if (options.python or label) != label or workload not in (options.only or workload).split(","):
            continue
        one = Round(*model_again(str(path.with_suffix("")), truth["cpu"]), truth["runs"], truth["usual"])
        kept.setdefault(f"{label}-{workload}", []).append(one)
    for name, rounds in kept.items():
        table.workload(name, rounds)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--cheap", action="store_true")
    parser.add_argument("--python")
    parser.add_argument("--only")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
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
        again(options, table)
        table.results()
        return 0
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    chosen = next((i for i in interpreters() if i.label == options.python), None) or newest()
    print(f"CPython {chosen.label}; {'processor' if options.cpu else 'wall-clock'} time")
    for workload, units in (UNITS | MORE).items():
        if workload not in (options.only.split(",") if options.only else UNITS):
            continue
        units = int(units * options.scale)
        rounds = []
        for number in range(options.rounds):
            kept = options.keep and options.keep / f"{chosen.label}-{workload}-{number + 1}"
            recorded, model = record(chosen, workload, units, options, kept)
            wanted = SETTINGS if options.repeat == 1 else (*SETTINGS, "usual")
            logs = [[run_once(chosen, workload, units, setting)[0] for setting in wanted] for _ in range(options.repeat)]
            truths = [figures(list(of_setting), options.cpu) for of_setting in zip(*logs)]
            usual = truths.pop() if options.repeat > 1 else None
            if kept:
                Path(f"{kept}.truth").write_text(json.dumps({"cpu": options.cpu, "runs": truths, "usual": usual}))
            rounds.append(Round(recorded, model, truths, usual))
        table.workload(workload, rounds)
    table.results()
    return 0


if __name__ == "__main__":
    sys.exit(main())
