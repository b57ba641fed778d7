"""NumPy: each prediction is kept for a chart, as a slice; a slice keeps the array that it is a view of."""
import numpy

from load import turns

REQUIRES = ["numpy"]
EXPECT = {"kind": ["c-buffer"], "expression": ["sys.modules['buffer_numpy'].chart"]}

chart = []


def main():
    for turn in turns(80, warm_up=200):
        prediction = numpy.linspace(0, turn, 1000) * 2
        chart.append(prediction[:10])
