"""Runs tests/tools/lt_watch, which prints what the collector of a target does as lines of JSON."""
from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time

from .run import build_dir
from .target import Target, end_session, reset_signals


class Watch:
    """lt_watch on a target: `events` once stop() was called."""

    def __init__(self, target: Target, *arguments: str):
        self.out = tempfile.TemporaryFile("w+")  # a pipe would be full soon
        self.process = subprocess.Popen([build_dir() / "tests/tools/lt_watch", *arguments, str(target.pid)], text=True,
                                        stdin=subprocess.PIPE, stdout=self.out, stderr=subprocess.PIPE, start_new_session=True,
                                        preexec_fn=reset_signals)
        deadline = time.monotonic() + 60
        while not self.lines() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.lines(), self.process.stderr.read()
        self.opened = json.loads(self.lines()[0])

    def lines(self):
        """What it has written so far, whole lines only."""
        return [line for line in os.pread(self.out.fileno(), 1 << 30, 0).decode().splitlines(True) if line.endswith("\n")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_session(self.process.pid)
        self.process.wait(30)
        for file in (self.process.stdin, self.process.stderr, self.out):
            file.close()

    def stop(self, end_input=True):
        """Ends the watch, or waits until it ends by itself; returns the events."""
        if end_input:
            self.process.stdin.close()
        code = self.process.wait(120)
        assert code == 0, self.process.stderr.read()
        _, *events, self.last = [json.loads(line) for line in self.lines()]
        return events
