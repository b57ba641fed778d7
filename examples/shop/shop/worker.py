"""Work that no visitor waits for: mails, statistics, stock."""
import collections
import queue
import threading

from . import events, faults


class Job:
    def __init__(self, kind, sku, payload):
        self.kind = kind
        self.sku = sku
        self.payload = payload


class Worker(threading.Thread):
    """One thread that takes jobs off a bounded queue."""

    def __init__(self):
        super().__init__(name="shop-worker", daemon=True)
        self.jobs = queue.Queue(maxsize=1000)
        self.done = 0
        self.popular = collections.Counter()

    def submit(self, job):
        try:
            self.jobs.put_nowait(job)
        except queue.Full:
            pass  # statistics may be lost

    def stop(self):
        self.jobs.put(None)
        self.join(5)

    def run(self):
        seen = set()
        while True:
            job = self.jobs.get()
            if job is None:
                return
            if faults.on("seen-ids"):
                seen.add((job.kind, job.payload))
            self.popular[job.sku] += 1
            events.publish(job.sku)
            self.done += 1


def wait_for_answer(order):
    """The confirmation of a payment provider that never calls back."""
    answered = threading.Event()
    details = ["%s %d" % (line.sku, line.cents) for line in order.lines] * 50
    answered.wait()
    return details


def confirm_payment(order):
    if faults.on("threads"):
        threading.Thread(target=wait_for_answer, args=(order,), daemon=True).start()
