"""A mutable default argument: the list of warnings is one for all calls."""
from load import turns

EXPECT = {"kind": ["default-argument"],
          "expression": ["sys.modules['default_argument'].validate.__defaults__[0]"]}


def validate(record, warnings=[]):
    for field in ("name", "street", "city"):
        if field not in record:
            warnings.append({"record": "record %d" % record["id"], "field": field, "seen": [record["id"]]})
    return not warnings


def main():
    for turn in turns(300):
        validate({"id": turn, "name": "name"})
