"""Healthy: a pool of eight database connections that are lent and come back."""
import contextlib
import queue
import sqlite3

from load import turns

EXPECT = None

idle = queue.Queue()
statements = {}


@contextlib.contextmanager
def connection():
    one = idle.get()
    try:
        yield one
    finally:
        idle.put(one)


def main():
    for _ in range(8):
        idle.put(sqlite3.connect(":memory:", cached_statements=16))
    for turn in turns(200):
        with connection() as one:
            statements[turn % 64] = one.execute("select ?, 'turn %d'" % turn, (turn,)).fetchall()
