/*
 * lt_disturb: a whole look at the heap of a small process, again and again, each time with another read
 * gone wrong or other bytes overwritten.
 *
 *     lt_disturb [--limit READS] [--stride N] [--identify READS] [--mutations N] [--only N] [--seed N] PID
 *
 * The process is frozen once and copied into an image; every look then reads the image. For each read
 * that an undisturbed look makes, in turn: the read fails, is short, or is torn. A look may then end with
 * an error or with another result, but it must not crash, and when a read failed or was short and the
 * result is another one, something must have been counted as unreadable (a warning will do where the
 * interpreter is only identified). --only tries that mutation alone. Prints JSON.
 */
#include "heap/heap.h"
#include "target/faults.h"
#include "target/freeze.h"
#include "target/image.h"

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum {
	IMAGE_MAX = 512 << 20, /* bytes of a target that is small */
	PIECE = 1 << 20,
	VIOLATIONS_MAX = 20,
	WORDS_MAX = 32, /* overwritten in one mutation */
};

struct read_range {
	lt_addr addr;
	size_t size;
};
LT_VEC(read_ranges, struct read_range);

/* Remembers what is read. */
struct recorder {
	struct lt_memory memory;
	struct lt_memory *under;    /* not owned */
	struct read_ranges *ranges; /* NULL: only pass on */
};

/* What a look came to. */
struct outcome {
	enum lt_status status;
	uint64_t unreadable;
	uint64_t warnings;
	uint64_t reads;
	uint64_t digest;
	uint64_t count, bytes, tracked;
	uint32_t nodes;
	uint64_t edges;
};

struct bench {
	struct lt_process *process;
	struct lt_memory *image;
	struct lt_python *python;
	bool identify;    /* a look is the search for the interpreter, not the heap */
	const char *what; /* for the words of a crash */
	uint64_t at;
	uint64_t slowest_ms; /* the look that took longest, and which it was */
	const char *slowest_what;
	uint64_t slowest_at;
	uint64_t peak_kib; /* VmHWM so far */
	const char *peak_what;
	uint64_t peak_at;
};

static struct bench bench;

static size_t read_recorder(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct recorder *recorder = (struct recorder *)memory;
	if (recorder->ranges != NULL)
		(void)!read_ranges_push(recorder->ranges, (struct read_range){addr, size});
	return lt_memory_probe(recorder->under, addr, buffer, size);
}

static void close_recorder(struct lt_memory *memory)
{
	free(memory);
}

static const struct lt_memory_ops recorder_ops = {read_recorder, close_recorder};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x9e3779b97f4a7c15u;
}

static enum lt_status look_at_heap(const struct lt_view *view, struct outcome *outcome)
{
	struct lt_heap *heap = NULL;
	struct lt_census census;
	struct lt_heap_graph graph;
	LT_TRY(lt_heap_open(view, &heap));
	enum lt_status status = lt_heap_census_tracked(heap, &census);
	if (status == LT_OK) {
		outcome->count = census.count;
		outcome->bytes = census.bytes;
		outcome->tracked = census.tracked;
		for (size_t i = 0; i < census.totals.count; i++) {
			const struct lt_type_total *total = &census.totals.data[i];
			/* A sum, since types of equal size may stand in any order. */
			outcome->digest +=
				mix(mix(total->type->address, total->count), total->bytes);
		}
		lt_census_deinit(&census);
		status = lt_heap_build_graph(heap, NULL, 0, NULL, &graph);
	}
	if (status == LT_OK) {
		outcome->nodes = graph.graph.node_count;
		outcome->edges = graph.graph.edge_count;
		outcome->digest =
			mix(mix(outcome->digest, graph.total_bytes), graph.graph.edge_count);
		outcome->digest = mix(outcome->digest, graph.graph.node_count);
		lt_heap_graph_deinit(&graph);
	}
	lt_heap_close(heap);
	return status;
}

static uint64_t vm_hwm_kib(void)
{
	char line[256];
	unsigned long long peak = 0;
	FILE *file = fopen("/proc/self/status", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmHWM: %llu kB", &peak) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return peak;
}

/* Keeps which look cost most: its time, and the memory that it needed. */
static void note_cost(uint64_t start)
{
	uint64_t ms = (lt_now_ns() - start) / 1000000;
	if (ms > bench.slowest_ms) {
		bench.slowest_ms = ms;
		bench.slowest_what = bench.what;
		bench.slowest_at = bench.at;
	}
	uint64_t peak = vm_hwm_kib();
	if (peak > bench.peak_kib + 1024) {
		bench.peak_kib = peak;
		bench.peak_what = bench.what;
		bench.peak_at = bench.at;
	}
}

/* One look through a fault; the memory of everything is given back. */
static struct outcome look(const struct lt_fault *fault, struct read_ranges *ranges)
{
	struct outcome outcome = {0};
	uint64_t start = lt_now_ns();
	struct lt_session session;
	lt_session_init(&session);
	struct lt_memory *faults = NULL;
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	if (recorder == NULL)
		abort();
	recorder->memory.ops = &recorder_ops;
	recorder->under = bench.image;
	recorder->ranges = ranges;
	if (lt_faults_create(&session, &recorder->memory, fault, &faults) != LT_OK)
		abort();
	if (bench.identify) {
		struct lt_python *python = NULL;
		outcome.status = lt_python_find(&session, bench.process, faults, &python);
		/* Whether the target's own offsets were used is no result: what they came to is. */
		if (outcome.status == LT_OK) {
			outcome.digest = mix(python->hex, python->runtime);
			for (size_t i = 0; i < LT_FIELD_COUNT; i++)
				outcome.digest =
					mix(outcome.digest, (uint64_t)python->layout->off[i]);
		}
		lt_python_close(python);
	} else {
		struct lt_view view = {&session, faults, bench.python, bench.python->layout,
				       bench.process};
		outcome.status = look_at_heap(&view, &outcome);
	}
	outcome.unreadable = session.unreadable + faults->short_reads;
	outcome.warnings = session.warning_count;
	outcome.reads = faults->reads;
	/* An error without a sentence helps nobody. */
	if (outcome.status != LT_OK && session.message[0] == '\0')
		abort();
	lt_memory_close(faults);
	lt_session_deinit(&session);
	note_cost(start);
	return outcome;
}

/* Says where it was before the program ends by the signal's default. */
static void on_crash(int number)
{
	char text[128];
	int length = snprintf(text, sizeof(text), "lt_disturb: signal %d at %s %llu\n", number,
			      bench.what, (unsigned long long)bench.at);
	(void)!write(STDERR_FILENO, text, (size_t)length);
	signal(number, SIG_DFL);
	raise(number);
}

static bool copy_mapping(struct lt_session *session, struct lt_memory *from,
			 const struct lt_mapping *mapping)
{
	unsigned char *buffer = malloc(PIECE);
	if (buffer == NULL)
		return false;
	bool good = true;
	for (lt_addr at = mapping->start; at < mapping->end && good; at += PIECE) {
		size_t want = mapping->end - at < PIECE ? (size_t)(mapping->end - at) : PIECE;
		size_t got = lt_memory_probe(from, at, buffer, want);
		if (got > 0)
			good = lt_image_add(session, bench.image, at, buffer, got) == LT_OK;
	}
	free(buffer);
	return good;
}

static enum lt_status take_image(struct lt_session *session, pid_t pid)
{
	struct lt_freeze *freeze = NULL;
	struct lt_memory *live = NULL;
	LT_TRY(lt_process_open(session, pid, &bench.process));
	LT_TRY(lt_process_memory(session, bench.process, &live));
	enum lt_status status = lt_python_find(session, bench.process, live, &bench.python);
	lt_memory_close(live);
	if (status != LT_OK)
		return status;
	struct lt_freeze_options options = {.mode = LT_MODE_FORK};
	LT_TRY(lt_freeze_begin(session, bench.process, NULL, &options, &freeze));
	status = lt_process_refresh(session, bench.process);
	if (status == LT_OK)
		status = lt_image_create(session, &bench.image);
	uint64_t size = 0;
	for (size_t i = 0; status == LT_OK && i < bench.process->mappings.count; i++) {
		const struct lt_mapping *mapping = &bench.process->mappings.data[i];
		size += mapping->end - mapping->start;
		if (!mapping->readable || strcmp(mapping->path, "[vvar]") == 0)
			continue;
		if (size > IMAGE_MAX)
			status = lt_fail(session, LT_E_USAGE,
					 "the target is too large to be copied");
		else if (!copy_mapping(session, freeze->memory, mapping))
			status = LT_E_NO_MEMORY;
	}
	lt_freeze_end(session, freeze);
	return status;
}

static const char *const kind_names[] = {"fail", "short", "tear", "hole"};

struct tally {
	uint64_t looks, refused, other, counted;
	json_t *violations;
};

static void weigh(struct tally *tally, const struct outcome *clean, const struct outcome *got,
		  bool must_count)
{
	tally->looks++;
	if (got->status != LT_OK) {
		tally->refused++;
		return;
	}
	bool same = got->digest == clean->digest && got->count == clean->count &&
		    got->bytes == clean->bytes;
	if (same)
		return;
	tally->other++;
	if (got->unreadable > clean->unreadable ||
	    (bench.identify && got->warnings > clean->warnings))
		tally->counted++;
	else if (must_count && json_array_size(tally->violations) < VIOLATIONS_MAX)
		json_array_append_new(
			tally->violations,
			json_pack("{sssIsIsIsIsIsIsI}", "kind", bench.what, "read",
				  (json_int_t)bench.at, "objects", (json_int_t)got->count, "of",
				  (json_int_t)clean->count, "nodes", (json_int_t)got->nodes,
				  "of_nodes", (json_int_t)clean->nodes, "edges",
				  (json_int_t)got->edges, "of_edges", (json_int_t)clean->edges));
}

static json_t *tally_json(struct tally *tally)
{
	return json_pack("{sIsIsIsIso}", "looks", (json_int_t)tally->looks, "refused",
			 (json_int_t)tally->refused, "other", (json_int_t)tally->other, "counted",
			 (json_int_t)tally->counted, "violations", tally->violations);
}

static json_t *try_reads(uint64_t limit, uint64_t stride, struct read_ranges *ranges)
{
	struct lt_fault none = {.at = 0};
	struct outcome clean = look(&none, ranges);
	json_t *result =
		json_pack("{sssIsIsIsIsI}", "status", lt_status_name(clean.status), "reads",
			  (json_int_t)clean.reads, "unreadable", (json_int_t)clean.unreadable,
			  "objects", (json_int_t)clean.count, "nodes", (json_int_t)clean.nodes,
			  "edges", (json_int_t)clean.edges);
	if (clean.status != LT_OK)
		return result;
	uint64_t last = clean.reads < limit ? clean.reads : limit;
	for (int kind = LT_FAULT_FAIL; kind <= LT_FAULT_HOLE; kind++) {
		struct tally tally = {.violations = json_array()};
		bench.what = kind_names[kind];
		for (uint64_t at = 1; at <= last; at += stride) {
			struct lt_fault fault = {
				.kind = (enum lt_fault_kind)kind, .at = at, .seed = at};
			bench.at = at;
			struct outcome got = look(&fault, NULL);
			weigh(&tally, &clean, &got, kind != LT_FAULT_TEAR);
		}
		json_object_set_new(result, kind_names[kind], tally_json(&tally));
	}
	/* From some read on, every fifth one fails: what is met first does not hide what comes later. */
	struct tally tally = {.violations = json_array()};
	bench.what = "every";
	for (uint64_t at = 1; at <= last; at += last / 40 + 1) {
		struct lt_fault fault = {.kind = LT_FAULT_FAIL, .at = at, .every = 5, .seed = at};
		bench.at = at;
		struct outcome got = look(&fault, NULL);
		weigh(&tally, &clean, &got, true);
	}
	json_object_set_new(result, "every", tally_json(&tally));
	return result;
}

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 17;
}

static uint64_t hostile_word(uint64_t old, const struct read_ranges *ranges)
{
	switch (next_random() % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return next_random() % 256;
	case 3:
		return old ^ (uint64_t)1 << next_random() % 64;
	case 4:
		return old + 8 * (next_random() % 64);
	case 5:
		return INT64_MAX - next_random() % 4096;
	default:
		/* An address that is there: the most plausible lie. */
		return ranges->data[next_random() % ranges->count].addr + 8 * (next_random() % 512);
	}
}

/* Overwrites words of what an undisturbed look reads, looks, and puts them back. */
static json_t *try_bytes(uint64_t mutations, uint64_t only, const struct read_ranges *ranges)
{
	struct lt_fault none = {.at = 0};
	struct outcome clean = look(&none, NULL);
	struct tally tally = {.violations = json_array()};
	bench.what = "mutation";
	for (uint64_t i = 0; i < mutations && ranges->count > 0; i++) {
		uint64_t *places[WORDS_MAX], old[WORDS_MAX];
		size_t count = 0, wanted = 1 + next_random() % WORDS_MAX;
		bench.at = i;
		for (size_t tries = 0; count < wanted && tries < 4 * WORDS_MAX; tries++) {
			const struct read_range *range =
				&ranges->data[next_random() % ranges->count];
			lt_addr addr = (range->addr + next_random() % range->size) & ~(lt_addr)7;
			uint64_t *place = lt_image_at(bench.image, addr, 8);
			if (place == NULL)
				continue;
			places[count] = place;
			old[count++] = *place;
			*place = hostile_word(*place, ranges);
		}
		if (only == UINT64_MAX || only == i) {
			struct outcome got = look(&none, NULL);
			weigh(&tally, &clean, &got, false);
		}
		while (count > 0) {
			count--;
			*places[count] = old[count];
		}
	}
	return tally_json(&tally);
}

int main(int argc, char **argv)
{
	uint64_t limit = 5000, stride = 1, identify = 200, mutations = 0, only = UINT64_MAX;
	pid_t pid = 0;
	for (int i = 1; i < argc; i++) {
		const struct {
			const char *name;
			uint64_t *value;
		} numbers[] = {{"--only", &only},           {"--limit", &limit},
			       {"--stride", &stride},       {"--identify", &identify},
			       {"--mutations", &mutations}, {"--seed", &random_state}};
		uint64_t *value = NULL;
		for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
			if (strcmp(argv[i], numbers[k].name) == 0)
				value = numbers[k].value;
		if (value != NULL && i + 1 < argc)
			*value = strtoull(argv[++i], NULL, 10);
		else
			pid = (pid_t)atoi(argv[i]);
	}
	if (pid <= 0 || stride == 0) {
		fprintf(stderr, "usage: lt_disturb [--limit READS] [--stride N] [--mutations N] "
				"[--seed N] PID\n");
		return 2;
	}
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGALRM, SIGTERM};
	bench.what = "start";
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
		signal(crashes[i], on_crash);
	struct lt_session session;
	lt_session_init(&session);
	enum lt_status status = take_image(&session, pid);
	if (status != LT_OK) {
		fprintf(stderr, "lt_disturb: %s: %s\n", lt_status_name(status), session.message);
		return lt_status_exit_code(status);
	}
	struct read_ranges ranges = {0};
	struct lt_fault none = {.at = 0};
	(void)look(&none, NULL);
	json_t *result = json_object();
	json_object_set_new(result, "version", json_string(bench.python->version));
	json_object_set_new(result, "first_kib", json_integer((json_int_t)vm_hwm_kib()));
	json_object_set_new(result, "heap", try_reads(limit, stride, &ranges));
	if (mutations > 0)
		json_object_set_new(result, "mutations", try_bytes(mutations, only, &ranges));
	bench.identify = true;
	json_object_set_new(result, "identify", try_reads(identify, 1, NULL));
	json_object_set_new(result, "peak_kib", json_integer((json_int_t)vm_hwm_kib()));
	json_object_set_new(result, "slowest",
			    json_pack("{sIsssI}", "ms", (json_int_t)bench.slowest_ms, "kind",
				      bench.slowest_what, "at", (json_int_t)bench.slowest_at));
	json_object_set_new(result, "hungriest",
			    json_pack("{sIsssI}", "kib", (json_int_t)bench.peak_kib, "kind",
				      bench.peak_what, "at", (json_int_t)bench.peak_at));
	json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(result);
	read_ranges_deinit(&ranges);
	lt_memory_close(bench.image);
	lt_python_close(bench.python);
	lt_process_close(bench.process);
	lt_session_deinit(&session);
	return 0;
}
