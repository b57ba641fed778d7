"""Who wants to hear of what happens in the shop."""
_listeners = []


def subscribe(listener):
    _listeners.append(listener)


def publish(sku):
    for listener in _listeners[:100]:
        listener(sku)
