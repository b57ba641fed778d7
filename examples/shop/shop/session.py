"""Visitors, known by a cookie."""
import threading
import time
import uuid

from . import events, faults
from .cart import Cart

LIFETIME = 5.0  # seconds without a request
MOST = 200


class Session:
    def __init__(self):
        self.id = uuid.uuid4().hex
        self.tier = int(self.id[0], 16) % 4
        self.currency = ("EUR", "USD", "SEK")[int(self.id[1], 16) % 3]
        self.name = "visitor-" + self.id[:8]
        self.seen = time.monotonic()
        self.visited = []
        self.cart = Cart(self.id)
        self.price_changes = 0
        if faults.on("listeners"):
            events.subscribe(self.on_price_change)

    def on_price_change(self, sku):
        self.price_changes += 1

    def visit(self, path):
        self.seen = time.monotonic()
        self.visited = self.visited[-19:] + [path]


class SessionStore:
    def __init__(self):
        self._lock = threading.Lock()
        self._by_id = {}

    def find(self, session_id):
        """The session of that id, or a new one."""
        with self._lock:
            session = self._by_id.get(session_id)
            if session is None:
                session = Session()
                self._by_id[session.id] = session
                if not faults.on("sessions") and len(self._by_id) > MOST:
                    self._expire()
            return session

    def _expire(self):
        now = time.monotonic()
        old = [key for key, session in self._by_id.items() if now - session.seen > LIFETIME]
        # The longest unseen go first; dicts keep the order of arrival.
        for key in old or list(self._by_id)[: MOST // 2]:
            del self._by_id[key]

    def __len__(self):
        return len(self._by_id)


store = SessionStore()
