"""Breadcrumbs of a request in a context variable, which is set once for the process instead of once a request."""
import contextvars

from load import turns

EXPECT = {"kind": ["context-variable"], "expression": ["in one of its threads: sys.modules['context_variable'].breadcrumbs.get()"]}

breadcrumbs = contextvars.ContextVar("breadcrumbs")


def handle(number):
    breadcrumbs.get().append({"request": number, "crumbs": ["crumb %d of %d" % (i, number) for i in range(4)]})


def main():
    breadcrumbs.set([])
    for turn in turns(300):
        handle(turn)
