"""Healthy: rotating buffers: each frame overwrites the oldest."""
import array

from load import turns

EXPECT = None

FRAMES = 64
ring = [bytearray() for _ in range(FRAMES)]
samples = array.array("d", [0.0] * 4096)


def main():
    for turn in turns(250):
        ring[turn % FRAMES] = bytearray(b"frame %d " % turn * 400)
        samples[turn % len(samples)] = turn * 0.5
