"""Runs the shop: python -m shop [--port PORT] [--fault NAME ...]."""
import argparse
import signal
import sys
import threading

from . import catalog, faults, web, worker


def main():
    parser = argparse.ArgumentParser(prog="python -m shop", description="A small web shop.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: a free one")
    parser.add_argument("--fault", action="append", default=[], choices=sorted(faults.FAULTS), metavar="NAME",
                        help="switch a fault on: " + ", ".join(sorted(faults.FAULTS)))
    parser.add_argument("--list-faults", action="store_true", help="say what the faults do, and end")
    options = parser.parse_args()
    if options.list_faults:
        for fault in faults.FAULTS.values():
            print("%-16s %s" % (fault.name, fault.summary))
        return
    for name in options.fault:
        faults.switch_on(name)
    jobs = worker.Worker()
    jobs.start()
    server = web.Server((options.host, options.port), web.Shop(catalog.Catalog(), jobs))

    def stop(number, frame):
        # shutdown() waits for the loop that runs here: from another thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("http://%s:%d/" % server.server_address[:2], flush=True)
    server.serve_forever(poll_interval=0.2)
    server.server_close()
    jobs.stop()
    sys.exit(0)


if __name__ == "__main__":
    main()
