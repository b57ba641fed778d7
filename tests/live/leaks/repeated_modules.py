"""A plug-in loader executes the rules of each tenant as a module under a new name at each request."""
import importlib.util
import sys

from load import turns

EXPECT = {"kind": ["repeated-modules"], "expression": ["sys.modules"]}

RULES = """
LIMITS = {"day": 10, "week": 50}
class Rule:
    def __init__(self, limit): self.limit = limit
    def allows(self, amount): return amount <= self.limit
def check(amount): return Rule(LIMITS["day"]).allows(amount)
"""


def load(number):
    name = "rules_%d" % number
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader=None))
    exec(compile(RULES, "/srv/rules.py", "exec"), module.__dict__)
    sys.modules[name] = module
    return module


def main():
    for turn in turns(60, warm_up=150):
        load(turn).check(turn)
