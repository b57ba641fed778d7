"""A dataclass is made for each request's columns and kept with the name of the request."""
import dataclasses

from load import turns

EXPECT = {"kind": ["repeated-classes"], "expression": ["sys.modules['repeated_classes'].schemas"]}

schemas = {}


def schema(number):
    made = dataclasses.make_dataclass("Row", [("id", int), ("name", str)])
    schemas["request %d" % number] = made
    return made


def main():
    for turn in turns(60, warm_up=100):
        schema(turn)(turn, "name")
