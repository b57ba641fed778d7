"""Healthy: a batch loop that builds tables of NumPy columns, sums them up and drops them."""
import numpy

from load import turns

REQUIRES = ["numpy"]
EXPECT = None

totals = {}


def table(turn):
    columns = {name: numpy.arange(5000, dtype=float) * turn for name in ("price", "count", "weight")}
    columns["names"] = ["row %d" % i for i in range(500)]
    return columns


def main():
    for turn in turns(60, warm_up=150):
        rows = table(turn)
        totals[turn % 100] = float((rows["price"] * rows["count"]).sum())
