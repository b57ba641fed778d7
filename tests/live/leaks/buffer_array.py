"""Samples of a sensor in an array.array, one for each value ever measured."""
import array

from load import turns

EXPECT = {"kind": ["c-buffer"], "expression": ["sys.modules['buffer_array'].values"]}

values = array.array("d")


def main():
    for turn in turns(250):
        values.extend(turn + i / 100 for i in range(200))
