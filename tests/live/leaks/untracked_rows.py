"""Measurements as tuples of numbers and bytes under their time: none of them is tracked by the collector."""
from load import turns

EXPECT = {"kind": ["untracked-container", "module-container"], "expression": ["sys.modules['untracked_rows'].samples"]}

samples = {}


def main():
    for turn in turns(400):
        samples[turn] = (turn * 1.5, b"raw %d " % turn * 40, (turn + 1000, turn + 2000, turn + 3000))
