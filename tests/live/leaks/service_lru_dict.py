"""Healthy: a cache of its own making on an OrderedDict at its bound: every new entry pushes one out."""
import collections

from load import turns

EXPECT = None

BOUND = 600
cache = collections.OrderedDict()


def get(key):
    if key in cache:
        cache.move_to_end(key)
    else:
        cache[key] = {"key": key, "rows": ["row %d of %s" % (i, key) for i in range(8)]}
        if len(cache) > BOUND:
            cache.popitem(last=False)
    return cache[key]


def main():
    for turn in turns(400):
        get("key %d" % (turn * 7919 % 100_003))
