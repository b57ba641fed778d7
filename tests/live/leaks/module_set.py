"""A consumer remembers the ids of all messages that it has ever seen, so that it takes none twice."""
from load import turns

EXPECT = {"kind": ["module-container"], "expression": ["sys.modules['module_set'].seen"]}

seen = set()


def take(message):
    if message["id"] not in seen:
        seen.add(message["id"])
        return sum(message["body"])
    return None


def main():
    for turn in turns(300):
        for part in range(12):
            take({"id": "message %d part %d" % (turn, part), "body": [turn, part]})
