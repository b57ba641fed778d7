"""The one session store of a service: sessions are created at log-in and never expire."""
from load import turns

EXPECT = {"kind": ["instance-attribute"],
          "expression": ["sys.modules['instance_attribute'].store._by_token"]}


class Store:
    def __init__(self):
        self._by_token = {}
        self.logins = 0

    def log_in(self, user):
        self.logins += 1
        token = "token %d of %s" % (self.logins, user)
        self._by_token[token] = {"user": user, "rights": ["right %d %d" % (self.logins, i) for i in range(5)]}
        return token


store = Store()


def main():
    for turn in turns(400):
        store.log_in("user %d" % (turn % 50))
