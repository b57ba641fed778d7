"""An anonymous mmap as scratch space for each job, never closed."""
import mmap

from load import turns

EXPECT = {"kind": ["c-buffer"], "expression": ["sys.modules['buffer_mmap'].scratch"]}

scratch = []


def main():
    for turn in turns(40, warm_up=200):
        space = mmap.mmap(-1, 16384)
        space.write(b"job %d " % turn * 1500)
        scratch.append(space)
