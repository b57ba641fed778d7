"""Healthy: a pool of four threads; each job has a thread-local connection and a result that is taken."""
import concurrent.futures
import threading

from load import turns

EXPECT = None

place = threading.local()


def job(number):
    if not hasattr(place, "rows"):
        place.rows = [None] * 50
    place.rows[number % 50] = ["row %d of %d" % (i, number) for i in range(20)]
    return sum(map(len, place.rows[number % 50]))


def main():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for turn in turns(100, warm_up=300):
            futures = [pool.submit(job, turn * 4 + i) for i in range(4)]
            sum(future.result() for future in concurrent.futures.as_completed(futures))
