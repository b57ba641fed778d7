/*
 * mark.c: what seeds reach. Of a large graph two threads mark: each goes its own way, and one that has nothing left is
 * given half of what the other has still to follow. Both may come to a node at once; then both follow it.
 */
#include "base/cleanup.h"
#include "base/thread.h"
#include "base/vec.h"
#include "graph/graph_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
	MANY = 1 << 20,  /* nodes from which on a second thread is worth its start */
	GIVEN_MIN = 128, /* nodes that one has to follow before it gives some away */
	STEPS = 64,      /* nodes from one look at the other to the next */
};

LT_VEC(stack, uint32_t);

struct marking {
	const struct lt_graph *graph;
	uint8_t *reached;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct stack given; /* from one to the other; with the lock, as what follows */
	unsigned waiting;
	bool ended, no_memory;
	bool is_wanted; /* someone waits for more; read without the lock */
	uint32_t steps; /* see STEPS */
	uint32_t given_min;
};

static bool follow(const struct marking *marking, uint32_t node, struct stack *stack)
{
	struct lt_row row = lt_row(&marking->graph->out, node);
	for (const uint32_t *to = row.begin; to < row.end; to++) {
		if (__atomic_load_n(&marking->reached[*to], __ATOMIC_RELAXED) != 0)
			continue;
		__atomic_store_n(&marking->reached[*to], 1, __ATOMIC_RELAXED);
		if (!stack_push(stack, *to))
			return false;
	}
	return true;
}

/* The older half of the stack: it leads to more than the younger one. */
static bool give(struct marking *marking, struct stack *stack)
{
	size_t half = stack->count / 2;
	bool memory = true;
	pthread_mutex_lock(&marking->lock);
	if (marking->is_wanted && marking->given.count == 0) {
		memory = stack_reserve(&marking->given, half);
		if (memory) {
			memcpy(marking->given.data, stack->data, half * sizeof(*stack->data));
			marking->given.count = half;
			stack->count -= half;
			memmove(stack->data, stack->data + half,
				stack->count * sizeof(*stack->data));
			__atomic_store_n(&marking->is_wanted, false, __ATOMIC_RELAXED);
			pthread_cond_broadcast(&marking->changed);
		}
	}
	pthread_mutex_unlock(&marking->lock);
	return memory;
}

/* Waits for more to follow. False: all is marked, or there is no memory. */
static bool take_more(struct marking *marking, struct stack *stack)
{
	pthread_mutex_lock(&marking->lock);
	if (++marking->waiting == 2 && marking->given.count == 0)
		marking->ended = true;
	__atomic_store_n(&marking->is_wanted, marking->given.count == 0, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&marking->changed);
	while (!marking->ended && marking->given.count == 0)
		pthread_cond_wait(&marking->changed, &marking->lock);
	bool more = !marking->ended;
	if (more) {
		struct stack taken = marking->given;
		marking->given = *stack;
		*stack = taken;
		marking->waiting--;
		__atomic_store_n(&marking->is_wanted, marking->waiting > 0, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&marking->lock);
	return more;
}

static void end(struct marking *marking)
{
	pthread_mutex_lock(&marking->lock);
	marking->no_memory = marking->ended = true;
	pthread_cond_broadcast(&marking->changed);
	pthread_mutex_unlock(&marking->lock);
}

static void mark(struct marking *marking, struct stack *stack)
{
	uint32_t left =
		marking->steps; /* a division for each node would take as long as following it */
	do {
		while (stack->count > 0) {
			bool memory = follow(marking, stack->data[--stack->count], stack);
			if (--left == 0) {
				left = marking->steps;
				if (memory && stack->count >= marking->given_min &&
				    __atomic_load_n(&marking->is_wanted, __ATOMIC_RELAXED))
					memory = give(marking, stack);
			}
			if (!memory) {
				end(marking);
				return;
			}
		}
	} while (take_more(marking, stack));
}

static void *work(void *ctx)
{
	LT_CLEANUP(stack_deinit) struct stack stack = {0};
	struct marking *marking = ctx;
	if (take_more(marking, &stack))
		mark(marking, &stack);
	return NULL;
}

static bool push_seed(const struct marking *marking, uint32_t seed, struct stack *stack)
{
	if (seed >= marking->graph->node_count || marking->reached[seed] != 0)
		return true;
	marking->reached[seed] = 1;
	return stack_push(stack, seed);
}

/* What the seeds on the stack reach, by this thread. */
static bool mark_alone(const struct marking *marking, struct stack *stack)
{
	while (stack->count > 0) {
		if (!follow(marking, stack->data[--stack->count], stack))
			return false;
	}
	return true;
}

/* The same, by two threads. */
static bool mark_by_two(struct marking *marking, struct stack *stack)
{
	pthread_t thread;
	if (!lt_thread_start(&thread, work, marking))
		return mark_alone(marking, stack);
	mark(marking, stack);
	pthread_join(thread, NULL);
	return !marking->no_memory;
}

enum lt_status lt_graph_mark_with(struct lt_session *session, const struct lt_graph *graph,
				  const uint32_t *seeds, size_t seed_count, uint8_t *reached,
				  const struct lt_marking_limits *limits)
{
	struct marking marking = {.graph = graph,
				  .reached = reached,
				  .lock = PTHREAD_MUTEX_INITIALIZER,
				  .changed = PTHREAD_COND_INITIALIZER,
				  .steps = limits->steps,
				  .given_min = limits->given_min};
	LT_CLEANUP(stack_deinit) struct stack stack = {0};
	bool memory = true;
	for (size_t s = 0; s < seed_count && memory; s++)
		memory = push_seed(&marking, seeds[s], &stack);
	if (memory)
		memory = graph->node_count >= limits->many && stack.count > 0
				 ? mark_by_two(&marking, &stack)
				 : mark_alone(&marking, &stack);
	stack_deinit(&marking.given);
	return memory ? LT_OK : lt_fail_memory(session);
}

enum lt_status lt_graph_mark(struct lt_session *session, const struct lt_graph *graph,
			     const uint32_t *seeds, size_t seed_count, uint8_t *reached)
{
	static const struct lt_marking_limits limits = {
		.many = MANY, .given_min = GIVEN_MIN, .steps = STEPS};
	return lt_graph_mark_with(session, graph, seeds, seed_count, reached, &limits);
}

enum lt_status lt_graph_mark_held(struct lt_session *session, const struct lt_graph *graph,
				  const int64_t *external, uint8_t *reached)
{
	const struct marking marking = {.graph = graph, .reached = reached};
	LT_CLEANUP(stack_deinit) struct stack stack = {0};
	for (uint32_t node = 0; node < graph->node_count; node++) {
		if (external[node] > 0 &&
		    (!push_seed(&marking, node, &stack) || !mark_alone(&marking, &stack)))
			return lt_fail_memory(session);
	}
	return LT_OK;
}
