/* Growth that C code has: memory that no Python object explains, and objects that only C code refers to. */
#include "analysis/leaks_parts.h"

#include "base/cleanup.h"

#include <string.h>

enum {
	BYTES_MIN = 64 << 10,
	OBJECTS_MIN = 200,
	BYTES_GREAT = 1 << 20,
	BYTES_HUGE = 8 << 20,
	STACK_BYTES = 128 << 10, /* what a thread that waits may have touched of its stack */
};

/* Growth of anonymous memory is native when more than this share of it is no Python object's. */
static const double NATIVE_SHARE = 0.4;
/* Allocators take more than the objects have. */
static const double OVERHEAD = 1.5;

/* ---- Memory that no Python object explains ---- */

/* By how much each region got longer, and the one that did most; false when that is not known. */
static bool find_region(const struct lt_leaks *leaks, uint64_t grown[LT_REGION_COUNT],
			enum lt_region *ret_most)
{
	const uint64_t *first = leaks->looks[0].region_bytes;
	const uint64_t *last = leaks->looks[leaks->look_count - 1].region_bytes;
	/* All of a stack is mapped at once: it says little of what is used. */
	static const enum lt_region regions[] = {LT_REGION_HEAP, LT_REGION_ARENAS,
						 LT_REGION_ANONYMOUS};
	bool found = false;
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		enum lt_region region = regions[i];
		grown[region] = last[region] > first[region] ? last[region] - first[region] : 0;
		if (grown[region] > 0 && (!found || grown[region] > grown[*ret_most])) {
			*ret_most = region;
			found = true;
		}
	}
	/* What a snapshot file of before does not have. */
	return found && first[LT_REGION_ANONYMOUS] > 0;
}

/* In which mappings it is, as far as the looks have them. */
static void tell_region(struct lt_suspecting *suspecting, struct lt_finding *finding)
{
	static const struct {
		const char *where, *words, *fix, *evidence;
	} told[LT_REGION_COUNT] = {
		[LT_REGION_HEAP] =
			{"[heap]", "the heap of malloc ([heap])",
			 "They are many small blocks: look for what is allocated for each "
			 "call and never freed.",
			 "heap_growth_bytes"},
		[LT_REGION_ARENAS] =
			{"arenas of threads", "the arenas that malloc makes for threads",
			 "Try MALLOC_ARENA_MAX=2 first: when it stops, threads each kept "
			 "memory that was freed.",
			 "arena_growth_bytes"},
		[LT_REGION_ANONYMOUS] =
			{"anonymous mappings",
			 "mappings of their own (blocks of malloc from 128 KiB on, mmap, "
			 "the arenas of Python's objects)",
			 "They are big blocks: look for buffers that are not released.",
			 "mapping_growth_bytes"},
	};
	struct lt_findings *findings = &suspecting->findings;
	uint64_t grown[LT_REGION_COUNT] = {0};
	enum lt_region most = LT_REGION_HEAP;
	if (!find_region(suspecting->leaks, grown, &most))
		return;
	for (int region = 0; region < LT_REGION_COUNT; region++) {
		if (told[region].evidence != NULL)
			lt_finding_int(findings, finding, told[region].evidence, grown[region]);
	}
	finding->where = told[most].where;
	finding->explanation = lt_finding_format(
		findings, "%s Most of what was mapped meanwhile, %s, is in %s.",
		finding->explanation, lt_findings_bytes(findings, grown[most]), told[most].words);
	finding->fix = lt_finding_format(findings, "%s %s", told[most].fix, finding->fix);
}

static void native(struct lt_suspecting *suspecting)
{
	struct lt_leaks *leaks = suspecting->leaks;
	struct lt_findings *findings = &suspecting->findings;
	size_t last = leaks->look_count - 1;
	const struct lt_leaks_look *looks = leaks->looks;
	double total = 0, values[LT_LEAKS_LOOKS_MAX];
	values[0] = (double)looks[0].anonymous_bytes - (double)looks[0].bytes;
	for (size_t i = 0; i < last; i++) {
		const struct lt_leaks_look *from = &looks[i], *to = &looks[i + 1];
		if (from->anonymous_bytes == 0 || to->anonymous_bytes == 0)
			return;
		double step = (double)to->anonymous_bytes - (double)from->anonymous_bytes;
		double python = (double)to->bytes - (double)from->bytes;
		double threads = (double)to->threads - (double)from->threads;
		step -= (python > 0 ? python * OVERHEAD : python) +
			(threads > 0 ? threads * STACK_BYTES : 0);
		total += step;
		values[i + 1] = values[i] + step;
	}
	double grown = (double)looks[last].anonymous_bytes - (double)looks[0].anonymous_bytes;
	if (total < BYTES_GREAT || total < NATIVE_SHARE * grown)
		return;
	double steadiness = lt_leaks_steadiness(suspecting, values);
	uint64_t bytes = (uint64_t)total;
	enum lt_severity severity = LT_LOW;
	if (steadiness >= LT_LEAKS_STEADY)
		severity = bytes >= BYTES_HUGE && total >= 0.1 * (double)looks[last].anonymous_bytes
				   ? LT_HIGH
				   : LT_MEDIUM;
	struct lt_suspect *suspect = lt_suspect_begin(suspecting, "native-growth", severity, bytes);
	if (suspect == NULL)
		return;
	struct lt_finding *finding = &suspect->finding;
	uint64_t python =
		looks[last].bytes > looks[0].bytes ? looks[last].bytes - looks[0].bytes : 0;
	suspect->steadiness = steadiness;
	lt_finding_int(findings, finding, "anonymous_growth_bytes", (uint64_t)grown);
	lt_finding_int(findings, finding, "python_growth_bytes", python);
	lt_finding_int(findings, finding, "anonymous_bytes", looks[last].anonymous_bytes);
	finding->title =
		lt_finding_format(findings, "Memory grows that no Python object explains: +%s",
				  lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings,
		"Private memory grew by %s%s, Python objects and their buffers by %s. The rest was "
		"allocated by C code: a library that does not free, or memory that its allocator "
		"keeps.",
		lt_findings_bytes(findings, (uint64_t)grown), lt_leaks_window(suspecting),
		lt_findings_bytes(findings, python));
	finding->fix =
		"Look at what the C extensions are called for (a profile of malloc: heaptrack, "
		"bcc memleak); free or close what ctypes or a library handed out.";
	tell_region(suspecting, finding);
}

/* ---- Objects that only C code refers to ---- */

/* Bytes of all that C code holds, those known in each look; the first has what they held then. */
static double held_steadiness(const struct lt_suspecting *suspecting)
{
	const struct lt_growth_holders *holders = &suspecting->growth->holders;
	double values[LT_LEAKS_LOOKS_MAX] = {0};
	for (size_t i = 0; i < holders->count; i++) {
		for (size_t g = 0; g < suspecting->leaks->look_count; g++)
			values[g] +=
				(double)holders->data[i].before + (double)holders->data[i].known[g];
	}
	return lt_leaks_steadiness(suspecting, values);
}

/* What its place is called: the symbol without an offset into it. */
static const char *place(struct lt_findings *findings, const struct lt_growth_holder *holder)
{
	const char *name = holder->root->name != NULL ? holder->root->name : "";
	return lt_finding_format(findings, "%.*s", (int)strcspn(name, "+"), name);
}

static void name_holder(struct lt_suspecting *suspecting, const struct lt_growth_holder *holder,
			struct lt_finding *finding, const char *name)
{
	struct lt_findings *findings = &suspecting->findings;
	const char *library =
		lt_findings_library(findings, lt_picture_type(findings->picture, holder->sample));
	lt_finding_int(findings, finding, "held_growth_bytes", holder->bytes);
	lt_finding_int(findings, finding, "held_growth_objects", holder->objects);
	if (library[0] != '\0')
		lt_finding_string(findings, finding, "type_library", library);
	if (holder->root->kind == LT_ROOT_EXTERNAL) {
		lt_finding_near(findings, finding, holder->sample);
		finding->fix = lt_finding_format(
			findings,
			"Look for a missing Py_DECREF in the extension that handles %s, for a list "
			"of its own that it never empties, or for a type of it without "
			"tp_traverse.",
			name);
		return;
	}
	const char *where = place(findings, holder);
	lt_finding_string(findings, finding, "held_by", where);
	finding->where = where;
	finding->explanation =
		lt_finding_format(findings, "%s Most of them, %s in %s objects, %s keeps alive.",
				  finding->explanation, lt_findings_bytes(findings, holder->bytes),
				  lt_findings_count(findings, holder->objects), where);
	finding->fix = lt_finding_format(findings,
					 "Call what empties %s, or report to the authors of that "
					 "library that it has no bound.",
					 where);
}

static void from_c(struct lt_suspecting *suspecting)
{
	struct lt_findings *findings = &suspecting->findings;
	const struct lt_growth_holders *holders = &suspecting->growth->holders;
	uint64_t objects = 0, bytes = 0;
	for (size_t i = 0; i < holders->count; i++) {
		objects += holders->data[i].objects;
		bytes += holders->data[i].bytes;
	}
	if (bytes < BYTES_MIN || objects < OBJECTS_MIN)
		return;
	/* They may be new because others went: only what the whole heap grew by counts. */
	const struct lt_leaks *leaks = suspecting->leaks;
	uint64_t before = suspecting->generations[0].bytes;
	if (leaks->heap_bytes <= before)
		return;
	if (bytes > leaks->heap_bytes - before)
		bytes = leaks->heap_bytes - before;
	if (bytes < BYTES_MIN)
		return;
	double steadiness = held_steadiness(suspecting);
	enum lt_severity severity = LT_LOW;
	if (steadiness >= LT_LEAKS_STEADY)
		severity = bytes >= BYTES_GREAT ? LT_HIGH : LT_MEDIUM;
	const struct lt_growth_holder *most = &holders->data[0];
	uint32_t sample = most->sample;
	const struct lt_type *type = lt_picture_type(findings->picture, sample);
	struct lt_suspect *suspect =
		lt_suspect_begin(suspecting, "references-from-c", severity, bytes);
	if (suspect == NULL)
		return;
	struct lt_finding *finding = &suspect->finding;
	const char *name = type != NULL ? type->name : "object";
	if (type != NULL)
		suspect->type = lt_finding_format(findings, "%s.%s", type->module, type->name);
	suspect->growth_objects = objects;
	suspect->retained_bytes = bytes;
	suspect->share = lt_findings_share(findings, bytes);
	suspect->steadiness = steadiness;
	lt_finding_point(findings, finding, sample);
	finding->title =
		most->root->kind == LT_ROOT_EXTERNAL
			? lt_finding_format(findings,
					    "Objects that only C code refers to grow, such as %s: "
					    "+%s",
					    name, lt_findings_bytes(findings, bytes))
			: lt_finding_format(
				  findings, "%s holds more and more objects, such as %s: +%s",
				  place(findings, most), name, lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings,
		"%s new objects%s have more references than Python objects account for: C code "
		"holds them, or an extension type keeps them without a tp_traverse.",
		lt_findings_count(findings, objects), lt_leaks_window(suspecting));
	name_holder(suspecting, most, finding, name);
}

void lt_suspects_find_native(struct lt_suspecting *suspecting)
{
	if (suspecting->leaks->look_count < 2)
		return;
	native(suspecting);
	from_c(suspecting);
}
