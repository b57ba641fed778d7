/*
 * heap.h: all objects of a target.
 *
 * Two depths, both from one frozen picture. The census counts the tracked objects by type (seconds for
 * millions become tenths). The graph adds every object that they reach, tracked or not, and the
 * references between all of them.
 */
#ifndef LT_HEAP_HEAP_H
#define LT_HEAP_HEAP_H

#include "graph/graph.h"
#include "heap/decode.h"
#include "heap/interpreters.h"

struct lt_heap;
struct lt_objmap;

LT_MUST_CHECK enum lt_status lt_heap_open(const struct lt_view *view, struct lt_heap **ret_heap);
void lt_heap_close(struct lt_heap *heap);
/* Before the memory of the view goes while the heap stays: only what is known already can be asked for then. */
void lt_heap_let_go(struct lt_heap *heap);

struct lt_types *lt_heap_types(struct lt_heap *heap);
struct lt_decoder *lt_heap_decoder(struct lt_heap *heap);
/* The view that the heap reads through: what is in its window costs no system call. */
const struct lt_view *lt_heap_view(const struct lt_heap *heap);
const struct lt_interpreters *lt_heap_interpreters(struct lt_heap *heap);
struct lt_pymalloc;
const struct lt_pymalloc *lt_heap_pymalloc(const struct lt_heap *heap);

/*
 * gc.get_objects() leaves out the permanent generation (gc.freeze; some releases start with a few
 * hundred objects there): what it counts is count - permanent_count.
 */
struct lt_type_total {
	const struct lt_type *type;
	uint64_t count;
	uint64_t bytes;                            /* as sys.getsizeof, GC headers included */
	uint64_t permanent_count, permanent_bytes; /* of these, in the permanent generation */
};
LT_VEC(lt_type_totals, struct lt_type_total);

struct lt_census {
	struct lt_type_totals totals; /* largest bytes first */
	uint64_t count, bytes;
	uint64_t tracked;   /* objects in the collector's lists, all generations and interpreters */
	uint64_t permanent; /* of them in the permanent generation */
	uint64_t *
		permanent_of; /* the same of each interpreter, in the order of lt_heap_interpreters() */
	size_t interpreter_count;
	bool proved; /* the scan was proved complete against the lists (docs/heap.md) */
};

/*
 * Tracked objects only: what gc.get_objects() counts, and the permanent generation. LT_E_GONE when the
 * target ended before the count did.
 */
LT_MUST_CHECK enum lt_status lt_heap_census_tracked(struct lt_heap *heap,
						    struct lt_census *ret_census);
void lt_census_deinit(struct lt_census *census);

/* A reference found by a conservative scan: whether it is owned is not known. */
struct lt_loose_ref {
	uint32_t from, to;
};
LT_VEC(lt_loose_refs, struct lt_loose_ref);

/*
 * Every object reachable from tracked ones and from roots, with the references between them. Nodes are
 * numbered by ascending address. Use the functions below: the arrays are packed. Parallel references
 * are kept as they are. A node needs 7 bytes here (5 once settled), 1 or 2 in `objects` and 4 in `graph`,
 * an edge 4.
 */
struct lt_heap_graph {
	struct lt_graph graph;     /* nodes 0 .. graph.node_count - 1 */
	struct lt_objmap *objects; /* address <-> node; owned */
	uint16_t *type; /* index into the types, of each node; LT_TYPE_BIG: see big_types */
	struct lt_map big_types; /* node -> index, for those: a program that makes types has some */
	uint16_t *size;          /* bytes, of each node; UINT16_MAX: see big_sizes */
	struct lt_map big_sizes; /* node -> bytes, for those */
	uint8_t *flags;          /* LT_NODE_* of each node */
	uint64_t tracked;        /* nodes with LT_NODE_TRACKED */
	uint64_t permanent;      /* nodes with LT_NODE_PERMANENT */
	uint64_t conservative_refs; /* references found by conservative scans */
	uint64_t total_bytes;
	bool proved;                /* as in struct lt_census */
	int16_t *balance;           /* lt_heap_graph_balance() of each node, LT_BALANCE_* */
	struct lt_map big_balances; /* node -> the same, of those with LT_BALANCE_BIG */
	struct lt_loose_refs loose; /* what the conservative scans found, in the order of `from` */
};

enum { LT_TYPE_BIG = UINT16_MAX };

/* In `balance`; all others are what they are. */
enum {
	LT_BALANCE_UNKNOWN = INT16_MIN,
	LT_BALANCE_BIG = INT16_MAX,
	LT_BALANCE_MOST = INT16_MAX - 1 /* up to this, and down to its negative */
};

enum {
	LT_NODE_TRACKED = 1,
	LT_NODE_PERMANENT = 2, /* in the permanent generation */
	LT_NODE_IMMORTAL = 4,
	LT_NODE_STATIC = 8, /* lies in a mapped file, not in a heap */
};

enum { LT_NO_NODE = UINT32_MAX };

enum { LT_HEAP_PARTS = 3 };

/*
 * What else is done with each object while its memory is at hand. Parts of the heap may be looked at by two threads at
 * once: each calls with its own `part`, below LT_HEAP_PARTS, and reads through the view that it gives. Objects of a part
 * come in the order of their addresses, those of a part lie below all of the next. In `graph` only `objects` may be used.
 */
struct lt_heap_visit {
	/* Before the first object, and again when it begins anew. NULL: there is nothing to be done then. */
	enum lt_status (*begin)(void *ctx);
	/* False: no memory. */
	bool (*node)(void *ctx, unsigned part, const struct lt_view *view,
		     const struct lt_heap_graph *graph, lt_addr object, const struct lt_type *type);
	void (*restart)(
		void *ctx); /* what was seen is void: it begins anew, in one part, or fails */
	/* All nodes were seen: `objects` and `type` of the graph stay as they are while the rest is made. NULL: nobody asks. */
	void (*seen)(void *ctx, const struct lt_heap_graph *graph);
	void *ctx;
};

/*
 * `roots`: extra objects to start from (interpreter and thread state, frames, static types). `visit` may be NULL.
 */
LT_MUST_CHECK enum lt_status lt_heap_build_graph(struct lt_heap *heap, const lt_addr *roots,
						 size_t root_count,
						 const struct lt_heap_visit *visit,
						 struct lt_heap_graph *ret_graph);
/* Releases `balance` and `loose`, once they are evaluated. */
void lt_heap_graph_settle(struct lt_heap_graph *graph);
void lt_heap_graph_deinit(struct lt_heap_graph *graph);

/*
 * A graph from what was kept of one: without references yet (`graph` has nodes only), and without its
 * counts of collector and scans. Addresses ascend strictly and are multiples of 8 below 2^47, else
 * LT_E_FILE.
 */
struct lt_heap_nodes {
	uint32_t count;
	const lt_addr *address;
	const uint64_t *size;
	const uint32_t *type;
	uint8_t *flags; /* taken over; NULL then */
};
LT_MUST_CHECK enum lt_status lt_heap_graph_restore(struct lt_session *session,
						   struct lt_heap_nodes *nodes,
						   struct lt_heap_graph *ret_graph);

/* Node of an object's address, LT_NO_NODE for none. */
uint32_t lt_heap_graph_find(const struct lt_heap_graph *graph, lt_addr address);

/*
 * For a walk over all nodes in their order: loads memory from that of `node` on, and returns the first
 * node that lies behind what was loaded, the number of nodes at the end. lt_heap_walk_end() forgets it.
 */
uint32_t lt_heap_walk(struct lt_heap *heap, const struct lt_heap_graph *graph, uint32_t node);
void lt_heap_walk_end(struct lt_heap *heap);

/* Of a node below graph.node_count. */
lt_addr lt_heap_graph_address(const struct lt_heap_graph *graph, uint32_t node);
/* The address of the node behind the one at this address, 0 behind the last one: cheaper in a walk over all. */
lt_addr lt_heap_graph_after(const struct lt_heap_graph *graph, lt_addr address);
/* The first node at or behind an address; the number of nodes when there is none. */
uint32_t lt_heap_graph_from(const struct lt_heap_graph *graph, lt_addr address);
/* Once for each node; `size` comes zeroed. Adds to total_bytes. False: no memory. */
bool lt_heap_graph_set_size(struct lt_heap_graph *graph, uint32_t node, uint64_t size);
uint64_t lt_heap_graph_size(const struct lt_heap_graph *graph, uint32_t node);

uint32_t lt_heap_graph_big_type(const struct lt_heap_graph *graph, uint32_t node);
/* Index into the types. */
static inline uint32_t lt_heap_graph_type(const struct lt_heap_graph *graph, uint32_t node)
{
	uint16_t type = graph->type[node];
	return type != LT_TYPE_BIG ? type : lt_heap_graph_big_type(graph, node);
}
/* False: no memory. */
LT_MUST_CHECK bool lt_heap_graph_set_type(struct lt_heap_graph *graph, uint32_t node,
					  uint32_t type);

/* False: the object is immortal, or its count could not be read; there is no balance. */
static inline bool lt_heap_graph_has_balance(const struct lt_heap_graph *graph, uint32_t node)
{
	return graph->balance[node] != LT_BALANCE_UNKNOWN;
}
int64_t lt_heap_graph_big_balance(const struct lt_heap_graph *graph, uint32_t node);
/*
 * Reference count of a node less the references to it that the objects of the graph own, those found by conservative
 * scans left out. Negative: one was counted that is not owned; or there is none.
 */
static inline int64_t lt_heap_graph_balance(const struct lt_heap_graph *graph, uint32_t node)
{
	int16_t balance = graph->balance[node];
	return balance != LT_BALANCE_BIG ? balance : lt_heap_graph_big_balance(graph, node);
}
/* Within INT32_MIN and INT32_MAX. False: no memory. */
LT_MUST_CHECK bool lt_heap_graph_set_balance(struct lt_heap_graph *graph, uint32_t node,
					     int64_t balance);
/* So many references more that are accounted for; of one that has no balance nothing is taken. False: no memory. */
LT_MUST_CHECK bool lt_heap_graph_take(struct lt_heap_graph *graph, uint32_t node, uint32_t count);

#endif
