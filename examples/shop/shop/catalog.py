"""What the shop sells, in SQLite."""
import random
import sqlite3
import threading

_SCHEMA = """
CREATE TABLE product (sku TEXT PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, cents INTEGER NOT NULL,
                      stock INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER NOT NULL);
"""
_CATEGORIES = ("tea", "coffee", "cups", "kettles", "honey")
_WORDS = ("Amber", "Harbour", "Quiet", "Northern", "Copper", "Morning", "Salt", "Meadow", "Old", "Paper")


class Product:
    __slots__ = ("sku", "name", "category", "cents", "stock")

    def __init__(self, sku, name, category, cents, stock):
        self.sku = sku
        self.name = name
        self.category = category
        self.cents = cents
        self.stock = stock


class Catalog:
    """One connection for all threads of the server, so its uses are serialized."""

    def __init__(self, path=":memory:"):
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._fill()

    def _fill(self):
        rng = random.Random(7)
        rows = []
        for number in range(60):
            category = _CATEGORIES[number % len(_CATEGORIES)]
            name = "%s %s %d" % (_WORDS[number % len(_WORDS)], category, number)
            rows.append(("sku-%03d" % number, name, category, rng.randrange(300, 9000), 1000000))
        with self._database:
            self._database.executemany("INSERT INTO product VALUES (?, ?, ?, ?, ?)", rows)

    def _rows(self, query, *values):
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def products(self, category=None):
        if category is None:
            rows = self._rows("SELECT * FROM product ORDER BY sku")
        else:
            rows = self._rows("SELECT * FROM product WHERE category = ? ORDER BY sku", category)
        return [Product(*row) for row in rows]

    def product(self, sku):
        """Raises KeyError when there is none."""
        rows = self._rows("SELECT * FROM product WHERE sku = ?", sku)
        if not rows:
            raise KeyError("no product %r" % sku)
        return Product(*rows[0])

    def record_order(self, customer, cents):
        with self._lock, self._database:
            return self._database.execute("INSERT INTO orders (customer, cents) VALUES (?, ?)",
                                          (customer, cents)).lastrowid

    def close(self):
        with self._lock:
            self._database.close()
