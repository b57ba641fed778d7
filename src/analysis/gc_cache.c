#include "analysis/gc_cache.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum {
	OBJECT = 160,    /* bytes */
	NEIGHBOURS = 32, /* an object refers to two of so many made before it */
	PASSES = 4,      /* others need the caches at one moment and not at the next */
	APART_NS = 50000000,
	PAYLOAD = OBJECT / 8 - 6,
	LONG_ENOUGH_NS = 600000000, /* for all sizes and passes */
};

/* What a collector has to do with an object: a list, a count, references, and contents to write and to free. */
struct thing {
	struct thing *next, *previous;
	uint64_t references, left;
	struct thing *to[2];
	uint64_t payload[PAYLOAD];
};

struct heap {
	struct thing *things, *spare;
	size_t count;
	uint64_t random;
	struct thing all, garbage; /* heads of rings */
};

static double cpu_now_ns(void)
{
	struct timespec now;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
		return 0;
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t next_random(struct heap *heap)
{
	heap->random ^= heap->random << 13;
	heap->random ^= heap->random >> 7;
	heap->random ^= heap->random << 17;
	return heap->random;
}

static void empty(struct thing *head)
{
	head->next = head->previous = head;
}

static void append(struct thing *head, struct thing *thing)
{
	thing->previous = head->previous;
	thing->next = head;
	head->previous->next = thing;
	head->previous = thing;
}

/* Memory that was freed and taken again for long: what is made one after the other lies anywhere. */
static void scatter(struct heap *heap)
{
	heap->spare = NULL;
	for (size_t i = 0; i < heap->count; i++)
		heap->things[i].left = i;
	for (size_t i = heap->count; i-- > 1;) {
		size_t other = next_random(heap) % (i + 1);
		uint64_t kept = heap->things[i].left;
		heap->things[i].left = heap->things[other].left;
		heap->things[other].left = kept;
	}
	for (size_t i = 0; i < heap->count; i++) {
		struct thing *thing = &heap->things[heap->things[i].left];
		thing->next = heap->spare;
		heap->spare = thing;
	}
}

static void make(struct heap *heap)
{
	struct thing *recent[NEIGHBOURS] = {NULL};
	empty(&heap->all);
	for (size_t i = 0; i < heap->count; i++) {
		struct thing *thing = heap->spare;
		heap->spare = thing->next;
		thing->references = 0;
		thing->to[0] = recent[(i + NEIGHBOURS - 1) % NEIGHBOURS];
		thing->to[1] = recent[next_random(heap) % NEIGHBOURS];
		for (int k = 0; k < 2; k++) {
			if (thing->to[k] != NULL)
				thing->to[k]->references++;
		}
		for (size_t k = 0; k < PAYLOAD; k++)
			thing->payload[k] = i;
		append(&heap->all, thing);
		recent[i % NEIGHBOURS] = thing;
	}
}

/* Counts are copied, references within taken off, what nobody else holds is moved and freed. */
static void collect(struct heap *heap)
{
	for (struct thing *thing = heap->all.next; thing != &heap->all; thing = thing->next)
		thing->left = thing->references;
	for (struct thing *thing = heap->all.next; thing != &heap->all; thing = thing->next) {
		for (int i = 0; i < 2; i++) {
			if (thing->to[i] != NULL)
				thing->to[i]->left--;
		}
	}
	empty(&heap->garbage);
	for (struct thing *thing = heap->all.next, *next; thing != &heap->all; thing = next) {
		next = thing->next;
		if (thing->left == 0)
			append(&heap->garbage, thing);
		thing->payload[0]++;
	}
	for (struct thing *thing = heap->garbage.next, *next; thing != &heap->garbage;
	     thing = next) {
		next = thing->next;
		for (int i = 0; i < 2; i++) {
			if (thing->to[i] != NULL)
				thing->to[i]->references--;
		}
		thing->payload[PAYLOAD - 1] = 0;
		thing->next = heap->spare;
		heap->spare = thing;
	}
}

/* ns an object. */
static double measure(struct heap *heap)
{
	scatter(heap);
	make(heap);
	collect(heap);
	make(heap);
	double start = cpu_now_ns();
	collect(heap);
	return (cpu_now_ns() - start) / (double)heap->count;
}

static int by_size(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

/* The lower one of two in the middle: what others do for a moment makes it longer, never shorter. */
static double median(double *figures, unsigned count)
{
	qsort(figures, count, sizeof(*figures), by_size);
	return figures[(count - 1) / 2];
}

bool lt_gc_cache_measure(struct lt_gc_cache *ret_cache)
{
	static const size_t most = (size_t)LT_GC_CACHE_LEAST << (LT_GC_CACHE_SIZES - 1);
	struct heap heap = {.random = 88172645463325252u};
	double seen[LT_GC_CACHE_SIZES][PASSES], start = cpu_now_ns(), first = 0, last = 0;
	unsigned times[LT_GC_CACHE_SIZES] = {0};
	heap.things = malloc(most);
	if (heap.things == NULL)
		return false;
	for (int pass = 0; pass < PASSES; pass++) {
		for (int i = 0; i < LT_GC_CACHE_SIZES; i++) {
			if (times[i] > 0 && cpu_now_ns() - start > LONG_ENOUGH_NS)
				break;
			heap.count = ((size_t)LT_GC_CACHE_LEAST << i) / sizeof(struct thing);
			seen[i][times[i]++] = measure(&heap);
		}
		nanosleep(&(struct timespec){.tv_nsec = APART_NS}, NULL);
	}
	free(heap.things);
	for (int i = 0; i < LT_GC_CACHE_SIZES; i++) {
		double ns = median(seen[i], times[i]);
		first = i == 0 ? ns : first;
		last = fmax(ns - first, last);
		ret_cache->ns[i] = last;
	}
	return true;
}

double lt_gc_cache_ns(const struct lt_gc_cache *cache, double bytes)
{
	static const struct lt_gc_cache usual = {.ns = {0, 1, 8, 30, 80, 140, 180}};
	static const double further =
		0.1;                   /* more for each doubling: pages are not at hand either */
	static const double least = 5; /* what cannot be told from nothing */
	int last = LT_GC_CACHE_SIZES - 1;
	double ns[LT_GC_CACHE_SIZES];
	/* What is dearer than usual was so for the moment of the measurement: others had the caches. */
	for (int i = 0; i <= last; i++)
		ns[i] = cache->ns[last] > 0 ? fmin(cache->ns[i], fmax(usual.ns[i], least))
					    : usual.ns[i];
	double place = log2(bytes / LT_GC_CACHE_LEAST);
	if (!(place > 0))
		return 0;
	if (place >= last)
		return ns[last] * (1 + further * (place - last));
	int at = (int)place;
	return ns[at] + (ns[at + 1] - ns[at]) * (place - at);
}
