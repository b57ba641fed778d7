"""Each session subscribes to the event bus with a bound method; none unsubscribes when it ends."""
from load import turns

EXPECT = {"kind": ["callback-list"], "expression": ["sys.modules['callback_list'].bus.listeners"]}


class Bus:
    def __init__(self):
        self.listeners = []

    def subscribe(self, listener):
        self.listeners.append(listener)

    def publish(self, event):
        for listener in self.listeners[-3:]:
            listener(event)


class Session:
    def __init__(self, number):
        self.number = number
        self.rows = ["row %d of session %d" % (i, number) for i in range(8)]
        bus.subscribe(self.on_event)

    def on_event(self, event):
        return event


bus = Bus()


def main():
    for turn in turns(250):
        Session(turn)
        bus.publish("turn %d" % turn)
