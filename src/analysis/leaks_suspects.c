/* From points of growth to suspects: which are worth a word, how grave they are, in which order. */
#include "analysis/leaks_parts.h"

#include "base/cleanup.h"

#include <string.h>

enum {
	SUSPECTS_MAX = 20,
	OBJECTS_NOTABLE = 200, /* fewer new objects are graver than low only when they are big */
	BYTES_NOTABLE = 64 << 10,
	BYTES_OF_FEW = 256 << 10,
	BYTES_GREAT = 1 << 20,
	BYTES_HUGE = 8 << 20,
	THREADS_NOTABLE = 10,
};

static const double VERY_STEADY = 0.5; /* less than this takes more bytes */

/*
 * High: the heap would double within ten minutes at this rate, or a tenth of it and 8 MiB came in the
 * window; medium: notable and steady.
 */
static enum lt_severity grade(const struct lt_suspecting *suspecting,
			      const struct lt_growth_point *point, double steadiness)
{
	double heap = (double)suspecting->leaks->heap_bytes;
	uint64_t notable = steadiness < VERY_STEADY ? 4 * BYTES_NOTABLE : BYTES_NOTABLE;
	if (steadiness < LT_LEAKS_STEADY || point->bytes < notable ||
	    (point->objects < OBJECTS_NOTABLE && point->bytes < BYTES_OF_FEW))
		return LT_LOW;
	bool doubles =
		suspecting->seconds > 0 && (double)point->bytes / suspecting->seconds * 600 >= heap;
	if (point->bytes >= BYTES_HUGE && (double)point->bytes >= 0.1 * heap)
		return LT_HIGH;
	return point->bytes >= BYTES_GREAT && doubles ? LT_HIGH : LT_MEDIUM;
}

static int by_severity(const void *left, const void *right)
{
	const struct lt_suspect *a = left, *b = right;
	if (a->finding.severity != b->finding.severity)
		return a->finding.severity < b->finding.severity ? 1 : -1;
	if (a->growth_bytes != b->growth_bytes)
		return a->growth_bytes < b->growth_bytes ? 1 : -1;
	int order = strcmp(a->finding.id, b->finding.id);
	return order != 0 ? order : strcmp(a->finding.expression, b->finding.expression);
}

/* What a thread keeps through its stack has no other owner; a thread is not as small as its objects. */
static void add_stacks(const struct lt_suspecting *suspecting, const struct lt_holding *holding,
		       struct lt_suspect *suspect)
{
	static const enum lt_root_kind kinds[] = {LT_ROOT_LOCAL,   LT_ROOT_FRAME,
						  LT_ROOT_THREAD,  LT_ROOT_THREAD_LOCAL,
						  LT_ROOT_CONTEXT, LT_ROOT_STACK};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct lt_growth_rootless *rootless = &suspecting->growth->rootless[kinds[i]];
		suspect->growth_objects += rootless->objects;
		suspect->growth_bytes += rootless->bytes;
		suspect->retained_bytes += rootless->bytes;
	}
	if (suspecting->seconds > 0)
		suspect->bytes_per_second = (double)suspect->growth_bytes / suspecting->seconds;
	if (suspect->finding.severity < LT_MEDIUM && holding->gained >= THREADS_NOTABLE &&
	    suspect->steadiness >= LT_LEAKS_STEADY)
		suspect->finding.severity = LT_MEDIUM;
}

/* A cache or deque that may not get longer and did not: what is new in it took the place of what was old. */
static bool is_at_bound(const struct lt_suspecting *suspecting, const struct lt_holding *holding)
{
	int64_t bound = -1;
	return holding->point->container && !holding->point->spread && holding->gained == 0 &&
	       lt_picture_number(suspecting->findings.picture, holding->node, LT_DETAIL_MAXSIZE,
				 &bound) &&
	       bound >= 0 && holding->length >= (uint64_t)bound;
}

static enum lt_status add(struct lt_suspecting *suspecting, const struct lt_growth_point *point)
{
	struct lt_findings *findings = &suspecting->findings;
	struct lt_holding holding;
	lt_holding_look(suspecting, point, &holding);
	if (is_at_bound(suspecting, &holding))
		return LT_OK;
	double steadiness = lt_leaks_point_steadiness(suspecting, point);
	struct lt_finding *finding = lt_finding_begin(
		findings, "unknown", grade(suspecting, point, steadiness), (double)point->bytes);
	if (finding == NULL)
		return lt_fail_memory(findings->session);
	struct lt_suspect suspect = {
		.finding = *finding,
		.type = holding.type != NULL && holding.type->module[0] != '\0'
				? lt_finding_format(findings, "%s.%s", holding.type->module,
						    holding.type->name)
				: "",
		.growth_objects = point->objects,
		.growth_bytes = point->bytes,
		.bytes_per_second =
			suspecting->seconds > 0 ? (double)point->bytes / suspecting->seconds : 0,
		.steadiness = steadiness,
		.retained_bytes = point->retained,
		.share = lt_findings_share(findings, point->retained),
	};
	lt_finding_point(findings, &suspect.finding, holding.node);
	lt_suspect_explain(suspecting, &holding, &suspect);
	lt_leaks_tell_two(suspecting, point, &suspect);
	findings->list.count = 0;
	if (strcmp(suspect.finding.id, "unjoined-threads") == 0)
		add_stacks(suspecting, &holding, &suspect);
	return lt_suspects_push(&suspecting->list, suspect) ? LT_OK
							    : lt_fail_memory(findings->session);
}

enum lt_status lt_suspects_find(struct lt_suspecting *suspecting)
{
	const struct lt_growth_points *points = &suspecting->growth->points;
	for (size_t i = 0; i < points->count && i < SUSPECTS_MAX; i++)
		LT_TRY(add(suspecting, &points->data[i]));
	LT_TRY(lt_suspects_find_others(suspecting));
	if (suspecting->findings.failed)
		return lt_fail_memory(suspecting->findings.session);
	if (suspecting->list.count > 0)
		qsort(suspecting->list.data, suspecting->list.count, sizeof(*suspecting->list.data),
		      by_severity);
	suspecting->leaks->suspect_count = suspecting->list.count;
	suspecting->leaks->suspects = LT_TAKE(suspecting->list.data);
	suspecting->list.count = 0;
	return LT_OK;
}
