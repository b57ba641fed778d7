#include "analysis/tide.h"
#include "report/json.h"

static json_t *row(const struct lt_composition_row *kind)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "type", lt_json_string(kind->type), "module",
			 lt_json_string(kind->module), "count", lt_json_count(kind->count), "bytes",
			 lt_json_count(kind->bytes));
}

static json_t *rows(const struct lt_composition_row *kinds, size_t count, bool weighed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *json = row(&kinds[i]);
		if (weighed)
			json_object_set_new(json, "retained", lt_json_count(kinds[i].retained));
		json_array_append_new(list, json);
	}
	return list;
}

json_t *lt_json_types(const struct lt_composition *composition, uint64_t top)
{
	size_t shown = composition->row_count;
	if (top != 0 && top < shown)
		shown = (size_t)top;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "rows",
			 rows(composition->rows, shown, composition->weighed), "row_count",
			 lt_json_count(composition->row_count), "count",
			 lt_json_count(composition->count), "bytes",
			 lt_json_count(composition->bytes), "tracked",
			 lt_json_count(composition->tracked), "permanent",
			 lt_json_count(composition->permanent), "all", composition->all, "proved",
			 composition->proved);
}

static json_t *collector(const struct lt_collector *gc)
{
	json_t *thresholds = json_array();
	json_t *counts = json_array();
	json_t *generations = json_array();
	for (size_t i = 0; i < LT_GENERATIONS; i++) {
		const struct lt_collector_generation *generation = &gc->generations[i];
		json_array_append_new(thresholds, json_integer(generation->threshold));
		json_array_append_new(counts, json_integer(generation->count));
		json_array_append_new(generations,
				      json_pack("{s:o, s:o, s:o}", "collections",
						lt_json_count(generation->collections), "collected",
						lt_json_count(generation->collected),
						"uncollectable",
						lt_json_count(generation->uncollectable)));
	}
	return json_pack(
		"{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "interpreter",
		lt_json_count(gc->interpreter), "enabled", gc->enabled, "collecting",
		gc->collecting, "thresholds", thresholds, "counts", counts, "generations",
		generations, "tracked", gc->tracked > 0 ? lt_json_count(gc->tracked) : json_null(),
		"frozen", gc->tracked > 0 ? lt_json_count(gc->frozen) : json_null(), "garbage",
		lt_json_count(gc->garbage), "callbacks", lt_json_count(gc->callbacks), "debug",
		(int)gc->debug, "long_lived_total", lt_json_count(gc->long_lived_total),
		"long_lived_pending", lt_json_count(gc->long_lived_pending));
}

static json_t *process(const struct lt_ps_row *found)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:o}", "pid", (int)found->pid,
			 "python", lt_json_known(found->python), "cmdline",
			 lt_json_string(found->command_line), "rss_bytes",
			 lt_json_count(found->rss_bytes), "uptime_ms",
			 lt_json_count(found->uptime_ms), "threads", (int)found->thread_count,
			 "interpreters", (int)found->interpreters, "gc",
			 found->interpreters > 0 ? collector(&found->main) : json_null(), "problem",
			 lt_json_known(found->problem));
}

json_t *lt_json_ps(const struct lt_ps *ps)
{
	json_t *processes = json_array();
	for (size_t i = 0; i < ps->row_count; i++)
		json_array_append_new(processes, process(&ps->rows[i]));
	json_t *skipped = json_array();
	for (size_t i = 0; i < ps->skipped_count; i++)
		json_array_append_new(skipped,
				      json_pack("{s:s, s:o, s:o}", "status",
						lt_status_name(ps->skipped[i].status), "reason",
						lt_json_string(ps->skipped[i].reason), "count",
						lt_json_count(ps->skipped[i].count)));
	return json_pack("{s:o, s:o, s:o}", "processes", processes, "skipped", skipped, "others",
			 lt_json_count(ps->others));
}

static json_t *evidence_value(const struct lt_evidence *evidence)
{
	switch (evidence->kind) {
	case LT_EVIDENCE_INT:
		return json_integer(evidence->integer);
	case LT_EVIDENCE_REAL:
		return json_real(evidence->real);
	case LT_EVIDENCE_TEXT:
		return lt_json_string(evidence->text);
	case LT_EVIDENCE_BOOL:
		return json_boolean(evidence->boolean);
	}
	return json_null();
}

json_t *lt_json_evidence(const struct lt_finding *finding)
{
	json_t *evidence = json_object();
	for (size_t i = 0; i < finding->evidence_count; i++)
		json_object_set_new(evidence, finding->evidence[i].name,
				    evidence_value(&finding->evidence[i]));
	return evidence;
}

json_t *lt_json_finding(const struct lt_finding *found)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", found->id, "severity",
			 lt_severity_name(found->severity), "title", lt_json_string(found->title),
			 "expression", lt_json_known(found->expression), "where",
			 lt_json_known(found->where), "evidence", lt_json_evidence(found),
			 "explanation", lt_json_string(found->explanation), "fix",
			 lt_json_string(found->fix));
}

static json_t *container(const struct lt_container *held)
{
	char address[24];
	snprintf(address, sizeof(address), "0x%llx", (unsigned long long)held->address);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:s}", "type",
			 lt_json_string(held->type), "module", lt_json_string(held->module),
			 "expression", lt_json_known(held->expression), "where",
			 lt_json_known(held->where), "length", lt_json_count(held->length), "bytes",
			 lt_json_count(held->bytes), "held", lt_json_count(held->held), "share",
			 held->share, "address", address);
}

static json_t *identity(const struct lt_identity *who)
{
	static const char *const modes[] = {
		[LT_MODE_FORK] = "fork", [LT_MODE_STOP] = "stop", [LT_MODE_LIVE] = "live"};
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:i, s:s}", "pid", (int)who->pid, "python",
			 lt_json_known(who->python), "cmdline",
			 lt_json_string(who->command_line == NULL ? "" : who->command_line),
			 "executable", lt_json_known(who->executable), "uptime_ms",
			 lt_json_count(who->uptime_ms), "rss_bytes", lt_json_count(who->rss_bytes),
			 "threads", (int)who->thread_count, "mode", modes[who->mode]);
}

json_t *lt_json_doctor(const struct lt_doctor *doctor)
{
	json_t *findings = json_array();
	for (size_t i = 0; i < doctor->finding_count; i++)
		json_array_append_new(findings, lt_json_finding(&doctor->findings[i]));
	json_t *collectors = json_array();
	for (size_t i = 0; i < doctor->collector_count; i++)
		json_array_append_new(collectors, collector(&doctor->collectors[i]));
	json_t *containers = json_array();
	for (size_t i = 0; i < doctor->container_count; i++)
		json_array_append_new(containers, container(&doctor->containers[i]));
	json_t *garbage =
		json_pack("{s:o, s:o, s:o, s:o}", "count", lt_json_count(doctor->garbage_count),
			  "bytes", lt_json_count(doctor->garbage_bytes), "collectable",
			  lt_json_count(doctor->collectable_count), "collectable_bytes",
			  lt_json_count(doctor->collectable_bytes));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:b}}", "findings",
			 findings, "identity", identity(&doctor->identity), "containers",
			 containers, "kinds", rows(doctor->kinds, doctor->kind_count, false),
			 "collectors", collectors, "heap", "count",
			 lt_json_count(doctor->object_count), "bytes",
			 lt_json_count(doctor->object_bytes), "tracked",
			 lt_json_count(doctor->tracked), "garbage", garbage, "conservative_refs",
			 lt_json_count(doctor->conservative_refs), "proved", doctor->proved);
}

json_t *lt_json_snapshot(const struct lt_tide_written *written)
{
	return json_pack("{s:o, s:b, s:o, s:o, s:o}", "file", lt_json_string(written->path),
			 "redacted", written->redacted, "objects", lt_json_count(written->objects),
			 "references", lt_json_count(written->references), "bytes",
			 lt_json_count(written->bytes));
}
