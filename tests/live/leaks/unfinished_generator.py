"""A paged search: each reader is a generator that stops after the first page and waits for the next for ever."""
from load import turns

EXPECT = {"kind": ["unfinished-generator"], "expression": ["sys.modules['unfinished_generator'].readers"]}

readers = []


def search(number):
    rows = ["row %d of search %d" % (i, number) for i in range(20)]
    for first in range(0, len(rows), 5):
        yield rows[first:first + 5]


def main():
    for turn in turns(200):
        reader = search(turn)
        next(reader)
        readers.append(reader)
