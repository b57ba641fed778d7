"""A price list behind functools.lru_cache(maxsize=None), keyed by the time of the request too: it never hits."""
import functools

from load import turns

EXPECT = {"kind": ["lru-cache-unbounded"], "expression": ["sys.modules['lru_unbounded'].quote"]}


@functools.lru_cache(maxsize=None)
def quote(article, at):
    return {"article": article, "at": at, "tiers": [article * 0.9 ** tier for tier in range(6)]}


def main():
    for turn in turns(400):
        quote(turn % 40, "at %d" % turn)
        quote(turn % 40, "at %d" % turn)
