/* Growth that piles up in no object: cyclic garbage; what C code has is in leaks_native.c. */
#include "analysis/leaks_parts.h"

#include "analysis/subject.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	BYTES_MIN = 64 << 10,
	OBJECTS_MIN = 200,
	BYTES_GREAT = 1 << 20,
	BASES_MAX = 64,
	THRESHOLD_HIGH = 100000,
};

struct lt_suspect *lt_suspect_begin(struct lt_suspecting *suspecting, const char *kind,
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

const char *lt_leaks_window(struct lt_suspecting *suspecting)
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
		if (picture->alive[node] || lt_heap_graph_type(&picture->graph, node) >= type_count)
			continue;
		garbage->objects++;
		garbage->frozen += (picture->graph.flags[node] & LT_NODE_PERMANENT) != 0;
		garbage->bytes += lt_heap_graph_size(&picture->graph, node);
		counts.data[lt_heap_graph_type(&picture->graph, node)]++;
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
	struct lt_suspect *suspect =
		lt_suspect_begin(suspecting, finding.id, finding.severity, grown);
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
	struct lt_suspect *suspect = lt_suspect_begin(
		suspecting, off && with_del ? "cycle-with-del" : "uncollected-garbage", severity,
		bytes);
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
		lt_findings_count(findings, objects), lt_leaks_window(suspecting),
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

enum lt_status lt_suspects_find_others(struct lt_suspecting *suspecting)
{
	LT_TRY(stuck_cycles(suspecting));
	LT_TRY(garbage(suspecting));
	lt_suspects_find_native(suspecting);
	return LT_OK;
}
