"""Errors that a visitor met."""
from . import faults

recent = []
counts = {}


def record(error):
    name = type(error).__name__
    counts[name] = counts.get(name, 0) + 1
    if faults.on("kept-errors"):
        recent.append(error)
