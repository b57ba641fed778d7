#include "report/json.h"

#include "analysis/trim.h"

static json_t *rounds(const struct lt_trim *trim)
{
	json_t *list = json_array();
	for (size_t i = 0; i < trim->rounds.count; i++) {
		const struct lt_trim_round *round = &trim->rounds.data[i];
		json_array_append_new(
			list,
			json_pack("{s:f, s:b, s:o, s:o, s:o, s:f, s:f, s:s?, s:I, s:b, s:b, s:s?}",
				  "at_seconds", round->at_seconds, "called", round->called,
				  "before_bytes", lt_json_count(round->before_bytes), "after_bytes",
				  lt_json_count(round->after_bytes), "predicted_bytes",
				  lt_json_count(round->predicted_bytes), "stall_ms",
				  round->stall_ms, "call_ms", round->call_ms, "way",
				  !round->called  ? NULL
				  : round->beside ? "beside"
						  : "alone",
				  "attempts", (json_int_t)round->attempts, "finished",
				  !round->called || round->finished, "whole", round->whole,
				  "refusal", round->refusal[0] != '\0' ? round->refusal : NULL));
	}
	return list;
}

json_t *lt_json_trim(const struct lt_trim *trim)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:b, s:o}", "allocator",
			 trim->allocator, "before_bytes", lt_json_count(trim->before_bytes),
			 "after_bytes", lt_json_count(trim->after_bytes), "predicted_bytes",
			 lt_json_count(trim->predicted_bytes), "returned_bytes",
			 lt_json_count(trim->returned_bytes), "stall_ms", trim->cost.stall_ms,
			 "looks", lt_json_count(trim->looks), "calls", lt_json_count(trim->calls),
			 "watched", trim->watched, "rounds", rounds(trim));
}
