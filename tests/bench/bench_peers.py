"""lowtide beside guppy3, objgraph and Pympler: the same questions about the same leaking service, in the same run.

lowtide looks from outside. The others are libraries: the service imports them and runs what an engineer would type
into its console. Time, the longest stall that a thread of the service felt, memory, and whether the answer is right. The
table goes into docs/peers.md.
"""
from __future__ import annotations

import json
import os
import re
import time
from importlib import metadata
from pathlib import Path

from common import result, skip
from harness import REPOSITORY, Target, corpus_interpreter, run_lowtide
from harness.pythons import corpus_dir

PAGE = REPOSITORY / "docs" / "peers.md"
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"
WAIT = 5  # seconds between the two looks of the question for the leak
TIMEOUT = 120
RUNS = 3
SCRIPT = "import sys; sys.path.insert(0, sys.argv[1]); import leaky_service; leaky_service.main()"
QUESTIONS = {"types": "What fills the heap?",
             "size": "How much does the session store hold?",
             "leak": f"What leaks, and who holds it? (two looks, {WAIT} s apart)"}
# What each question needs, in the words of each library's manual: first what is typed, and after the wait the rest.
PEERS = {
    "guppy3": {
        "types": ["from guppy import hpy; print(hpy().heap())"],
        "size": ["from guppy import hpy; import leaky_service; print('bytes', hpy().iso(leaky_service.store).domisize)"],
        "leak": ["from guppy import hpy; hp = hpy(); hp.setrelheap()",
                 "h = hp.heap(); print(h); [print(h[i].byid[0].sp) for i in range(3)]"]},
    "objgraph": {
        "types": ["import objgraph; objgraph.show_most_common_types(limit=20)"],
        "size": [],
        "leak": ["import objgraph; objgraph.growth()",
                 "import io, builtins; grown = objgraph.growth(); print(grown)\n"
                 "name = next(g[0] for g in grown if not hasattr(builtins, g[0]))\n"
                 "chain = objgraph.find_backref_chain(objgraph.by_type(name)[-1], objgraph.is_proper_module)\n"
                 "out = io.StringIO(); objgraph.show_chain(chain, output=out); print(out.getvalue())"]},
    "Pympler": {
        "types": ["from pympler import muppy, summary; summary.print_(summary.summarize(muppy.get_objects()), limit=20)"],
        "size": ["from pympler import asizeof; import leaky_service; print('bytes', asizeof.asizeof(leaky_service.store))"],
        "leak": ["from pympler import tracker; t = tracker.SummaryTracker(); t.diff()",
                 "import builtins; from pympler import muppy, refbrowser, summary\n"
                 "grown = sorted(t.diff(), key=lambda row: -row[2]); summary.print_(grown)\n"
                 "name = next(g[0] for g in grown if '.' in g[0]).rpartition('.')[2]\n"
                 "last = [o for o in muppy.get_objects() if type(o).__name__ == name][-1]\n"
                 "refbrowser.ConsoleBrowser(last, maxdepth=3).print_tree()"]},
}
# The truth, counted by the service itself: what goes with the store, by sys.getsizeof.
TRUTH = r'''
import gc, sys
def weigh(thing, seen):
    stack, total = [thing], 0
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, (type, type(sys))):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        stack.extend(gc.get_referents(one))
    return total
import leaky_service
print("bytes", weigh(leaky_service.store, set()))
del gc, sys, weigh, leaky_service
'''


class Service(Target):
    def __init__(self):
        super().__init__(corpus_interpreter(), SCRIPT, str(Path(__file__).resolve().parent))

    def ask(self, code: str, reset: bool = True) -> dict:
        self.send(json.dumps({"code": code, "reset": reset}))
        return self.wait_ready(TIMEOUT)

    def forget_peak(self) -> int:
        """Resident KiB now; VmHWM starts again from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.status("VmRSS")


def held(output: str) -> int:
    found = re.search(r"bytes (\d+)", output)
    return int(found.group(1)) if found else 0


def is_right(question: str, output: str, truth: int) -> bool:
    if question == "types":
        return re.search(r"\bArticle\b", output) is not None and re.search(r"\b60[ ,]?000\b", output) is not None
    if question == "size":
        return truth * 0.75 <= held(output) <= truth * 1.25
    return re.search(r"\.store\b|\['store'\]|label=.store.", output) is not None


def ask_peer(peer: str, question: str) -> dict | None:
    steps = PEERS[peer][question]
    if not steps:
        return None
    row = {"seconds": 0.0, "stall": 0.0, "memory": 0, "right": False}
    with Service() as service:
        try:
            for number, step in enumerate(steps):
                if number > 0:
                    time.sleep(WAIT)
                before = service.forget_peak()
                facts = service.ask(step)
                row["seconds"] += facts["seconds"]
                row["stall"] = max(row["stall"], facts["stall"])
                row["memory"] = max(row["memory"], service.status("VmHWM") - before)
        except Exception as error:
            print(f"{peer}, {question}: {error}")
            return {**row, "seconds": TIMEOUT, "late": True}
        truth = held(service.ask(TRUTH)["output"]) if question == "size" else 0
    row["right"] = is_right(question, facts["output"], truth)
    if not row["right"]:
        print(f"{peer}, {question}, judged wrong: {facts['output'][:1500]}")
    return row


def ask_lowtide(question: str) -> dict:
    with Service() as service:
        before = service.forget_peak()
        service.ask("")
        begin = time.perf_counter()
        if question == "types":
            done = run_lowtide("types", "--json", service.pid)
        elif question == "size":
            done = run_lowtide("doctor", "--json", service.pid)
        else:
            done = run_lowtide("leaks", "--json", "-d", WAIT, service.pid)
        seconds = time.perf_counter() - begin - (WAIT if question == "leak" else 0)
        stall = service.ask("", reset=False)["stall"]
        grown = service.status("VmHWM") - before
        truth = held(service.ask(TRUTH)["output"]) if question == "size" else 0
    assert done.code == 0, done
    answer = done.json["result"]
    if question == "types":
        output = "\n".join(f"{row['type']} {row['count']}" for row in answer["rows"])
    elif question == "size":
        output = next((f"bytes {row['held']}" for row in answer["containers"] if "_by_token" in row["expression"]), "")
    else:
        output = str(answer["suspects"][:1])
    return {"seconds": seconds, "stall": stall, "memory": grown, "own": done.json["cost"]["peak_bytes"] // 1024,
            "right": is_right(question, output, truth)}


def cells(tool: str, row: dict | None) -> list[str]:
    if row is None:
        return [tool, "cannot tell", "", "", ""]
    if row.get("late"):
        return [tool, f"none after {TIMEOUT} s", "", "", ""]
    memory = f"{row['memory'] / 1024:.0f} MiB"
    if "own" in row:
        memory += f" and {row['own'] / 1024:.0f} MiB of its own"
    return [tool, f"{row['seconds']:.2f} s", f"{row['stall'] * 1000:.0f} ms", memory, "yes" if row["right"] else "no"]


def write_page(rows: list[tuple[str, list[str]]], about: str) -> None:
    lines = [BEGIN, about, ""]
    for question, title in QUESTIONS.items():
        lines += [f"**{title}**", "", "| | time | longest stall | memory | right |", "|---|---|---|---|---|"]
        lines += ["| " + " | ".join(columns) + " |" for asked, columns in rows if asked == question] + [""]
    text = PAGE.read_text()
    page = text[:text.index(BEGIN)] + "\n".join(lines) + "\n" + text[text.index(END):]
    building = PAGE.with_name(PAGE.name + ".new")
    building.write_text(page)
    os.replace(building, PAGE)


def installed(package: str) -> str:
    folder = next((corpus_dir() / "lib").glob("python3*/site-packages"))
    return next(d.version for d in metadata.distributions(path=[str(folder)]) if d.metadata["Name"].lower() == package.lower())


def main() -> None:
    if corpus_interpreter() is None:
        skip("no .venv-corpus with the peers (scripts/corpus.py tells why)")
    # Each figure is the median run's of RUNS, by the stall.
    def median(ask, *arguments):
        found = [ask(*arguments)]
        while found[0] is not None and not found[0].get("late") and len(found) < RUNS:
            found.append(ask(*arguments))
        return found[0] if None in found else sorted(found, key=lambda row: row["stall"])[len(found) // 2]

    with Service() as service:
        service.ask("")
        time.sleep(2)
        idle = service.ask("", reset=False)["stall"]
        resident = service.status("VmRSS")
        objects = run_lowtide("types", "--all", "--json", service.pid).json["result"]["count"]
    rows, load = [], os.getloadavg()[0]
    for question, title in QUESTIONS.items():
        ours = median(ask_lowtide, question)
        rows.append((question, cells("lowtide", ours)))
        for peer in PEERS:
            theirs = median(ask_peer, peer, question)
            rows.append((question, cells(peer, theirs)))
            if theirs is not None:
                result(f"{title} {peer}", f"{ours['seconds']:.2f} s, stall {ours['stall'] * 1000:.0f} ms, {'right' if ours['right'] else 'wrong'}",
                       f"{theirs['seconds']:.2f} s, stall {theirs['stall'] * 1000:.0f} ms, {'right' if theirs['right'] else 'wrong'}",
                       f"stall {theirs['stall'] / ours['stall']:.1f} x")
    for _, columns in rows:
        print("  ".join(columns))
    versions = ", ".join(f"{peer} {installed(peer)}" for peer in PEERS)
    write_page(rows, f"CPython {corpus_interpreter().label.removeprefix('corpus-')}, {objects:,} objects, {resident / 1024:.0f} MiB resident; {versions}. "
                     f"Without any tool the longest stall in two seconds was {idle * 1000:.0f} ms. "
                     f"The load of the machine was {load:.0f} on {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
