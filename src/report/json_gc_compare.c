#include "analysis/gc_compare.h"
#include "report/json.h"

static json_t *value(const struct lt_gc_side *side, enum lt_gc_figure figure)
{
	double number = side->figure[figure];
	if (!side->known[figure])
		return json_null();
	switch (lt_gc_figures[figure].unit) {
	case LT_UNIT_COUNT:
	case LT_UNIT_BYTES:
	case LT_UNIT_FLAGS:
		return json_integer((json_int_t)number);
	default:
		return json_real(number);
	}
}

static json_t *side(const struct lt_gc_side *one)
{
	json_t *json =
		json_pack("{s:i, s:o, s:s, s:I, s:o, s:b}", "pid", (int)one->pid, "python",
			  lt_json_known(one->python), "source", lt_watch_source_name(one->source),
			  "start_unix_ms", (json_int_t)one->start_unix_ms, "collections",
			  lt_json_count(one->collections), "cut", one->cut);
	for (int i = 0; i < LT_FIGURE_COUNT; i++)
		json_object_set_new(json, lt_gc_figures[i].key, value(one, (enum lt_gc_figure)i));
	return json;
}

json_t *lt_json_gc_compare(const struct lt_gc_comparison *comparison)
{
	json_t *reasons = json_array(), *changed = json_array();
	for (size_t i = 0; i < comparison->reasons.count; i++) {
		const struct lt_gc_reason *reason = &comparison->reasons.data[i];
		json_array_append_new(reasons, json_pack("{s:s, s:o}", "verdict",
							 lt_gc_verdict_name(reason->verdict),
							 "text", lt_json_string(reason->text)));
	}
	for (int i = 0; i < LT_FIGURE_COUNT; i++)
		if (comparison->changed[i])
			json_array_append_new(changed, json_string(lt_gc_figures[i].key));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "verdict",
			 lt_gc_verdict_name(comparison->verdict), "reasons", reasons, "changed",
			 changed, "before", side(&comparison->side[LT_SIDE_BEFORE]), "after",
			 side(&comparison->side[LT_SIDE_AFTER]));
}
