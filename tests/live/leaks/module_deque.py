"""An event history in a deque that was meant to have a maxlen."""
import collections

from load import turns

EXPECT = {"kind": ["module-container"], "expression": ["sys.modules['module_deque'].history"]}

history = collections.deque()


def main():
    for turn in turns(400):
        history.append({"turn": turn, "tags": ["tag %d" % (turn + i) for i in range(5)]})
