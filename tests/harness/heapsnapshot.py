"""Reads a heap snapshot of V8 as DevTools does, checks all that DevTools relies on, and computes dominators.

Written after V8's src/profiler/heap-snapshot-generator.cc and DevTools' HeapSnapshot.ts.
"""
from __future__ import annotations

import json
from array import array
from pathlib import Path

NODE_FIELDS = ["type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness"]
EDGE_FIELDS = ["type", "name_or_index", "to_node"]
NODE_TYPES = ["hidden", "array", "string", "object", "code", "closure", "regexp", "number", "native", "synthetic",
              "concatenated string", "sliced string", "symbol", "bigint", "object shape"]
EDGE_TYPES = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"]


class HeapSnapshot:
    def __init__(self, path: Path):
        content = path.read_bytes()
        content.decode("ascii" if content.isascii() else "utf-8")
        file = json.loads(content)
        # DevTools reads the file as a stream: the members come in this order.
        assert list(file) == ["snapshot", "nodes", "edges", "trace_function_infos", "trace_tree", "samples", "locations",
                              "strings"]
        self.head, self.strings = file["snapshot"], file["strings"]
        self.nodes, self.edges = file["nodes"], file["edges"]
        self._check_head()
        self._check_nodes()
        self._check_edges()

    def _check_head(self) -> None:
        meta = self.head["meta"]
        assert meta["node_fields"] == NODE_FIELDS and meta["edge_fields"] == EDGE_FIELDS
        assert meta["node_types"] == [NODE_TYPES, "string"] + ["number"] * 5
        assert meta["edge_types"] == [EDGE_TYPES, "string_or_number", "node"]
        assert meta["location_fields"] == ["object_index", "script_id", "line", "column"]
        assert self.head["trace_function_count"] == 0
        assert len(self.nodes) == self.head["node_count"] * 7
        assert len(self.edges) == self.head["edge_count"] * 3
        assert len(set(self.strings)) == len(self.strings)

    def _check_nodes(self) -> None:
        # DevTools keeps both arrays in 32 bits, and knows a node by its number.
        array("I", self.nodes)
        array("I", self.edges)
        ids = self.nodes[2::7]
        assert len(set(ids)) == len(ids) and 0 not in ids
        assert max(self.nodes[0::7]) < len(NODE_TYPES)
        assert max(self.nodes[1::7]) < len(self.strings)
        assert set(self.nodes[5::7]) == {0} == set(self.nodes[6::7])
        self.first_edge = [0]
        for count in self.nodes[4::7]:
            self.first_edge.append(self.first_edge[-1] + count)
        assert self.first_edge[-1] == self.head["edge_count"]

    def _check_edges(self) -> None:
        kinds, names, targets = self.edges[0::3], self.edges[1::3], self.edges[2::3]
        for kind, name, target in zip(kinds, names, targets):
            assert target % 7 == 0 and target < len(self.nodes)
            if EDGE_TYPES[kind] in ("context", "property", "internal"):
                assert name < len(self.strings)
            else:
                assert EDGE_TYPES[kind] == "element"
        self.targets = [target // 7 for target in targets]

    def __len__(self) -> int:
        return self.head["node_count"]

    def type(self, node: int) -> str:
        return NODE_TYPES[self.nodes[node * 7]]

    def name(self, node: int) -> str:
        return self.strings[self.nodes[node * 7 + 1]]

    def id(self, node: int) -> int:
        return self.nodes[node * 7 + 2]

    def size(self, node: int) -> int:
        return self.nodes[node * 7 + 3]

    def total(self) -> int:
        return sum(self.nodes[3::7])

    def edges_of(self, node: int) -> list[tuple[str, str | int, int]]:
        """(type, name or index, node)"""
        found = []
        for edge in range(self.first_edge[node], self.first_edge[node + 1]):
            kind = EDGE_TYPES[self.edges[edge * 3]]
            name = self.edges[edge * 3 + 1]
            found.append((kind, name if kind == "element" else self.strings[name], self.targets[edge]))
        return found

    def child(self, node: int, name: str | int) -> int:
        [found] = {to for _, what, to in self.edges_of(node) if what == name}
        return found

    def reachable(self, without: int = -1) -> bytearray:
        """1 for each node that the root reaches, not through node `without`."""
        seen = bytearray(len(self))
        seen[0] = 1
        if without >= 0:
            seen[without] = 2
        stack = [0]
        while stack:
            node = stack.pop()
            for to in self.targets[self.first_edge[node]:self.first_edge[node + 1]]:
                if not seen[to]:
                    seen[to] = 1
                    stack.append(to)
        return seen

    def retained(self, node: int) -> int:
        """What would go with the node, by its definition: what the root does not reach without it."""
        seen = self.reachable(without=node)
        return sum(self.size(at) for at in range(len(self)) if seen[at] != 1)
