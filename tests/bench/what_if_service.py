"""Five small services that do a fixed amount of work, for bench_what_if.py: web requests, parsing, a growing cache, objects
of an ORM, asyncio. No unit of work is as large as the one before: where all are alike, whether a collection falls on one line or
on the next one is decided by one object in a thousand, and for all units at once.

A sixth, shop, is as irregular as a request of a framework: it was not there when the model was made.

    what_if_service.py WORKLOAD UNITS THRESHOLDS|freeze|usual

Is told on its line of input where to write the log of its own collections, which it keeps through gc.callbacks: the truth that
predictions are measured by.
"""
import array
import collections
import gc
import json
import sys
import time

workload, units, setting = sys.argv[1:4]
units = int(units)

BASE = [{"id": i, "tags": [i]} for i in range(60000)]  # what a service has after its start
events = array.array("q")
done = 0  # sizes of the units that are over, in all
STATE = {"begun": 0, "cpu": 0}


def note(phase, info, now=time.perf_counter_ns, cpu=time.thread_time_ns, count=gc.get_count):
    if phase == "start":
        STATE["count"] = count()[0]
        STATE["cpu"] = cpu()
        STATE["begun"] = now()
    else:
        ended = now()
        events.extend((STATE["begun"], ended, cpu() - STATE["cpu"], info["generation"], info["collected"], STATE["count"], done))


def size(i, least, most):
    return least + (i * 2654435761 >> 16) % (most - least + 1)


class Request:
    def __init__(self, path):
        self.path = path
        self.headers = {"host": ["example"], "accept": ["*/*"], "cookie": [("id", path)]}
        self.response = Response(self)


class Response:
    def __init__(self, request):
        self.request = request
        self.parts = []


sessions = {}


def web(i):
    request = Request(i)
    rows = [{"id": k, "price": [k, i], "labels": [[k], [i]]} for k in range(size(i, *SIZES["web"]))]
    request.response.parts = [[row["id"], row["price"]] for row in rows]
    text = json.dumps(rows[:20])
    if i % 4 == 0:
        sessions[i] = {"user": [i], "seen": [text[:10]]}


class Node:
    __slots__ = ("parent", "children", "name")

    def __init__(self, parent, name):
        self.parent, self.name, self.children = parent, name, []
        if parent is not None:
            parent.children.append(self)


def make_document(entries):
    return json.dumps([{"id": i, "items": [[i, k] for k in range(4)], "of": {"a": [i]}} for i in range(entries)])


def parse(i):
    document = json.loads(DOCUMENTS[size(i, *SIZES["parse"])])
    root = Node(None, "root")
    for entry in document:
        node = Node(root, entry["id"])
        if entry["id"] % 4 == 0:
            for item in entry["items"]:
                Node(node, item)


cache = {}


def grow(i):
    for k in range(size(i, *SIZES["cache"])):
        key = (i, k)
        row = [[key], {"value": [k]}]
        parts = [[k, j] for j in range(6)]
        cache[key] = row
        del parts


class Entity:
    def __init__(self, session, key):
        self.session, self.key = session, key
        self.related = []
        self.owner = None


class Session:
    def __init__(self):
        self.identity = {}
        self.dirty = []

    def load(self, key):
        entity = self.identity[key] = Entity(self, key)
        self.dirty.append(entity)
        return entity


def orm(i):
    session = Session()
    owner = session.load((i, 0))
    for k in range(1, size(i, *SIZES["orm"])):
        entity = session.load((i, k))
        entity.owner = owner
        owner.related.append(entity)
    rows = [[entity.key, [entity]] for entity in session.dirty]
    rows.sort(key=lambda row: row[0][1])


def make_async():
    import asyncio
    loop = asyncio.new_event_loop()
    queue = []

    async def step(n):
        await asyncio.sleep(0)
        return [n]

    async def fails(n):
        try:
            await asyncio.sleep(0)
            raise KeyError(n)
        except KeyError as error:
            kept = error  # a cycle: the traceback holds the frame that holds the error
            return [repr(kept)]

    async def call(n):
        part = [await step(n), await step(n + 1)]
        if n % 8 == 0:
            part.append(await fails(n))
        return part

    async def unit(i):
        queue.append(loop.create_task(call(i)))
        got = await asyncio.gather(*(call(i + n) for n in range(8 * size(i, *SIZES["async"]))))
        if len(queue) > 30:
            await queue.pop(0)
        return len(got)

    return lambda i: loop.run_until_complete(unit(i))


def bytes_of_garbage():
    """Of an object of what units of work leave to the collector, with what it alone holds; 0: they leave nothing."""
    def refcount(thing):
        return sys.getrefcount(thing)
    alone = [refcount(thing) for thing in [object()]][0]
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    for i in range(units, units + 60):
        one(i)
    gc.collect()
    gc.set_debug(0)
    found = list(gc.garbage)
    gc.garbage.clear()
    size = 0
    for thing in found:
        size += sys.getsizeof(thing)
        size += sum(sys.getsizeof(part) for part in gc.get_referents(thing)
                    if not gc.is_tracked(part) and refcount(part) <= alone + 1)
    return size / len(found) if found else 0


recent = collections.OrderedDict()


class Missing(Exception):
    pass


def find(request, key):
    if key % 7 == 0:
        raise Missing(request, key)
    row = recent.get(key)
    if row is None:
        row = recent[key] = {"key": [key], "options": [{"size": [n]} for n in range(key % 5)]}
        if len(recent) > 2000:
            recent.popitem(last=False)
    return row


def shop(i):
    """Middleware as closures, a cache of bounded size, errors that keep their traceback, a page out of many parts."""
    request = Request(i)
    errors = []

    def view():
        parts = []
        for k in range(3 + i % 30):
            try:
                parts.append([find(request, (i * 31 + k * k) % 5000), [k, i]])
            except Missing as error:
                errors.append(error)
        return parts

    def logged(inner):
        def run():
            return {"parts": inner(), "context": [request, errors]}
        return run

    handler = logged(logged(view))
    request.response.parts = [handler(), handler]
    page = [["<p>", [str(n)]] for n in range(20 + i % 50)]
    del page


# Least and most: rows, entries, keys, entities, calls by eight.
SIZES = {"web": (50, 250), "parse": (40, 200), "cache": (20, 60), "orm": (20, 100), "async": (2, 4), "shop": (1, 1)}
DOCUMENTS = {n: make_document(n) for n in range(SIZES["parse"][0], SIZES["parse"][1] + 1)} if workload == "parse" else {}
WORK = {"web": web, "parse": parse, "cache": grow, "orm": orm, "shop": shop}
one = WORK[workload] if workload in WORK else make_async()

for i in range(20):
    one(-i * 100 - 1)
gc.collect()
gc.callbacks.append(note)
ready(thresholds=gc.get_threshold())
log_path = wait_line()
gc.collect()
del events[:]
if setting == "freeze":
    gc.freeze()
elif setting != "usual":
    gc.set_threshold(*map(int, setting.split(",")))
time.sleep(0.1)  # for whoever samples: the recording begins here
begun, begun_cpu = time.perf_counter_ns(), time.thread_time_ns()
for unit in range(units):
    one(unit)
    done += size(unit, *SIZES[workload])
ended, ended_cpu = time.perf_counter_ns(), time.thread_time_ns()
gc.disable()
gc.callbacks.remove(note)
left = gc.collect()
garbage_bytes = bytes_of_garbage()
with open(log_path, "w") as log:
    log.write(json.dumps({"start": begun, "end": ended, "cpu": ended_cpu - begun_cpu, "work": done, "left": left,
                          "bytes": garbage_bytes}) + "\n")
    for k in range(0, len(events), 7):
        keys = ("start", "end", "cpu", "generation", "collected", "count", "work")
        log.write(json.dumps(dict(zip(keys, events[k:k + 7]))) + "\n")
ready()
