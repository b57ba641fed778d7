"""A watcher thread for each upload; it waits for an end of the upload that it is never told of."""
import threading

from load import turns

EXPECT = {"kind": ["unjoined-threads"], "pattern": r"sys\.modules\['threading'\]\._(active|dangling).*|local variable .* of watch\(\).*|thread.*"}


def watch(number, done):
    rows = ["row %d of upload %d" % (i, number) for i in range(600)]
    done.wait()
    return rows


def main():
    threading.stack_size(256 * 1024)
    for turn in turns(60, warm_up=120):
        if turn % 6 == 0:
            threading.Thread(target=watch, args=(turn, threading.Event()), daemon=True).start()
