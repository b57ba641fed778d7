"""Healthy: a Celery worker on the transport in memory, and a producer beside it."""
from celery import Celery
from celery.contrib.testing.worker import start_worker

from load import turns

REQUIRES = ["celery"]
EXPECT = None

app = Celery("orders", broker="memory://", set_as_current=True)
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=False)


@app.task(name="orders.total")
def total(lines):
    return sum(line["price"] for line in lines)


def main():
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        for turn in turns(40, warm_up=200):
            total.delay([{"price": i, "text": "line %d of %d" % (i, turn)} for i in range(5)])
