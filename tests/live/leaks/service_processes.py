"""Healthy: the parent of two worker processes that a multiprocessing pool feeds."""
import multiprocessing

from load import turns

EXPECT = None


def square(numbers):
    return [number * number for number in numbers]


def main():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for turn in turns(60, warm_up=200):
            pool.apply(square, (list(range(turn, turn + 20)),))
