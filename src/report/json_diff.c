#include "analysis/diff.h"
#include "report/json.h"

static json_t *side(const struct lt_diff_side *figures)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "pid", (int)figures->pid, "python",
			 lt_json_known(figures->python), "uptime_ms",
			 lt_json_count(figures->uptime_ms), "rss_bytes",
			 lt_json_count(figures->rss_bytes), "count",
			 lt_json_count(figures->objects), "bytes", lt_json_count(figures->bytes));
}

static json_t *change(uint64_t before, uint64_t after)
{
	return json_integer((json_int_t)(after - before));
}

static json_t *type(const struct lt_diff_type *row)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "type", lt_json_string(row->type),
			 "count", lt_json_count(row->count[1]), "bytes",
			 lt_json_count(row->bytes[1]), "retained", lt_json_count(row->retained[1]),
			 "growth_count", change(row->count[0], row->count[1]), "growth_bytes",
			 change(row->bytes[0], row->bytes[1]), "growth_retained",
			 change(row->retained[0], row->retained[1]));
}

static json_t *holder(const struct lt_diff_holder *found)
{
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "expression",
				 lt_json_known(found->expression), "where",
				 lt_json_known(found->where), "type", lt_json_known(found->type),
				 "address", lt_json_address(found->address), "growth_objects",
				 lt_json_count(found->objects), "growth_bytes",
				 lt_json_count(found->bytes), "retained",
				 lt_json_count(found->retained), "item", lt_json_known(found->item),
				 "example", lt_json_known(found->example), "shared", found->shared);
	json_object_set_new(json, "length_before",
			    found->has_length ? lt_json_count(found->length[0]) : json_null());
	json_object_set_new(json, "length",
			    found->has_length ? lt_json_count(found->length[1]) : json_null());
	return json;
}

json_t *lt_json_diff(const struct lt_diff *diff)
{
	json_t *types = json_array();
	for (size_t i = 0; i < diff->types.count; i++)
		json_array_append_new(types, type(&diff->types.data[i]));
	json_t *holders = json_array();
	for (size_t i = 0; i < diff->holders.count; i++)
		json_array_append_new(holders, holder(&diff->holders.data[i]));
	return json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "before", side(&diff->side[0]),
			 "after", side(&diff->side[1]), "matched", diff->matched, "new_count",
			 diff->matched ? lt_json_count(diff->new_objects) : json_null(),
			 "new_bytes", diff->matched ? lt_json_count(diff->new_bytes) : json_null(),
			 "gone_count",
			 diff->matched ? lt_json_count(diff->gone_objects) : json_null(), "holders",
			 holders, "types", types);
}
