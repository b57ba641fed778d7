"""The service that lowtide and its peers are asked about: a catalogue, customers that come and go, and a store of
sessions that only grows. It has what a service needs for a tool that must run inside: a console."""
import collections
import contextlib
import io
import json
import threading
import time
import traceback

ARTICLES = 60_000
SESSIONS_A_SECOND = 600


class Article:
    def __init__(self, number):
        self.name = "article %d" % number
        self.price = number * 1.19
        self.tags = ["tag %d" % (number + i) for i in range(3)]


class Session:
    def __init__(self, number):
        self.user = "user %d" % number
        self.rights = ["right %d of %d" % (i, number) for i in range(4)]


class Store:
    """The leak: sessions are opened and never closed."""

    def __init__(self):
        self._by_token = {}

    def open(self, number):
        self._by_token["token %d" % number] = Session(number)


catalogue = {number: Article(number) for number in range(ARTICLES)}
store = Store()
recent = collections.deque(maxlen=500)


class Clock(threading.Thread):
    """Wakes up each millisecond: what is longer between two turns is the stall that a customer feels."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest = 0.0
        self.last = time.perf_counter()

    def run(self):
        while True:
            now = time.perf_counter()
            self.longest = max(self.longest, now - self.last)
            self.last = now
            time.sleep(0.001)

    def reset(self):
        self.last, self.longest = time.perf_counter(), 0.0


class Console(threading.Thread):
    """Runs what it is sent as JSON, {"code": ..., "reset": whether the clock starts anew}, in one namespace that stays;
    answers with what was printed and the longest stall since the clock started."""

    def __init__(self, clock):
        super().__init__(daemon=True)
        self.clock = clock
        self.names = {}

    def run(self):
        while line := wait_line():  # noqa: F821, the harness leaves it in builtins
            message = json.loads(line)
            out = io.StringIO()
            if message["reset"]:
                self.clock.reset()
            begin = time.perf_counter()
            try:
                with contextlib.redirect_stdout(out):
                    exec(message["code"], self.names)
            except Exception:
                out.write(traceback.format_exc())
            time.sleep(0.005)
            ready(seconds=time.perf_counter() - begin - 0.005, stall=self.clock.longest,  # noqa: F821
                  output=out.getvalue()[-200_000:])


def main():
    clock = Clock()
    clock.start()
    for number in range(10_000):
        store.open(number)
    Console(clock).start()
    ready(sessions=len(store._by_token))  # noqa: F821
    number, begin = 10_000, time.monotonic()
    while True:
        while number < 10_000 + (time.monotonic() - begin) * SESSIONS_A_SECOND:
            store.open(number)
            recent.append({"number": number, "article": catalogue[number * 7919 % ARTICLES].name})
            number += 1
        time.sleep(0.01)
