"""NumPy arrays, large and small, and a DataFrame of numbers and strings."""
import numpy
import pandas

from oracle import part, sizes

big = numpy.ones(3_000_000)
small = [numpy.ones(400 + i % 100) for i in range(5_000)]
names = ["customer %d" % i for i in range(200_000)]
prices = pandas.DataFrame({"price": numpy.ones(1_000_000), "count": numpy.ones(1_000_000, dtype="int32")})
customers = pandas.DataFrame({"name": pandas.Series(names, dtype=object), "number": numpy.arange(200_000)})
blocks = {}
for frame in (prices, customers):
    for column in frame:
        array = frame[column].to_numpy()
        while array.base is not None:
            array = array.base
        blocks[id(array)] = array
total = big.nbytes + sum(array.nbytes for array in small) + sum(array.nbytes for array in blocks.values())
text = sizes(names)
ready(parts=[part("objects", "live objects: numpy.ndarray", total, 1.02 * total + 4_000_000),
             part("objects", "live objects: str", text, text + 16_000_000)])
