"""What the callback of a weak reference holds: the reference owns its callback, and is itself held as any object is."""
from harness import Target
from test_findings import evaluate, service

SCRIPT = '''
    import functools, gc, weakref
    class Held:
        __slots__ = ("__weakref__",)
    class Order:
        pass
    class Watch(weakref.ref):
        __slots__ = ("extra",)
    addresses = {}
    def callback(name):
        held = Held()
        addresses[name] = hex(id(held))
        return functools.partial(print, held)
    order, gone = Order(), Order()
    watched = [weakref.ref(order, callback("plain"))]
    subclass = Watch(order, callback("subclass"))
    proxy = weakref.proxy(order, callback("proxy"))
    after = weakref.ref(gone)
    # The callback is called when its object goes, and let go then.
    called = weakref.ref(gone, callback("called"))
    del gone
    # A weak reference that nobody holds is gone at once, and its callback with it.
    weakref.ref(order, callback("lost"))
    finalizer = weakref.finalize(order, callback("finalizer"))
'''

EXPRESSIONS = {"plain": "sys.modules['shop'].watched[0].__callback__.args[0]",
               "subclass": "sys.modules['shop'].subclass.__callback__.args[0]"}


def test_callbacks_of_weak_references(interpreter, lowtide, tmp_path):
    with Target(interpreter, service(SCRIPT)) as target:
        addresses = evaluate(target, "str(sys.modules['shop'].addresses)")["value"]
        addresses = eval(addresses)
        assert set(addresses) == {"plain", "subclass", "proxy", "called", "lost", "finalizer"}
        file = tmp_path / "weak.tide"
        assert lowtide("snapshot", target.pid, "-o", file).code == 0
        title = "callback of a weak reference to shop.Order: "
        for source in (target.pid, file):
            for name in ("plain", "subclass", "proxy", "finalizer"):
                result = lowtide("path", "--json", source, addresses[name])
                assert result.code == 0, result
                expression = result.json["result"]["paths"][0]["expression"]
                if name in EXPRESSIONS:
                    assert expression == title + EXPRESSIONS[name]
                    assert evaluate(target, EXPRESSIONS[name])["id"] == int(addresses[name], 16)
                elif name == "proxy":
                    assert expression.startswith(title), expression
                else:
                    # Held by a registry of weakref, not by a callback.
                    assert "callback" not in expression and "_registry" in expression, expression
        result = lowtide("path", "--json", target.pid, "shop.Held")
        assert result.json["result"]["object"]["count"] == 4
        found = {path["expression"] for path in result.json["result"]["paths"]}
        assert title + "sys.modules['shop'].watched[*].__callback__.args[*]" in found, found
