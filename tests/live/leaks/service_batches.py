"""Healthy: events are gathered and written out four times a second; objects in cycles wait for the collector."""
from load import turns

EXPECT = None

gathered = []


class Node:
    def __init__(self, number):
        self.number, self.me = number, self


def main():
    for turn in turns(300):
        gathered.append({"event": turn, "node": Node(turn)})
        [Node(turn * 10 + i) for i in range(5)]
        if len(gathered) >= 75:
            sum(event["event"] for event in gathered)
            gathered.clear()
