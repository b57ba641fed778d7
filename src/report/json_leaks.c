#include "report/json.h"

static json_t *suspect(const struct lt_suspect *found, size_t rank)
{
	const struct lt_finding *finding = &found->finding;
	json_t *rate =
		found->bytes_per_second > 0 ? json_real(found->bytes_per_second) : json_null();
	return json_pack(
		"{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:f, s:o, s:o, s:o}",
		"rank", lt_json_count(rank), "severity", lt_severity_name(finding->severity),
		"kind", finding->id, "title", lt_json_string(finding->title), "expression",
		lt_json_known(finding->expression), "where", lt_json_known(finding->where), "type",
		lt_json_known(found->type), "growth_objects", lt_json_count(found->growth_objects),
		"growth_bytes", lt_json_count(found->growth_bytes), "growth_bytes_per_second", rate,
		"steadiness", found->steadiness, "retained_bytes",
		lt_json_count(found->retained_bytes), "share", found->share, "evidence",
		lt_json_evidence(finding), "explanation", lt_json_string(finding->explanation),
		"fix", lt_json_string(finding->fix));
}

/* Mapped bytes by region, null when they are not known. */
static json_t *regions(const struct lt_leaks_look *taken)
{
	json_t *object = json_object();
	uint64_t all = 0;
	for (int region = 0; region < LT_REGION_COUNT; region++) {
		all += taken->region_bytes[region];
		json_object_set_new(object, lt_region_name((enum lt_region)region),
				    lt_json_count(taken->region_bytes[region]));
	}
	if (all > 0)
		return object;
	json_decref(object);
	return json_null();
}

static json_t *look(const struct lt_leaks_look *taken)
{
	return json_pack("{s:f, s:f, s:o, s:o, s:o, s:i, s:o, s:o}", "at_ms", taken->at_ms,
			 "stall_ms", taken->stall_ms, "objects", lt_json_count(taken->objects),
			 "bytes", lt_json_count(taken->bytes), "garbage_objects",
			 lt_json_count(taken->garbage_objects), "threads", (int)taken->threads,
			 "anonymous_bytes",
			 taken->anonymous_bytes > 0 ? lt_json_count(taken->anonymous_bytes)
						    : json_null(),
			 "regions", regions(taken));
}

json_t *lt_json_leaks(const struct lt_leaks *leaks)
{
	json_t *suspects = json_array();
	for (size_t i = 0; i < leaks->suspect_count; i++)
		json_array_append_new(suspects, suspect(&leaks->suspects[i], i + 1));
	json_t *looks = json_array();
	for (size_t i = 0; i < leaks->look_count; i++)
		json_array_append_new(looks, look(&leaks->looks[i]));
	return json_pack("{s:o, s:o, s:b, s:{s:o, s:o, s:o, s:o}}", "suspects", suspects, "looks",
			 looks, "ended_early", leaks->ended_early, "heap", "count",
			 lt_json_count(leaks->heap_objects), "bytes",
			 lt_json_count(leaks->heap_bytes), "new_count",
			 lt_json_count(leaks->new_objects), "new_bytes",
			 lt_json_count(leaks->new_bytes));
}
