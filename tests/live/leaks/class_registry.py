"""Every connection enters itself in a list of its class, and none takes itself out."""
from load import turns

EXPECT = {"kind": ["class-attribute"], "expression": ["sys.modules['class_registry'].Connection.all"]}


class Connection:
    all = []

    def __init__(self, peer):
        self.peer = peer
        self.headers = {"host": "host %s" % peer, "agent": "agent of %s" % peer}
        Connection.all.append(self)


def main():
    for turn in turns(400):
        Connection("peer %d" % turn)
