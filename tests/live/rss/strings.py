"""Strings of every width, short and long."""
from oracle import part, sizes

short = ["order %d" % i for i in range(100_000)]
wide = ["commande numéro %d €" % i * 10 for i in range(20_000)]
long = ["%d" % (10 ** 9 + i) * 600 for i in range(4_000)]
total = sizes(short) + sizes(wide, 8) + sizes(long, 8)
ready(parts=[part("objects", "live objects: str", total, 1.02 * total + 4_000_000)])
