"""Visitors for the shop: python -m shop.load URL [--visits N] [--seconds S] [--threads T]."""
import argparse
import http.client
import random
import threading
import time
import urllib.parse


class Visitors(threading.Thread):
    """One connection over which visitors come one after the other, each with a session of its own."""

    def __init__(self, address, budget, seed, rate):
        super().__init__(daemon=True)
        self.address = address
        self.budget = budget
        self.random = random.Random(seed)
        self.pause = 1.0 / rate if rate else 0.0
        self.visits = 0
        self.requests = 0
        self.failures = 0

    def ask(self, connection, method, path, cookie):
        connection.request(method, path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        response.read()
        self.requests += 1
        if response.status >= 500:
            self.failures += 1
        time.sleep(self.pause)
        return (response.getheader("Set-Cookie") or "").split(";")[0]

    def visit(self, connection):
        cookie = self.ask(connection, "GET", "/", "")
        for _ in range(3):
            sku = "sku-%03d" % self.random.randrange(60)
            self.ask(connection, "GET", "/product/" + sku, cookie)
            self.ask(connection, "POST", "/cart/add?sku=" + sku, cookie)
        self.ask(connection, "GET", "/product/sku-gone-%d" % self.random.randrange(10**6), cookie)
        # Every third visitor leaves a full cart behind.
        self.visits += 1
        if self.visits % 3 == 0:
            self.ask(connection, "GET", "/cart", cookie)
        else:
            self.ask(connection, "POST", "/checkout", cookie)

    def run(self):
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            while self.budget.take():
                self.visit(connection)
        except (OSError, http.client.HTTPException):
            self.failures += 1
        finally:
            connection.close()


class Budget:
    """How many visits are left, and until when."""

    def __init__(self, visits, seconds):
        self.visits = visits
        self.deadline = time.monotonic() + seconds if seconds else None
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            if self.visits is not None:
                self.visits -= 1
                if self.visits < 0:
                    return False
        return self.deadline is None or time.monotonic() < self.deadline


def run(url, visits=None, seconds=None, threads=4, rate=None, seed=1):
    """Returns requests made, requests that failed, and the seconds that it took."""
    parts = urllib.parse.urlsplit(url)
    budget = Budget(visits, seconds)
    started = time.monotonic()
    crowd = [Visitors((parts.hostname, parts.port), budget, seed + i, rate) for i in range(threads)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    return (sum(one.requests for one in crowd), sum(one.failures for one in crowd), time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser(prog="python -m shop.load", description="Visits a shop, over and over.")
    parser.add_argument("url")
    parser.add_argument("--visits", type=int, help="how many in all")
    parser.add_argument("--seconds", type=float, help="how long")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rate", type=float, help="requests per second of each thread")
    options = parser.parse_args()
    if options.visits is None and options.seconds is None:
        options.seconds = 10.0
    requests, failures, seconds = run(options.url, options.visits, options.seconds, options.threads, options.rate)
    print("%d requests in %.1f s, %.0f per second, %d failed" % (requests, seconds, requests / seconds, failures))
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
