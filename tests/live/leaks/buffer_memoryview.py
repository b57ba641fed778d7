"""A parser keeps a memoryview of two bytes of each message; the view keeps the message's whole buffer."""
from load import turns

EXPECT = {"kind": ["c-buffer"], "expression": ["sys.modules['buffer_memoryview'].marks"]}

marks = []


def main():
    for turn in turns(250):
        message = bytearray(b"message %d " % turn * 120)
        marks.append(memoryview(message)[0:2])
