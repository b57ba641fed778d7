/* Growth that piles up in no object: cyclic garbage, memory of C code, objects that only C code refers to. */
#include "analysis/leaks_parts.h"

#include "analysis/subject.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	BYTES_MIN = 64 << 10,
	OBJECTS_MIN = 200,
	BYTES_GREAT = 1 << 20,
	BYTES_HUGE = 8 << 20,
	BASES_MAX = 64,
	THRESHOLD_HIGH = 100000,
	STACK_BYTES = 128 << 10, /* what a thread that waits may have touched of its stack */
};

/* Growth of anonymous memory is native when more than this share of it is no Python object's. */
static const double NATIVE_SHARE = 0.4;
/* Allocators take more than the objects have. */
static const double OVERHEAD = 1.5;

static struct lt_suspect *push(struct lt_suspecting *suspecting, const char *kind,
			       enum lt_severity severity, uint64_t bytes)
{
	struct lt_findings *findings = &suspecting->findings;
	struct lt_finding *finding = lt_finding_begin(findings, kind, severity, (double)bytes);
	struct lt_suspect suspect = {.type = "", .growth_bytes = bytes, .steadiness = 1};
	if (finding == NULL)
		return NULL;
	suspect.finding = *finding;
	findings->list.count = 0;
	if (suspecting->seconds > 0)
		suspect.bytes_per_second = (double)bytes / suspecting->seconds;
	if (!lt_suspects_push(&suspecting->list, suspect)) {
		findings->failed = true;
		return NULL;
	}
	return &suspecting->list.data[suspecting->list.count - 1];
}

static const char *window(struct lt_suspecting *suspecting)
{
	return suspecting->seconds > 0
		       ? lt_finding_format(&suspecting->findings, " in %.0f s", suspecting->seconds)
		       : "";
}

/* ---- Cyclic garbage ---- */

/* The namespace of a class has that name, or that of one of its bases has. */
static bool defines(struct lt_suspecting *suspecting, const struct lt_type *type, const char *name)
{
	const struct lt_picture *picture = suspecting->findings.picture;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	for (int depth = 0; type != NULL && type->python_class && depth < BASES_MAX; depth++) {
		uint32_t node = lt_heap_graph_find(&picture->graph, type->address);
		refs.count = 0;
		if (node != LT_NO_NODE)
			lt_picture_refs(picture, node, &refs);
		for (size_t i = 0; i < refs.count; i++) {
			uint32_t dict =
				refs.data[i].kind == LT_REF_DICT ||
						(refs.data[i].kind == LT_REF_MEMBER &&
						 refs.data[i].index == LT_MEMBER_attributes)
					? lt_heap_graph_find(&picture->graph, refs.data[i].to)
					: LT_NO_NODE;
			if (dict != LT_NO_NODE &&
			    lt_expression_lookup(suspecting->findings.expressions, dict, name) !=
				    LT_NO_NODE)
				return true;
		}
		type = type->base != 0 ? lt_types_get(picture->types, type->base) : NULL;
	}
	return false;
}

struct garbage {
	uint64_t frozen;            /* of the objects, those that gc.freeze() set apart */
	uint64_t objects, bytes;    /* in the last picture */
	const struct lt_type *type; /* the commonest class of it, else the commonest type */
	uint64_t of_type;
	const struct lt_type *with_del; /* one that has a finalizer, NULL for none */
};

LT_VEC(counts, uint64_t);

static enum lt_status count_garbage(struct lt_suspecting *suspecting, struct garbage *garbage)
{
	const struct lt_picture *picture = suspecting->findings.picture;
	uint32_t type_count = lt_types_count(picture->types);
	LT_CLEANUP(counts_deinit) struct counts counts = {0};
	if (!counts_reserve(&counts, (size_t)type_count + 1))
		return lt_fail_memory(suspecting->findings.session);
	memset(counts.data, 0, ((size_t)type_count + 1) * sizeof(*counts.data));
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		if (picture->alive[node] || picture->graph.type[node] >= type_count)
			continue;
		garbage->objects++;
		garbage->frozen += (picture->graph.flags[node] & LT_NODE_PERMANENT) != 0;
		garbage->bytes += lt_heap_graph_size(&picture->graph, node);
		counts.data[picture->graph.type[node]]++;
	}
	for (uint32_t t = 0; t < type_count; t++) {
		const struct lt_type *type = lt_types_at(picture->types, t);
		if (counts.data[t] == 0)
			continue;
		bool better = garbage->type == NULL ||
			      type->python_class > garbage->type->python_class ||
			      (type->python_class == garbage->type->python_class &&
			       counts.data[t] > garbage->of_type);
		if (better) {
			garbage->type = type;
			garbage->of_type = counts.data[t];
		}
		if (type->python_class && counts.data[t] * 100 >= garbage->objects &&
		    garbage->with_del == NULL && defines(suspecting, type, "__del__"))
			garbage->with_del = type;
	}
	return LT_OK;
}

static double garbage_steadiness(const struct lt_suspecting *suspecting)
{
	const struct lt_leaks *leaks = suspecting->leaks;
	double values[LT_LEAKS_LOOKS_MAX];
	for (size_t i = 0; i < leaks->look_count; i++)
		values[i] = (double)leaks->looks[i].garbage_objects;
	return lt_leaks_steadiness(suspecting, values);
}

/* Cycles through a C type that does not tell the collector: garbage that no collection frees. */
static enum lt_status stuck_cycles(struct lt_suspecting *suspecting)
{
	struct lt_findings *findings = &suspecting->findings;
	const struct lt_unvisited_list *list = &findings->picture->unvisited;
	const struct lt_unvisited *most = NULL;
	uint64_t objects = 0, bytes = 0;
	for (size_t i = 0; i < list->count; i++) {
		objects += list->data[i].objects;
		bytes += list->data[i].bytes;
		if (most == NULL || list->data[i].bytes > most->bytes)
			most = &list->data[i];
	}
	const struct lt_generation *first = &suspecting->generations[0];
	if (most == NULL || bytes < first->stuck_bytes + BYTES_MIN ||
	    objects < first->stuck_count + OBJECTS_MIN)
		return LT_OK;
	LT_TRY(lt_finding_stuck(findings, most));
	if (findings->list.count == 0)
		return LT_OK;
	uint64_t grown = bytes - first->stuck_bytes;
	struct lt_finding finding = findings->list.data[0];
	finding.severity = grown >= BYTES_GREAT ? LT_HIGH : LT_MEDIUM;
	struct lt_suspect *suspect = push(suspecting, finding.id, finding.severity, grown);
	if (suspect == NULL)
		return LT_OK;
	suspect->finding = finding;
	suspect->type = most->type != NULL ? lt_finding_format(findings, "%s.%s",
							       most->type->module, most->type->name)
					   : "";
	suspect->growth_objects = objects - first->stuck_count;
	suspect->retained_bytes = bytes;
	suspect->share = lt_findings_share(findings, bytes);
	return LT_OK;
}

/* Why no collection will free the garbage; NULL when one will. */
static const char *why_never(struct lt_suspecting *suspecting, const struct garbage *garbage)
{
	const struct lt_subject *subject = suspecting->subject;
	if (subject->collector_count == 0)
		return NULL;
	const struct lt_collector *collector = &subject->collectors[0];
	int64_t threshold = collector->generations[0].threshold;
	if (!collector->enabled || threshold == 0)
		return "Automatic collection is off, so nothing frees them.";
	if (garbage->frozen * 4 >= garbage->objects)
		return "gc.freeze() sets them apart, where the collector does not look.";
	/* It counts new objects: garbage of its own size will have been waiting by then. */
	if ((uint64_t)threshold > suspecting->leaks->heap_objects && threshold >= THRESHOLD_HIGH)
		return lt_finding_format(
			&suspecting->findings,
			"The first threshold is %s, more than there are objects: "
			"the collector hardly ever runs.",
			lt_findings_count(&suspecting->findings, (uint64_t)threshold));
	return NULL;
}

static enum lt_status garbage(struct lt_suspecting *suspecting)
{
	struct lt_findings *findings = &suspecting->findings;
	struct garbage garbage = {0};
	LT_TRY(count_garbage(suspecting, &garbage));
	/* What a collection frees of it. */
	garbage.objects = findings->picture->garbage_count;
	garbage.bytes = findings->picture->garbage_bytes;
	const struct lt_generation *first = &suspecting->generations[0];
	if (garbage.type == NULL || garbage.bytes <= first->garbage_bytes ||
	    garbage.objects <= first->garbage_count)
		return LT_OK;
	uint64_t bytes = garbage.bytes - first->garbage_bytes;
	uint64_t objects = garbage.objects - first->garbage_count;
	double steadiness = garbage_steadiness(suspecting);
	const char *never = why_never(suspecting, &garbage);
	bool off = never != NULL;
	bool with_del = garbage.with_del != NULL;
	if (bytes < BYTES_MIN || objects < OBJECTS_MIN)
		return LT_OK;
	enum lt_severity severity = LT_INFO;
	if (off && steadiness >= LT_LEAKS_STEADY)
		severity = bytes >= BYTES_GREAT &&
					   (double)bytes * 600 >=
						   suspecting->seconds *
							   (double)suspecting->leaks->heap_bytes
				   ? LT_HIGH
				   : LT_MEDIUM;
	struct lt_suspect *suspect =
		push(suspecting, off && with_del ? "cycle-with-del" : "uncollected-garbage",
		     severity, bytes);
	if (suspect == NULL)
		return LT_OK;
	const struct lt_type *type = with_del ? garbage.with_del : garbage.type;
	struct lt_finding *finding = &suspect->finding;
	suspect->type = lt_finding_format(findings, "%s.%s", type->module, type->name);
	suspect->growth_objects = objects;
	suspect->retained_bytes = garbage.bytes;
	suspect->share = lt_findings_share(findings, garbage.bytes);
	suspect->steadiness = steadiness;
	uint32_t class = lt_heap_graph_find(&findings->picture->graph, type->address);
	if (class != LT_NO_NODE && findings->picture->alive[class]) {
		lt_finding_point(findings, finding, class);
		finding->expression = lt_finding_format(
			findings, "[x for x in gc.get_objects() if type(x) is %s]",
			finding->expression);
	}
	lt_finding_int(findings, finding, "garbage_objects", garbage.objects);
	lt_finding_int(findings, finding, "garbage_bytes", garbage.bytes);
	lt_finding_bool(findings, finding, "collector_frees_them", !off);
	lt_finding_bool(findings, finding, "has_finalizer", with_del);
	finding->title = lt_finding_format(
		findings, "Cycles%s%s that nothing refers to wait for a collection: +%s",
		type->python_class ? " of " : "", type->python_class ? type->name : "",
		lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings, "%s objects more%s that only refer to each other%s. %s",
		lt_findings_count(findings, objects), window(suspecting),
		with_del ? lt_finding_format(findings, ", some with a __del__ (%s)",
					     garbage.with_del->name)
			 : "",
		off ? never
		    : "The collector is on and frees them when it comes to it; that is no leak.");
	finding->fix =
		off ? lt_finding_format(
			      findings,
			      "Break the cycle of %s (a weakref.ref to the parent), or let the "
			      "collector do it: gc.enable() and usual thresholds, gc.freeze() only "
			      "once and before the work begins, or gc.collect() between units of "
			      "work.",
			      type->name)
		    : "None is needed; break the cycles where they are made if collections "
		      "take too long.";
	return LT_OK;
}

/* ---- Memory that no Python object explains ---- */

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
	struct lt_suspect *suspect = push(suspecting, "native-growth", severity, bytes);
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
		lt_findings_bytes(findings, (uint64_t)grown), window(suspecting),
		lt_findings_bytes(findings, python));
	finding->fix =
		"Look at what the C extensions are called for (a profile of malloc: heaptrack, "
		"bcc memleak); free or close what ctypes or a library handed out. "
		"MALLOC_ARENA_MAX=2 when it is only that many threads each keep an arena.";
}

/* ---- Objects that only C code refers to ---- */

static void from_c(struct lt_suspecting *suspecting)
{
	static const enum lt_root_kind kinds[] = {LT_ROOT_EXTERNAL, LT_ROOT_STATIC, LT_ROOT_STATE};
	struct lt_findings *findings = &suspecting->findings;
	uint64_t objects = 0, bytes = 0;
	uint32_t sample = LT_NO_NODE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct lt_growth_rootless *rootless = &suspecting->growth->rootless[kinds[i]];
		objects += rootless->objects;
		bytes += rootless->bytes;
		if (sample == LT_NO_NODE)
			sample = rootless->sample;
	}
	if (sample == LT_NO_NODE || bytes < BYTES_MIN || objects < OBJECTS_MIN)
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
	const struct lt_type *type = lt_picture_type(findings->picture, sample);
	struct lt_suspect *suspect = push(suspecting, "references-from-c",
					  bytes >= BYTES_GREAT ? LT_HIGH : LT_MEDIUM, bytes);
	if (suspect == NULL)
		return;
	struct lt_finding *finding = &suspect->finding;
	const char *name = type != NULL ? type->name : "object";
	if (type != NULL)
		suspect->type = lt_finding_format(findings, "%s.%s", type->module, type->name);
	suspect->growth_objects = objects;
	suspect->retained_bytes = bytes;
	suspect->share = lt_findings_share(findings, bytes);
	lt_finding_point(findings, finding, sample);
	finding->title = lt_finding_format(
		findings, "Objects that only C code refers to grow, such as %s: +%s", name,
		lt_findings_bytes(findings, bytes));
	finding->explanation =
		lt_finding_format(findings,
				  "%s new objects%s have more references than Python objects "
				  "account for: C code holds "
				  "them, or an extension type keeps them without a tp_traverse.",
				  lt_findings_count(findings, objects), window(suspecting));
	finding->fix = lt_finding_format(findings,
					 "Look for a missing Py_DECREF in the extension that "
					 "handles %s, or for a type of it "
					 "without tp_traverse.",
					 name);
}

enum lt_status lt_suspects_find_others(struct lt_suspecting *suspecting)
{
	LT_TRY(stuck_cycles(suspecting));
	LT_TRY(garbage(suspecting));
	if (suspecting->leaks->look_count >= 2)
		native(suspecting);
	from_c(suspecting);
	return LT_OK;
}
