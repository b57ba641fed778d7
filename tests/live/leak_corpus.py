"""The corpus of seeded leaks and healthy services, tests/live/leaks: what each program expects, and whether an answer is right.

A program states as data: EXPECT, None for a healthy service, else a dict of `kind` (those that are right),
`expression` (those that are right) or `pattern` (of the whole expression), and `type` (a pattern) where it matters;
and REQUIRES, the libraries that it needs: of PyPI, or `seeded`, the C extension of the tests.
"""
from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import Interpreter, Target, corpus_interpreter, interpreters
from harness.extension import CannotBuild, extension_path

FOLDER = Path(__file__).resolve().parent / "leaks"
SEVERITIES = ["info", "low", "medium", "high", "critical"]
SECONDS = 3
EXTENSION = "seeded"


@dataclass(frozen=True)
class Program:
    name: str
    expect: dict | None
    requires: tuple[str, ...]


@functools.lru_cache(maxsize=None)
def programs() -> tuple[Program, ...]:
    found = []
    for path in sorted(FOLDER.glob("*.py")):
        stated = {}
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("EXPECT", "REQUIRES"):
                stated[node.targets[0].id] = ast.literal_eval(node.value)
        if "EXPECT" in stated:
            found.append(Program(path.stem, stated["EXPECT"], tuple(stated.get("REQUIRES", ()))))
    return tuple(found)


def interpreter_for(program: Program) -> Interpreter:
    """That of .venv-corpus; a program of the standard library runs on another one as well."""
    found = corpus_interpreter()
    if found is None and set(program.requires) <= {EXTENSION}:
        found = next((one for one in reversed(interpreters()) if one.root is None), None)
    if found is None:
        pytest.skip(f"{', '.join(program.requires) or 'CPython'}: not here (scripts/corpus.py tells why)")
    return found


def target(program: Program, interpreter: Interpreter) -> Target:
    environment = {}
    if EXTENSION in program.requires:
        try:
            environment["PYTHONPATH"] = str(extension_path(interpreter, EXTENSION))
        except CannotBuild as reason:
            pytest.skip(str(reason))
    return Target(interpreter, FOLDER / "serve.py", program.name, env=environment)


def suspects(lowtide, pid: int, seconds: int = SECONDS) -> list[dict]:
    result = lowtide("leaks", "--json", "-d", seconds, pid)
    assert result.code == 0, result
    return result.json["result"]["suspects"]


def what_is_wrong(expect: dict, found: list[dict]) -> str:
    """What is wrong with the first suspect, "" when it is right."""
    if not found:
        return "no suspect"
    first = found[0]
    wrong = []
    if first["kind"] not in expect["kind"]:
        wrong.append(f"kind {first['kind']}, not {' or '.join(expect['kind'])}")
    if not ((first["expression"] or "") in expect["expression"] if "expression" in expect
            else re.fullmatch(expect["pattern"], first["expression"] or "")):
        wrong.append(f"expression {first['expression']!r}")
    if "type" in expect and not re.search(expect["type"], first["type"] or ""):
        wrong.append(f"type {first['type']}")
    if SEVERITIES.index(first["severity"]) < SEVERITIES.index("medium"):
        wrong.append(f"severity {first['severity']}")
    return "; ".join(wrong)


def alarms(found: list[dict]) -> list[tuple]:
    return [(one["severity"], one["kind"], one["expression"], one["growth_objects"], one["growth_bytes"]) for one in found
            if SEVERITIES.index(one["severity"]) >= SEVERITIES.index("medium")]
