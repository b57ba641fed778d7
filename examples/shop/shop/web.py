"""The shop over HTTP."""
import gc
import http.cookies
import http.server
import json
import logging
import logging.handlers
import socket
import threading
import urllib.parse

from . import errors, faults, orders, pricing, session, templates, worker

log = logging.getLogger("shop")


class NotFound(Exception):
    pass


class Shop:
    """All that the handlers share."""

    def __init__(self, catalog, jobs):
        self.catalog = catalog
        self.jobs = jobs
        self.served = 0
        self._lock = threading.Lock()

    def count(self):
        with self._lock:
            self.served += 1
            number = self.served
        if faults.on("gc-freeze") and number % 100 == 0:
            gc.freeze()

    def home(self, visitor, query):
        products = self.catalog.products(query.get("category"))
        rows = "".join(templates.row(p, pricing.quote(p, visitor), visitor) for p in products)
        return templates.page("The shop", visitor, "<ul>%s</ul>" % rows)

    def product(self, visitor, sku):
        try:
            product = self.catalog.product(sku)
        except KeyError as error:
            context = ["%s %s" % (sku, path) for path in visitor.visited] + [sku * 40]
            raise NotFound("no such product, after %d pages" % len(context)) from error
        self.jobs.submit(worker.Job("view", sku, visitor.id + sku))
        return templates.page(product.name, visitor, templates.row(product, pricing.quote(product, visitor), visitor))

    def add(self, visitor, query):
        visitor.cart.add(self.catalog.product(query["sku"]), int(query.get("quantity", "1")))
        return templates.page("Cart", visitor, "%d products" % len(visitor.cart))

    def checkout(self, visitor):
        order = orders.place(visitor, self.catalog, lambda product: pricing.quote(product, visitor))
        worker.confirm_payment(order)
        return templates.page("Thank you", visitor, orders.first_line(order))

    def status(self):
        return {"served": self.served, "sessions": len(session.store), "quotes": len(pricing._quotes),
                "jobs": self.jobs.done, "errors": dict(errors.counts), "faults": faults.active(),
                "threads": threading.active_count()}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "shop"

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def do_GET(self):
        self.respond()

    def do_POST(self):
        self.respond()

    def respond(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(min(length, 65536))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        shop = self.server.shop
        shop.count()
        if faults.on("log-handlers"):
            log.addHandler(logging.handlers.MemoryHandler(capacity=1000))
        log.info("%s %s from %s", self.command, self.path, self.client_address[0])
        if parts.path.startswith("/admin/"):
            self.admin(shop, parts.path)
            return
        cookies = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))
        visitor = session.store.find(cookies["sid"].value if "sid" in cookies else "")
        visitor.visit(self.path)
        code = 200
        try:
            page = self.route(shop, parts.path, query, visitor)
        except (NotFound, KeyError, ValueError) as error:
            errors.record(error)
            code, page = 404, templates.page("Not found", visitor, "There is nothing here.")
        except Exception as error:
            errors.record(error)
            code, page = 500, templates.page("Error", visitor, "Something went wrong.")
        self.answer(code, page, "text/html; charset=utf-8", visitor.id)

    def route(self, shop, path, query, visitor):
        if path == "/":
            return shop.home(visitor, query)
        if path.startswith("/product/"):
            return shop.product(visitor, path[len("/product/"):])
        if path == "/cart":
            return templates.page("Cart", visitor, "%d products" % len(visitor.cart))
        if path == "/cart/add" and self.command == "POST":
            return shop.add(visitor, query)
        if path == "/checkout" and self.command == "POST":
            return shop.checkout(visitor)
        raise NotFound(path)

    def admin(self, shop, path):
        if path == "/admin/status":
            self.answer(200, json.dumps(shop.status()), "application/json")
        elif path == "/admin/faults":
            self.answer(200, json.dumps({f.name: f.summary for f in faults.FAULTS.values()}), "application/json")
        elif path.startswith("/admin/faults/") and self.command == "POST":
            try:
                fault = faults.switch_on(path[len("/admin/faults/"):])
            except KeyError:
                self.answer(404, "no such fault\n", "text/plain")
                return
            self.answer(200, fault.summary + "\n", "text/plain")
        else:
            self.answer(404, "not found\n", "text/plain")

    def answer(self, code, text, kind, session_id=None):
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if session_id is not None:
            self.send_header("Set-Cookie", "sid=%s; HttpOnly" % session_id)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass  # Shop logs by itself


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, shop):
        super().__init__(address, Handler)
        self.shop = shop
