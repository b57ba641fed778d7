"""A C library allocates for each call and the caller never frees; no Python object knows of the memory."""
import ctypes

from load import turns

EXPECT = {"kind": ["native-growth"], "pattern": r""}


def main():
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    for _ in turns(250):
        libc.memset(libc.malloc(4096), 1, 4096)
