/*
 * graph_oracle: checks what lt_graph says by other methods, which share no code with lowtide.
 *
 *     graph_oracle DELETIONS < FILE
 *
 * - Every immediate dominator by the iterative method of Cooper, Harvey and Kennedy over reverse postorder.
 * - Retained sizes and the dominator tree by deletion: what the roots no longer reach without a node is
 *   just what lies below it in the tree. DELETIONS nodes spread over all of them, all of them when the
 *   graph is small.
 * - Strongly connected components by two depth-first walks (Kosaraju).
 *
 * One line: nodes, edges, reached nodes, deletions done, and of each check how many nodes differ. Exit code
 * 1 when any does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = UINT32_MAX };

static uint32_t nodes, roots_count;
static uint64_t edges;
static uint32_t *to, *roots, *degree, *dominator, *component;
static uint64_t *size, *retained, *first, *before_first;
static uint32_t *before; /* predecessors */

static void *block(size_t count, size_t width)
{
	void *made = calloc(count + 1, width);
	if (made == NULL)
		exit(70);
	return made;
}

static void *taken(size_t count, size_t width)
{
	void *made = block(count, width);
	if (fread(made, width, count, stdin) != count) {
		fprintf(stderr, "the file is too short\n");
		exit(2);
	}
	return made;
}

static void read_file(void)
{
	uint64_t *head = taken(4, sizeof(*head));
	nodes = (uint32_t)head[0];
	edges = head[1];
	roots_count = (uint32_t)head[2];
	to = taken(edges, sizeof(*to));
	roots = taken(roots_count, sizeof(*roots));
	degree = taken(nodes, sizeof(*degree));
	dominator = taken(nodes, sizeof(*dominator));
	component = taken(nodes, sizeof(*component));
	free(taken(nodes, sizeof(uint32_t)));
	free(taken(nodes, sizeof(uint32_t)));
	size = taken(nodes, sizeof(*size));
	retained = taken(nodes, sizeof(*retained));
	free(head);
	first = block(nodes, sizeof(*first));
	before_first = block((size_t)nodes + 2, sizeof(*before_first));
	before = block(edges, sizeof(*before));
	for (uint32_t v = 0; v < nodes; v++)
		first[v + 1] = first[v] + degree[v];
	/* Counts two places further on, so that filling leaves the starts where they belong. */
	for (uint64_t e = 0; e < edges; e++)
		before_first[(size_t)to[e] + 2]++;
	for (uint32_t v = 1; v <= nodes; v++)
		before_first[v + 1] += before_first[v];
	for (uint32_t v = 0; v < nodes; v++)
		for (uint64_t e = first[v]; e < first[v + 1]; e++)
			before[before_first[to[e] + 1]++] = v;
}

/* Postorder of what `from` reaches by `row`/`target`, appended to list; `seen` marks. Returns the new count. */
static uint32_t postorder(uint32_t from, const uint64_t *row, const uint32_t *target, uint8_t *seen,
			  uint32_t *list, uint32_t count)
{
	static uint32_t *stack;
	static uint64_t *at;
	if (stack == NULL) {
		stack = block(nodes, sizeof(*stack));
		at = block(nodes, sizeof(*at));
	}
	uint32_t depth = 1;
	stack[0] = from;
	at[0] = row[from];
	seen[from] = 1;
	while (depth > 0) {
		uint32_t v = stack[depth - 1];
		if (at[depth - 1] == row[v + 1]) {
			list[count++] = v;
			depth--;
			continue;
		}
		uint32_t next = target[at[depth - 1]++];
		if (!seen[next]) {
			seen[next] = 1;
			stack[depth] = next;
			at[depth++] = row[next];
		}
	}
	return count;
}

/* Cooper, Harvey, Kennedy. Numbers are places in reverse postorder from 1; 0 is above all roots. */
static uint32_t check_dominators(uint32_t *ret_reached)
{
	uint8_t *seen = block(nodes, 1), *is_root = block(nodes, 1);
	uint32_t *post = block(nodes, sizeof(*post)), *place = block(nodes, sizeof(*place));
	uint32_t count = 0;
	for (uint32_t r = 0; r < roots_count; r++) {
		if (roots[r] >= nodes)
			continue;
		is_root[roots[r]] = 1;
		if (!seen[roots[r]])
			count = postorder(roots[r], first, to, seen, post, count);
	}
	uint32_t *order = block(count, sizeof(*order)), *up = block(count, sizeof(*up));
	for (uint32_t i = 0; i < count; i++) {
		order[count - i] = post[i];
		place[post[i]] = count - i;
	}
	for (uint32_t i = 1; i <= count; i++)
		up[i] = NONE;
	up[0] = 0;
	for (int changed = 1; changed;) {
		changed = 0;
		for (uint32_t i = 1; i <= count; i++) {
			uint32_t v = order[i], best = is_root[v] ? 0 : NONE;
			for (uint64_t e = before_first[v]; e < before_first[v + 1]; e++) {
				uint32_t other = place[before[e]];
				if (other == 0 || up[other] == NONE)
					continue;
				if (best == NONE) {
					best = other;
					continue;
				}
				while (best != other) {
					while (other > best)
						other = up[other];
					while (best > other)
						best = up[best];
				}
			}
			if (best != up[i]) {
				up[i] = best;
				changed = 1;
			}
		}
	}
	uint32_t wrong = 0;
	for (uint32_t v = 0; v < nodes; v++) {
		uint32_t expected = NONE;
		if (place[v] != 0 && up[place[v]] != 0)
			expected = order[up[place[v]]];
		wrong += dominator[v] != expected;
	}
	*ret_reached = count;
	free(seen);
	free(is_root);
	free(post);
	free(place);
	free(order);
	free(up);
	return wrong;
}

/* Marks what the roots reach without `removed`; returns how many. */
static uint32_t reach(uint32_t removed, uint32_t *seen, uint32_t mark, uint32_t *stack)
{
	uint32_t depth = 0, count = 0;
	for (uint32_t r = 0; r < roots_count; r++) {
		if (roots[r] < nodes && roots[r] != removed && seen[roots[r]] != mark) {
			seen[roots[r]] = mark;
			stack[depth++] = roots[r];
		}
	}
	while (depth > 0) {
		uint32_t v = stack[--depth];
		count++;
		for (uint64_t e = first[v]; e < first[v + 1]; e++) {
			if (to[e] != removed && seen[to[e]] != mark) {
				seen[to[e]] = mark;
				stack[depth++] = to[e];
			}
		}
	}
	return count;
}

static uint32_t check_deletions(uint32_t wanted, uint32_t *ret_done)
{
	uint32_t *seen = block(nodes, sizeof(*seen)), *stack = block(nodes, sizeof(*stack));
	uint32_t *all = block(nodes, sizeof(*all));
	uint32_t reached = reach(NONE, all, 1, stack);
	uint32_t step = wanted == 0 || nodes <= wanted ? 1 : nodes / wanted;
	uint32_t wrong = 0, mark = 0, done = 0;
	for (uint32_t u = 0; u < nodes; u += step) {
		if (all[u] == 0)
			continue;
		done++;
		uint32_t left = reach(u, seen, ++mark, stack);
		uint64_t lost = 0;
		int agrees = left < reached;
		for (uint32_t v = 0; v < nodes; v++) {
			if (all[v] == 0 || seen[v] == mark)
				continue;
			lost += size[v];
			/* It must lie below u: its way up in the tree meets u or another lost node first. */
			agrees &= v == u || (dominator[v] != NONE && seen[dominator[v]] != mark);
		}
		wrong += !agrees || lost != retained[u];
	}
	free(seen);
	free(stack);
	free(all);
	*ret_done = done;
	return wrong;
}

/* Each node of a component of ours must have the component number that its first node has, and nobody else. */
static uint32_t check_components(void)
{
	uint8_t *seen = block(nodes, 1);
	uint32_t *post = block(nodes, sizeof(*post)), *members = block(nodes, sizeof(*members));
	uint32_t *used = block(nodes, sizeof(*used));
	uint32_t count = 0, wrong = 0;
	for (uint32_t v = 0; v < nodes; v++) {
		if (!seen[v])
			count = postorder(v, first, to, seen, post, count);
	}
	memset(seen, 0, nodes);
	while (count > 0) {
		uint32_t v = post[--count];
		if (seen[v])
			continue;
		uint32_t found = postorder(v, before_first, before, seen, members, 0);
		for (uint32_t i = 0; i < found; i++)
			wrong += component[members[i]] != component[v];
		wrong += component[v] >= nodes || used[component[v]]++ != 0;
	}
	free(seen);
	free(post);
	free(members);
	free(used);
	return wrong;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	read_file();
	uint32_t reached = 0, done = 0;
	uint32_t dominators = check_dominators(&reached);
	uint32_t deletions = check_deletions((uint32_t)strtoul(argv[1], NULL, 10), &done);
	uint32_t components = check_components();
	printf("{\"nodes\": %u, \"edges\": %llu, \"reached\": %u, \"deleted\": %u, \"dominators\": "
	       "%u, "
	       "\"retained\": %u, \"components\": %u}\n",
	       nodes, (unsigned long long)edges, reached, done, dominators, deletions, components);
	free(to);
	free(roots);
	free(degree);
	free(dominator);
	free(component);
	free(size);
	free(retained);
	free(first);
	free(before_first);
	free(before);
	return dominators + deletions + components > 0;
}
