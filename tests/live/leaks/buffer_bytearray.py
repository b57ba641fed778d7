"""A recorder appends each frame to one bytearray that is never cut."""
from load import turns

EXPECT = {"kind": ["c-buffer"], "expression": ["sys.modules['buffer_bytearray'].recorded"]}

recorded = bytearray()


def main():
    for turn in turns(250):
        recorded.extend(b"frame %d " % turn * 120)
