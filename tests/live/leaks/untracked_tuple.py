"""The path of a robot as one tuple of numbers that gets longer: the collector does not see it."""
from load import turns

EXPECT = {"kind": ["untracked-container"], "expression": ["sys.modules['untracked_tuple'].path"]}

path = ()


def main():
    global path
    for turn in turns(100, warm_up=200):
        path += tuple(1000.0 * turn + i for i in range(60))
