"""What the programs of the corpus share: a steady load, and the ordinary work beside what they are about.

`for turn in turns(300)` warms up, says that it is ready, and then goes on for ever at that many turns a second.
Each turn also does what any service does: objects that live for a moment, a cache at its bound, a log record, a
window over the last events. None of that grows.
"""
import asyncio
import builtins
import collections
import functools
import json
import logging
import time

WARM_UP = 800
TICK = 0.02

log = logging.getLogger("service")
recent = collections.deque(maxlen=400)


@functools.lru_cache(maxsize=256)
def rate(number):
    """A bounded cache; its keys come round again, so it also misses."""
    return {"number": number, "rate": number / 7, "label": "rate %d" % number}


def ordinary(turn):
    rows = [{"id": turn * 10 + i, "name": "row %d" % i, "rate": rate((turn * 3 + i) % 700)["rate"]} for i in range(6)]
    text = json.dumps(rows)
    recent.append((turn, len(json.loads(text)), "event %d" % turn))
    log.info("turn %d: %d bytes", turn, len(text))


def quiet_log():
    """The log is formatted and written, to nowhere; no record is kept."""
    handler = logging.StreamHandler(open("/dev/null", "w"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def announce():
    getattr(builtins, "ready", print)()


def turns(per_second, warm_up=WARM_UP):
    quiet_log()
    for turn in range(warm_up):
        ordinary(turn)
        yield turn
    announce()
    turn, begin = warm_up, time.monotonic()
    while True:
        due = warm_up + int((time.monotonic() - begin) * per_second)
        while turn < due:
            ordinary(turn)
            yield turn
            turn += 1
        time.sleep(TICK)


async def async_turns(per_second, warm_up=WARM_UP):
    """The same in an event loop."""
    quiet_log()
    for turn in range(warm_up):
        ordinary(turn)
        yield turn
        if turn % 20 == 0:
            await asyncio.sleep(0)
    announce()
    turn, begin = warm_up, time.monotonic()
    while True:
        due = warm_up + int((time.monotonic() - begin) * per_second)
        while turn < due:
            ordinary(turn)
            yield turn
            turn += 1
        await asyncio.sleep(TICK)
