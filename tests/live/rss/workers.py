"""gunicorn with workers that share what their parent has loaded."""
import ctypes
import gc
import os

from gunicorn.app.base import BaseApplication

from oracle import mappings, part, sizes

WORKERS = 3
catalogue = [b"%d" % (10 ** 9 + i) * 2_000 for i in range(2_000)]
catalogue_bytes = sizes(catalogue, 8)


def answer(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [catalogue[0][:100]]


def begin_worker(worker):
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(2 ** 64 - 1), 0, 0, 0)  # as the harness does for its targets
    if worker.age == WORKERS:
        shared = sum(one["Shared_Clean"] + one["Shared_Dirty"] for one in mappings())
        ready(shared=shared, parts=[part("objects", "live objects: bytes", catalogue_bytes, 1.05 * catalogue_bytes + 4_000_000)],
              shared_parts=[["live objects: bytes", int(0.9 * catalogue_bytes)]])


class Service(BaseApplication):
    def load_config(self):
        for name, value in {"bind": "unix:" + os.path.join(os.environ["WORKLOAD_DIR"], "socket"), "workers": WORKERS, "preload_app": True,
                            "worker_tmp_dir": os.environ["WORKLOAD_DIR"], "post_worker_init": begin_worker, "timeout": 0}.items():
            self.cfg.set(name, value)

    def load(self):
        return answer


gc.disable()
gc.freeze()
Service().run()
