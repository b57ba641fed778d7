/*
 * graph_scale: time and memory of the graph work on a made-up heap.
 *
 *     graph_scale NODES
 *
 * The heap is of records of eight objects each: an instance, its dict, a list, a tuple and four values;
 * records form a tree, know their class, share strings, and some lie in cycles, in a long chain or in
 * garbage. 2.5 references an object. One line of JSON: seconds of each step and the most memory that was
 * resident in it beyond that of the bare program, and the processor's seconds that copying and sorting as
 * many words take here.
 */
#include "base/cleanup.h"
#include "graph/graph.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RECORD = 8,
	CLASSES = 32, /* records that stand for classes and their names */
	NEAR = 1 << 10,
	FAR = 1 << 14,
	TOP = 100,
};

static double seconds_of(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/*
 * Where the record that is made as number `record` lies: somewhere near, and one in eight farther away, as
 * allocators place things. Two records change places: twice is where it began.
 */
static uint32_t placed(uint32_t record, uint32_t records)
{
	uint32_t window = record % 8 == 0 ? FAR : NEAR;
	uint32_t there = record ^ ((uint32_t)(mixed(record / window) % window) & ~(uint32_t)7);
	return there < records && record >= FAR ? there : record;
}

/* Successors of one node. */
static size_t row_of(uint32_t node, uint32_t records, uint32_t *row)
{
	uint32_t record = node / RECORD, base = record * RECORD;
	uint32_t made = placed(record, records);
	uint64_t chance = mixed(node);
	uint32_t anywhere = (uint32_t)(chance % records) * RECORD;
	uint32_t shared = (uint32_t)((chance >> 20) % (records / 64 + 1)) * RECORD * 64;
	size_t count = 0;
	if (record < CLASSES)
		return 0;
	switch (node % RECORD) {
	case 0: /* instance */
		row[count++] = (made % CLASSES) * RECORD;
		row[count++] = base + 1;
		break;
	case 1: /* dict: three keys that all share, four values */
		row[count++] = (made % CLASSES) * RECORD + 1;
		row[count++] = (made % CLASSES) * RECORD + 2;
		row[count++] = (made % CLASSES) * RECORD + 3;
		row[count++] = base + 2;
		row[count++] = base + 3;
		row[count++] = base + 4;
		row[count++] = base + 5;
		break;
	case 4: /* list: values, a string used by many, back to the instance or to any other */
		row[count++] = base + 6;
		row[count++] = base + 7;
		row[count++] = shared + 2;
		row[count++] = chance % 4 == 0 ? anywhere : base;
		if (made % 64 == 0 && made + 64 < records)
			row[count++] = placed(made + 64, records) * RECORD;
		break;
	case 5: /* tuple: the records below this one, and another string */
		for (uint32_t child = 1; child <= 4; child++) {
			uint64_t below = (uint64_t)(made - CLASSES) * 4 + child + CLASSES;
			if (below < records && mixed(below) % 100 != 0)
				row[count++] = placed((uint32_t)below, records) * RECORD;
		}
		row[count++] = shared + 3;
		row[count++] = base + 6;
		row[count++] = base + 2;
		row[count++] = (made % CLASSES) * RECORD + 4;
		row[count++] = (made % CLASSES) * RECORD + 5;
		row[count++] = base;
		break;
	default:
		break;
	}
	return count;
}

static uint64_t size_of(void *ctx, uint32_t node)
{
	(void)ctx;
	return 32 + mixed(node) % 8 * 16;
}

static uint64_t peak_bytes(void)
{
	LT_FCLOSE FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t kib = 0;
	while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
		if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
			break;
	}
	return kib * 1024;
}

/* The peak begins anew. */
static void reset_peak(void)
{
	LT_CLOSE int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "5", 1) != 1)
		fprintf(stderr, "no peak of single steps here\n");
}

static double begun, begun_cpu;
static uint64_t base_bytes;

static void begin(void)
{
	reset_peak();
	begun = seconds_of(CLOCK_MONOTONIC);
	begun_cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void end(const char *name)
{
	double seconds = seconds_of(CLOCK_MONOTONIC) - begun;
	double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - begun_cpu;
	uint64_t peak = peak_bytes();
	printf("\"%s\": {\"seconds\": %.4f, \"cpu_seconds\": %.4f, \"peak_bytes\": %" PRIu64 "}, ",
	       name, seconds, cpu, peak > base_bytes ? peak - base_bytes : 0);
	fflush(stdout);
}

static void check(enum lt_status status, const struct lt_session *session)
{
	if (status == LT_OK)
		return;
	fprintf(stderr, "%s\n", session->message);
	exit(lt_status_exit_code(status));
}

static void need(const void *block)
{
	if (block == NULL) {
		fprintf(stderr, "no memory\n");
		exit(70);
	}
}

static int by_value(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return (a > b) - (a < b);
}

/* What the machine can do: copies and sorts of one word for each node and edge. */
static void measure_machine(size_t words)
{
	LT_FREE uint32_t *from = malloc(words * sizeof(*from));
	LT_FREE uint32_t *to = malloc(words * sizeof(*to));
	need(from);
	need(to);
	for (size_t i = 0; i < words; i++)
		from[i] = (uint32_t)mixed(i);
	memset(to, 1, words * sizeof(*to));
	double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	memcpy(to, from, words * sizeof(*to));
	double copied = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	qsort(to, words, sizeof(*to), by_value);
	double sorted = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	printf("\"copy_seconds\": %.4f, \"sort_seconds\": %.4f, ", copied - start, sorted - copied);
}

/* The nodes that retain most: a heap of TOP entries, as a list of suspects begins. */
static uint64_t top_list(const struct lt_graph *graph, const uint64_t *retained,
			 const uint32_t *dominator)
{
	uint32_t top[TOP];
	size_t count = 0;
	for (uint32_t node = 0; node < graph->node_count; node++) {
		if (count == TOP && retained[node] <= retained[top[TOP - 1]])
			continue;
		size_t at = count < TOP ? count++ : TOP - 1;
		while (at > 0 && retained[top[at - 1]] < retained[node]) {
			top[at] = top[at - 1];
			at--;
		}
		top[at] = node;
	}
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		for (uint32_t up = top[i]; up != LT_GRAPH_NONE; up = dominator[up])
			sum += retained[up] % 1000;
	}
	return sum;
}

int main(int argc, char **argv)
{
	uint32_t records = argc == 2 ? (uint32_t)(strtoul(argv[1], NULL, 10) / RECORD) : 0;
	if (records < CLASSES || records > UINT32_MAX / RECORD / 2) {
		fprintf(stderr, "usage: graph_scale NODES\n");
		return 2;
	}
	struct lt_session session;
	lt_session_init(&session);
	base_bytes = peak_bytes();
	uint32_t nodes = records * RECORD;
	printf("{");

	begin();
	struct lt_graph_builder *builder = NULL;
	check(lt_graph_builder_create(&session, &builder), &session);
	for (uint32_t node = 0; node < nodes; node++) {
		uint32_t row[16];
		check(lt_graph_builder_row(builder, row, row_of(node, records, row)), &session);
	}
	struct lt_graph graph = {0};
	check(lt_graph_builder_finish(builder, &graph), &session);
	/* What a picture keeps of each node beside the graph: type, size, flags, its share of the addresses. */
	enum { FACTS = 4 + 2 + 1 + 2 };
	LT_FREE uint8_t *facts = malloc((size_t)nodes * FACTS);
	LT_FREE uint8_t *alive = calloc(nodes, 1);
	need(facts);
	need(alive);
	memset(facts, 1, (size_t)nodes * FACTS);
	end("build");

	enum { ROOTS = 300 };
	uint32_t roots[ROOTS];
	uint8_t start[ROOTS];
	for (uint32_t r = 0; r < ROOTS; r++) {
		start[r] = (uint8_t)r;
		roots[r] = r < CLASSES    ? r * RECORD
			   : r == CLASSES ? placed(CLASSES, records) * RECORD
					  : (uint32_t)(mixed(r) % nodes);
	}

	begin();
	check(lt_graph_mark(&session, &graph, roots, ROOTS, alive), &session);
	end("mark");

	begin();
	uint32_t *component = NULL, components = 0;
	check(lt_graph_components(&session, &graph, &component, &components), &session);
	free(component);
	end("loops");

	begin();
	check(lt_graph_reverse(&session, &graph), &session);
	end("reverse");
	free(graph.in.first);
	free(graph.in.target);
	graph.in = (struct lt_rows){0};

	begin();
	LT_FREE uint8_t *leave = malloc(nodes);
	need(leave);
	for (uint32_t node = 0; node < nodes; node++)
		leave[node] = (uint8_t)(node % 16);
	LT_FREE uint32_t *parent = NULL;
	uint32_t *distance = NULL;
	check(lt_graph_cheapest(&session, &graph, roots, start, ROOTS, NULL, leave, &parent,
				&distance),
	      &session);
	free(distance);
	free(LT_TAKE(leave));
	end("ways");

	uint64_t edges = graph.edge_count;
	begin();
	LT_CLEANUP(lt_dominators_deinit) struct lt_dominators dominators = {0};
	check(lt_graph_dominators(&session, &graph, roots, ROOTS, &dominators), &session);
	end("dominators");

	begin();
	LT_FREE uint64_t *retained = NULL;
	check(lt_graph_retained(&session, &graph, &dominators, size_of, NULL, &retained), &session);
	end("retained");

	begin();
	uint64_t sum = top_list(&graph, retained, dominators.dominator);
	end("suspects");

	uint32_t reachable = dominators.reachable;
	lt_dominators_deinit(&dominators);
	free(LT_TAKE(retained));
	free(LT_TAKE(parent));
	free(LT_TAKE(facts));
	free(LT_TAKE(alive));
	measure_machine((size_t)nodes + edges);
	printf("\"nodes\": %" PRIu32 ", \"edges\": %" PRIu64 ", \"reachable\": %" PRIu32
	       ", \"components\": %" PRIu32 ", \"check\": %" PRIu64 "}\n",
	       nodes, edges, reachable, components, sum);
	lt_graph_deinit(&graph);
	lt_session_deinit(&session);
	return 0;
}
