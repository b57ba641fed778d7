"""A decorator times each call and keeps the samples, all of them, in a variable of its own."""
import time

from load import turns

EXPECT = {"kind": ["closure-cell"],
          "pattern": r"sys\.modules\['closure_cell'\]\.handle\.__closure__\[\d\]\.cell_contents"}


def timed(function):
    samples = []

    def wrapper(*arguments):
        begin = time.perf_counter()
        result = function(*arguments)
        samples.append({"arguments": list(arguments), "seconds": time.perf_counter() - begin, "result": result})
        return result

    return wrapper


@timed
def handle(number):
    return "result %d" % number


def main():
    for turn in turns(400):
        for part in range(3):
            handle(turn * 10 + part)
