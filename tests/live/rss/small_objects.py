"""Many small objects, nothing freed."""
from oracle import part, sizes


class Point:
    __slots__ = ("x", "y", "name")

    def __init__(self, i):
        self.x, self.y, self.name = i, -i, None


points = [Point(i) for i in range(150_000)]
pairs = {i: (i, i + 1, i + 2) for i in range(100_000)}
point_bytes, tuple_bytes = sizes(points), sizes(pairs.values())
ready(parts=[part("objects", "live objects: __main__.Point", point_bytes, point_bytes, len(points)),
             part("objects", "live objects: tuple", tuple_bytes, 1.3 * tuple_bytes + 2_000_000),
             part("objects", "live objects: list", len(points) * 8, len(points) * 12 + 500_000)])
