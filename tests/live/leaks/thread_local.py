"""A worker thread collects the statements of each transaction in a threading.local and never clears them."""
import threading

from load import turns

EXPECT = {"kind": ["thread-local"], "pattern": r"in thread \d+ 'worker': sys\.modules\['thread_local'\]\.transaction\.statements"}

transaction = threading.local()


def work():
    transaction.statements = []
    for turn in turns(300):
        transaction.statements.append({"sql": "update t set n = %d" % turn, "parameters": [turn, "p %d" % turn]})


def main():
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
