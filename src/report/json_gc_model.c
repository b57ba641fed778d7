#include "analysis/gc_advise.h"
#include "report/json.h"

#include <math.h>

static json_t *real(double value, double step)
{
	return json_real(isfinite(value) ? round(value / step) * step : 0);
}

static json_t *setting_json(const struct lt_gc_prediction *prediction)
{
	const struct lt_gc_setting *setting = &prediction->setting;
	return json_pack(
		"{s:[I, I, I], s:b, s:o, s:o, s:[o, o, o], s:o, s:o, s:o, s:o, s:o, s:I}",
		"thresholds", (json_int_t)setting->thresholds[0],
		(json_int_t)setting->thresholds[1], (json_int_t)setting->thresholds[2], "freeze",
		setting->freeze, "bound_bytes",
		setting->bound_bytes > 0 ? lt_json_count(setting->bound_bytes) : json_null(),
		"collections", lt_json_count(prediction->all_collections), "by_generation",
		lt_json_count(prediction->collections[0]),
		lt_json_count(prediction->collections[1]),
		lt_json_count(prediction->collections[2]), "gc_time_ms",
		real(prediction->gc_time_ms, 0.001), "gc_time_share", real(prediction->share, 1e-6),
		"pause_max_ms", real(prediction->pause_max_ms, 0.001), "garbage_peak",
		lt_json_count((uint64_t)prediction->garbage_peak), "garbage_peak_bytes",
		lt_json_count(prediction->garbage_peak_bytes), "extra_bytes",
		(json_int_t)prediction->extra_bytes);
}

static json_t *list(const struct lt_gc_prediction *predictions, size_t count)
{
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, setting_json(&predictions[i]));
	return array;
}

json_t *lt_json_gc_what_if(const struct lt_gc_what_if *answer)
{
	return list(answer->asked, answer->asked_count);
}

json_t *lt_json_gc_model(const struct lt_gc_what_if *answer)
{
	json_t *json =
		json_pack("{s:s, s:o, s:b, s:o}", "basis", lt_gc_basis_name(answer->basis), "why",
			  lt_json_known(answer->why), "bytes_known", answer->bytes_known,
			  "bytes_per_object", real(answer->bytes_per_object, 0.1));
	if (answer->basis == LT_BASIS_NONE)
		return json;
	json_object_set_new(json, "path_ms", real(answer->path_ms, 0.001));
	json_object_set_new(json, "recorded", setting_json(&answer->recorded));
	json_object_set_new(json, "curve", list(answer->curve, answer->curve_count));
	if (!answer->advised)
		return json;
	char call[160];
	lt_gc_setting_call(&answer->advice.setting, call, sizeof(call));
	json_t *advice = setting_json(&answer->advice);
	json_object_set_new(advice, "call", lt_json_string(call));
	json_object_set_new(advice, "goal_share",
			    answer->goal.share > 0 ? real(answer->goal.share, 1e-6) : json_null());
	json_object_set_new(advice, "goal_pause_ms",
			    answer->goal.pause_ms > 0 ? real(answer->goal.pause_ms, 0.001)
						      : json_null());
	json_object_set_new(advice, "met", json_boolean(answer->met));
	json_object_set_new(advice, "already", json_boolean(answer->already));
	json_object_set_new(json, "advice", advice);
	return json;
}
