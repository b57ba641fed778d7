/* What is wrong with the collector: switched off, never due, everything frozen, garbage that stays. */
#include "analysis/findings.h"

#include "analysis/containers.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum {
	DEBUG_SAVEALL = 32,      /* Include/internal/pycore_gc.h: _PyGC_DEBUG_SAVEALL */
	KINDS_NAMED = 3,         /* types of what is in gc.garbage */
	THRESHOLD_HIGH = 100000, /* new containers without a young collection */
	FROZEN_MIN = 10000,      /* frozen objects worth a word */
	WAITING_MIN = 4 << 20,   /* bytes of garbage that are normal between two collections */
};

static const double FULL_PRODUCT_HIGH = 1e8; /* new containers without a full collection */

/* What a collection would free now. */
static void add_garbage(struct lt_findings *findings, struct lt_finding *finding)
{
	const struct lt_picture *picture = findings->picture;
	lt_finding_int(findings, finding, "garbage_objects", picture->garbage_count);
	lt_finding_int(findings, finding, "garbage_tracked", picture->garbage_tracked);
	lt_finding_int(findings, finding, "garbage_bytes", picture->garbage_bytes);
	lt_finding_real(findings, finding, "garbage_share",
			lt_findings_share(findings, picture->garbage_bytes));
}

static void add_state(struct lt_findings *findings, struct lt_finding *finding,
		      const struct lt_collector *collector)
{
	lt_finding_int(findings, finding, "interpreter", collector->interpreter);
	lt_finding_bool(findings, finding, "enabled", collector->enabled);
	static const char *const thresholds[] = {"threshold0", "threshold1", "threshold2"};
	static const char *const counts[] = {"count0", "count1", "count2"};
	static const char *const collections[] = {"collections0", "collections1", "collections2"};
	for (size_t g = 0; g < LT_GENERATIONS; g++)
		lt_finding_int(findings, finding, thresholds[g],
			       (uint64_t)collector->generations[g].threshold);
	for (size_t g = 0; g < LT_GENERATIONS; g++) {
		int64_t count = collector->generations[g].count;
		lt_finding_int(findings, finding, counts[g], count < 0 ? 0 : (uint64_t)count);
	}
	for (size_t g = 0; g < LT_GENERATIONS; g++)
		lt_finding_int(findings, finding, collections[g],
			       collector->generations[g].collections);
}

/* The type that makes up most of the garbage. */
static const struct lt_type *main_garbage(const struct lt_picture *picture, uint64_t *ret_count,
					  uint64_t *ret_bytes)
{
	struct lt_types *types = picture->types;
	uint32_t type_count = lt_types_count(types);
	LT_FREE uint64_t *count = calloc((size_t)type_count + 1, sizeof(*count));
	LT_FREE uint64_t *bytes = calloc((size_t)type_count + 1, sizeof(*bytes));
	if (count == NULL || bytes == NULL)
		return NULL;
	uint32_t most = 0;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (picture->alive[node] || type >= type_count)
			continue;
		count[type]++;
		bytes[type] += lt_heap_graph_size(&picture->graph, node);
		/* A class of the user says more than the dicts and lists inside its instances. */
		bool better = lt_types_at(types, type)->python_class >=
			      lt_types_at(types, most)->python_class;
		if (type == most || (better && (count[type] > count[most] ||
						lt_types_at(types, type)->python_class >
							lt_types_at(types, most)->python_class)))
			most = type;
	}
	if (type_count == 0 || count[most] == 0)
		return NULL;
	*ret_count = count[most];
	*ret_bytes = bytes[most];
	return lt_types_at(types, most);
}

static void add_garbage_kind(struct lt_findings *findings, struct lt_finding *finding)
{
	uint64_t count = 0, bytes = 0;
	const struct lt_type *type = main_garbage(findings->picture, &count, &bytes);
	if (type == NULL)
		return;
	lt_finding_string(findings, finding, "garbage_type",
			  lt_finding_format(findings, "%s.%s", type->module, type->name));
	lt_finding_int(findings, finding, "garbage_type_objects", count);
}

static enum lt_severity worse(enum lt_severity a, enum lt_severity b)
{
	return a > b ? a : b;
}

static void disabled(struct lt_findings *findings, const struct lt_collector *collector)
{
	uint64_t bytes = findings->picture->garbage_bytes;
	enum lt_severity severity = worse(LT_MEDIUM, lt_findings_grade(findings, bytes));
	if (lt_findings_share(findings, bytes) >= 0.25 && bytes >= 64u << 20)
		severity = LT_CRITICAL;
	struct lt_finding *finding =
		lt_finding_begin(findings, "collector-disabled", severity, (double)bytes);
	if (finding == NULL)
		return;
	add_state(findings, finding, collector);
	add_garbage(findings, finding);
	add_garbage_kind(findings, finding);
	finding->title =
		lt_finding_format(findings, "The collector is disabled; %s of cyclic garbage wait",
				  lt_findings_bytes(findings, bytes));
	finding->expression = "gc.isenabled()";
	finding->explanation = lt_finding_format(
		findings,
		"Automatic collection is off, so objects in reference cycles stay until "
		"gc.collect() is called. "
		"Nothing reaches %s objects any more. Objects outside cycles are not concerned: "
		"their "
		"reference counts free them.",
		lt_findings_count(findings, findings->picture->garbage_count));
	finding->fix = "Remove the call of gc.disable(), or call gc.enable() after the part that "
		       "needed it; where "
		       "pauses must not fall into requests, call gc.collect() between them.";
}

static void never_due(struct lt_findings *findings, const struct lt_collector *collector)
{
	const struct lt_collector_generation *g = collector->generations;
	const int64_t *usual = collector->usual;
	bool incremental = collector->incremental;
	double product = (double)g[0].threshold *
			 (double)(g[1].threshold > 0 ? g[1].threshold : 1) *
			 (double)(g[2].threshold > 0 ? g[2].threshold : 1);
	bool zero = g[0].threshold <= 0;
	bool young = g[0].threshold >= THRESHOLD_HIGH;
	bool full = !incremental && product >= FULL_PRODUCT_HIGH;
	if (!zero && !young && !full)
		return;
	uint64_t bytes = findings->picture->garbage_bytes;
	/* A raised threshold is a choice as long as little garbage waits and the heap is larger than the step. */
	bool reachable = !zero && (uint64_t)g[0].threshold < findings->picture->graph.tracked / 4;
	enum lt_severity severity = zero || !reachable ? LT_MEDIUM : LT_LOW;
	if (bytes >= WAITING_MIN)
		severity = worse(severity, lt_findings_grade(findings, bytes));
	struct lt_finding *finding =
		lt_finding_begin(findings, "thresholds-too-high", severity, (double)bytes);
	if (finding == NULL)
		return;
	add_state(findings, finding, collector);
	lt_finding_int(findings, finding, "default_threshold0", (uint64_t)usual[0]);
	lt_finding_int(findings, finding, "tracked_objects", findings->picture->graph.tracked);
	add_garbage(findings, finding);
	add_garbage_kind(findings, finding);
	finding->expression = "gc.get_threshold()";
	if (zero) {
		finding->title = "The collector never runs: its first threshold is 0";
		finding->explanation =
			"A first threshold of 0 turns automatic collection off, although "
			"gc.isenabled() says True. "
			"Objects in reference cycles stay until gc.collect() is called.";
	} else {
		finding->title = lt_finding_format(
			findings,
			"The thresholds (%" PRId64 ", %" PRId64 ", %" PRId64
			") are so high that %s collection hardly runs",
			g[0].threshold, g[1].threshold, g[2].threshold, young ? "a" : "a full");
		finding->explanation = lt_finding_format(
			findings,
			"A collection is due only when %" PRId64
			" more tracked containers live than at the last one "
			"(usually %" PRId64
			"); the heap has %s in all, and %s young and %s full collections ran so "
			"far. Memory pressure never starts one.",
			g[0].threshold, usual[0],
			lt_findings_count(findings, findings->picture->graph.tracked),
			lt_findings_count(findings, g[0].collections),
			lt_findings_count(findings, g[2].collections));
	}
	finding->fix = lt_finding_format(
		findings,
		"Lower the values given to gc.set_threshold() (default %" PRId64 ", %" PRId64
		", %" PRId64 "), or call gc.collect() at idle points.",
		usual[0], usual[1], usual[2]);
}

static void frozen(struct lt_findings *findings)
{
	const struct lt_picture *picture = findings->picture;
	uint64_t all = picture->graph.tracked, frozen_count = picture->graph.permanent;
	double share = all > 0 ? (double)frozen_count / (double)all : 0;
	if (frozen_count < FROZEN_MIN || share < 0.5)
		return;
	uint64_t dead = 0, dead_bytes = 0;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		if (!picture->alive[node] &&
		    (picture->graph.flags[node] & LT_NODE_PERMANENT) != 0) {
			dead++;
			dead_bytes += lt_heap_graph_size(&picture->graph, node);
		}
	}
	enum lt_severity severity = share >= 0.9 ? LT_MEDIUM : LT_LOW;
	if (dead_bytes >= 1u << 20)
		severity = worse(severity, lt_findings_grade(findings, dead_bytes));
	struct lt_finding *finding =
		lt_finding_begin(findings, "everything-frozen", severity, (double)dead_bytes);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "frozen_objects", frozen_count);
	lt_finding_int(findings, finding, "tracked_objects", all);
	lt_finding_real(findings, finding, "frozen_share", share);
	lt_finding_int(findings, finding, "frozen_garbage_objects", dead);
	lt_finding_int(findings, finding, "frozen_garbage_bytes", dead_bytes);
	finding->title = lt_finding_format(findings, "%.0f %% of the tracked objects are frozen",
					   share * 100);
	finding->expression = "gc.get_freeze_count()";
	finding->explanation = lt_finding_format(
		findings,
		"gc.freeze() moved %s of %s tracked objects to the permanent generation, which no "
		"collection looks at. Cycles among them are never freed: %s such objects (%s) are "
		"garbage now.",
		lt_findings_count(findings, frozen_count), lt_findings_count(findings, all),
		lt_findings_count(findings, dead), lt_findings_bytes(findings, dead_bytes));
	finding->fix = "Call gc.freeze() once, after the imports and before the service forks or "
		       "takes work, with "
		       "gc.collect() just before it; undo a later one with gc.unfreeze().";
}

static uint32_t node_of_root(const struct lt_picture *picture, const char *name)
{
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		if (root->kind == LT_ROOT_NAMED && strcmp(root->name, name) == 0)
			return picture->root_node[r];
	}
	return LT_NO_NODE;
}

/* As the kind of garbage one type says more than another: a class of the user more than the dicts of its instances. */
static bool says_more(const struct lt_types *types, const uint64_t *count, uint32_t a, uint32_t b)
{
	bool own = lt_types_at(types, a)->python_class, other = lt_types_at(types, b)->python_class;
	if (count[a] == 0 || count[b] == 0)
		return count[a] > count[b];
	return own != other ? own : count[a] > count[b];
}

/* How many objects of each type are reached first through `holder`: of gc.garbage what is in it, the most frequent types. */
static const char *kinds_in(struct lt_findings *findings, uint32_t holder,
			    struct lt_finding *finding)
{
	const struct lt_picture *picture = findings->picture;
	uint32_t type_count = lt_types_count(picture->types);
	LT_FREE uint64_t *count = calloc((size_t)type_count + 1, sizeof(*count));
	const char *kinds = "";
	if (count == NULL || holder == LT_NO_NODE)
		return kinds;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (picture->parent[node] == holder && type < type_count)
			count[type]++;
	}
	for (int i = 0; i < KINDS_NAMED; i++) {
		uint32_t most = 0;
		for (uint32_t type = 1; type < type_count; type++)
			most = says_more(picture->types, count, type, most) ? type : most;
		if (type_count == 0 || count[most] == 0)
			break;
		const struct lt_type *type = lt_types_at(picture->types, most);
		const char *name = lt_finding_format(findings, "%s.%s", type->module, type->name);
		kinds = lt_finding_format(findings, "%s%s%s of %s", kinds, i > 0 ? ", " : "",
					  lt_findings_count(findings, count[most]), name);
		if (i == 0) {
			lt_finding_string(findings, finding, "garbage_type", name);
			lt_finding_int(findings, finding, "garbage_type_objects", count[most]);
		}
		count[most] = 0;
	}
	return kinds;
}

static void garbage_list(struct lt_findings *findings, const struct lt_collector *collector)
{
	bool saveall = (collector->debug & DEBUG_SAVEALL) != 0;
	if (!saveall && collector->garbage == 0)
		return;
	uint32_t node = node_of_root(findings->picture, "gc.garbage");
	uint64_t held = node != LT_NO_NODE ? findings->picture->retained[node] : 0;
	enum lt_severity severity =
		worse(saveall ? LT_HIGH : LT_MEDIUM, lt_findings_grade(findings, held));
	struct lt_finding *finding =
		lt_finding_begin(findings, saveall ? "debug-saveall" : "uncollectable-garbage",
				 severity, (double)held);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "garbage_length", collector->garbage);
	lt_finding_int(findings, finding, "held_bytes", held);
	lt_finding_int(findings, finding, "debug_flags", collector->debug);
	lt_finding_int(findings, finding, "uncollectable2",
		       collector->generations[2].uncollectable);
	finding->expression = "gc.garbage";
	const char *kinds = kinds_in(findings, node, finding);
	if (*kinds != 0)
		kinds = lt_finding_format(findings, " In it: %s.", kinds);
	if (saveall) {
		finding->title = lt_finding_format(
			findings, "gc.DEBUG_SAVEALL keeps all garbage: %s objects, %s",
			lt_findings_count(findings, collector->garbage),
			lt_findings_bytes(findings, held));
		finding->explanation = lt_finding_format(
			findings,
			"With DEBUG_SAVEALL set the collector appends every object that it finds "
			"unreachable to gc.garbage instead of freeing it.%s",
			kinds);
		finding->fix = "Remove gc.set_debug(gc.DEBUG_SAVEALL) or gc.DEBUG_LEAK, then clear "
			       "the list: "
			       "gc.set_debug(0); gc.garbage.clear().";
	} else {
		finding->title = lt_finding_format(findings, "gc.garbage holds %s objects (%s)",
						   lt_findings_count(findings, collector->garbage),
						   lt_findings_bytes(findings, held));
		finding->explanation = lt_finding_format(
			findings,
			"Objects in gc.garbage were found unreachable and could not be freed, or "
			"were put there by code; the list keeps them, and all that they refer to, "
			"alive.%s",
			kinds);
		finding->fix = "Look at the types in gc.garbage, break their cycles or their "
			       "tp_del finalizers, and "
			       "clear the list: gc.garbage.clear().";
	}
}

static void waiting(struct lt_findings *findings, const struct lt_collector *collector)
{
	const struct lt_picture *picture = findings->picture;
	double share = lt_findings_share(findings, picture->garbage_bytes);
	if (!collector->enabled || collector->generations[0].threshold <= 0 ||
	    picture->garbage_bytes < WAITING_MIN || share < 0.1)
		return;
	struct lt_finding *finding = lt_finding_begin(findings, "cyclic-garbage-waiting",
						      share >= 0.3 ? LT_HIGH : LT_MEDIUM,
						      (double)picture->garbage_bytes);
	if (finding == NULL)
		return;
	add_garbage(findings, finding);
	add_garbage_kind(findings, finding);
	add_state(findings, finding, collector);
	lt_finding_int(findings, finding, "long_lived_total", collector->long_lived_total);
	lt_finding_int(findings, finding, "long_lived_pending", collector->long_lived_pending);
	finding->title = lt_finding_format(
		findings, "%s of cyclic garbage wait for a full collection (%.0f %% of the heap)",
		lt_findings_bytes(findings, picture->garbage_bytes), share * 100);
	finding->explanation =
		lt_finding_format(findings,
				  "%s objects that nothing reaches any more are kept "
				  "alive by reference cycles. An automatic "
				  "full collection needs its counters and, beyond that, a quarter "
				  "of growth since the last one.",
				  lt_findings_count(findings, picture->garbage_count));
	finding->fix = "Break the cycles of the type named here (a weak reference to the parent, "
		       "or an explicit close "
		       "that clears it), or call gc.collect() between units of work.";
}

enum lt_status lt_findings_collector(struct lt_findings *findings)
{
	const struct lt_doctor *doctor = findings->doctor;
	for (size_t i = 0; i < doctor->collector_count; i++) {
		const struct lt_collector *collector = &doctor->collectors[i];
		if (!collector->enabled)
			disabled(findings, collector);
		else
			never_due(findings, collector);
		garbage_list(findings, collector);
		if (i == 0)
			waiting(findings, collector);
	}
	frozen(findings);
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}
