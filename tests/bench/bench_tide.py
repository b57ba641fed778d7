"""Size of snapshot files and time to open them, on processes of ten million objects, orderly and shuffled.

Bounds: 12 bytes an object on disk; under a second from the command line to the answer about the top of the tree.
"""
import tempfile
from pathlib import Path

from common import lowtide_seconds, median_of, own_interpreter, result
from harness import Target

OBJECTS = 10_000_000

# Customers and orders as a shop has them, with strings, numbers, tuples, slots and parsed JSON: 2.3 references an object.
# `orderly`: built one after the other. `shuffled`: each order has a customer, a product and a predecessor from anywhere, and
# every seventh is replaced by a later one, as in a process that has run for days.
SCRIPT = r'''
import gc, json, random, sys
gc.disable()
count, shuffled = int(sys.argv[1]) // 34, sys.argv[2] == "shuffled"
chance = random.Random(1)
cities, products = ["city %d" % i for i in range(500)], ["product %d" % i for i in range(5000)]
class Customer:
    def __init__(self, number):
        self.number, self.name, self.tags = number, "customer %d" % number, ["a", "b", str(number % 977)]
        self.address = {"street": "street %d" % number, "zip": number % 90000, "city": chance.choice(cities)}
class Line:
    __slots__ = ("product", "amount", "price")
    def __init__(self, number):
        self.product, self.amount, self.price = chance.choice(products), number % 9, number * 0.25
class Order:
    def __init__(self, number, before):
        self.customer = customers[chance.randrange(count) if shuffled else number // 2]
        self.lines = [Line(number * 3 + i) for i in range(chance.randint(1, 4))]
        self.note, self.when, self.before = "note %d" % number, (2024, number % 12, number % 30), before
customers = [Customer(i) for i in range(count)]
orders, last = [], None
for number in range(count * 2):
    orders.append(Order(number, last))
    if shuffled:
        last = chance.choice(orders)
        if number % 7 == 0:
            orders[chance.randrange(len(orders))] = Order(number, last)
    elif number % 10 == 0:
        last = orders[-1]
cache = {("key", i): json.loads('{"a": [1, 2, 3], "b": {"c": "%d", "d": null, "e": %f}}' % (i, i * 1.7)) for i in range(count)}
ready(one=id(orders[count // 2]))
'''


def measure(order: str, folder: Path) -> None:
    path = folder / f"{order}.tide"
    with Target(own_interpreter(), SCRIPT, str(OBJECTS), order, timeout=900) as target:
        seconds, data = lowtide_seconds("snapshot", target.pid, "-o", path)
        one = target.facts["one"]
    objects, references = data["result"]["objects"], data["result"]["references"]
    size = path.stat().st_size
    print(f"{order}: {objects:,} objects, {references:,} references; {size / 2**20:.0f} MiB written in {seconds:.1f} s, "
          f"standing still {data['cost']['stall_ms']:.1f} ms")
    result(f"snapshot file, {order}", f"{size / 2**20:.0f} MiB", f"{objects / 1e6:.1f} M objects",
           f"{size / objects:.2f} bytes an object", "<= 12")
    for name, bound, arguments in (
            ("retained", "<= 1", ("retained", path)),
            ("types", "<= 1", ("types", path)),
            ("one object in SQL", "", ("sql", path, f"SELECT type, size FROM objects WHERE address = {one}"))):
        seconds, answer = median_of(3, lowtide_seconds, *arguments)
        print(f"{order}: {name} of the file in {seconds:.2f} s, {answer['cost']['peak_bytes'] / 2**20:.0f} MiB of memory")
        result(f"{name} of a file, {order}", f"{seconds:.2f} s", "", f"{seconds:.2f} s", bound)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lowtide-bench-") as folder:
        measure("orderly", Path(folder))
        measure("shuffled", Path(folder))
