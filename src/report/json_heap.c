/* What src/analysis says of single objects and of the tree that they form, as JSON. */
#include "analysis/inspect.h"
#include "analysis/retained.h"
#include "report/json.h"

json_t *lt_json_address(lt_addr address)
{
	char text[24];
	if (address == 0)
		return json_null();
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)address);
	return json_string(text);
}

static const char *const retained_kinds[] = {
	[LT_RETAINED_OBJECT] = "object", [LT_RETAINED_ALIKE] = "objects",
	[LT_RETAINED_MODULE] = "module", [LT_RETAINED_ROOTS] = "roots",
	[LT_RETAINED_OTHERS] = "others",
};

json_t *lt_json_retained(const struct lt_retained *retained)
{
	size_t count = retained->entries.count;
	json_t **made = calloc(count + 1, sizeof(json_t *));
	json_t *tree = json_array();
	/* Children come after their parent in the list: from its end on all of them are made. */
	for (size_t i = made != NULL ? count : 0; i-- > 0;) {
		const struct lt_retained_entry *entry = &retained->entries.data[i];
		json_t *children = json_array();
		for (size_t c = 0; c < entry->child_count; c++)
			json_array_append_new(children, made[entry->first_child + c]);
		made[i] = json_pack(
			"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o}", "kind",
			retained_kinds[entry->kind], "expression", lt_json_known(entry->expression),
			"example", lt_json_known(entry->example), "type",
			lt_json_known(entry->type), "where", lt_json_known(entry->where), "address",
			lt_json_address(entry->address), "count", lt_json_count(entry->count),
			"shallow", lt_json_count(entry->shallow), "retained",
			lt_json_count(entry->retained), "share", entry->share, "children",
			children);
	}
	for (size_t i = 0; made != NULL && i < retained->top_count; i++)
		json_array_append_new(tree, made[i]);
	json_t *result = made == NULL ? NULL
				      : json_pack("{s:o, s:o, s:o}", "tree", tree, "count",
						  lt_json_count(retained->object_count), "bytes",
						  lt_json_count(retained->object_bytes));
	if (made == NULL)
		json_decref(tree);
	free(made);
	return result;
}

static json_t *path(const struct lt_path *found, bool of_type)
{
	json_t *steps = json_array();
	for (size_t i = 0; i < found->step_count; i++)
		json_array_append_new(steps,
				      json_pack("{s:o, s:o, s:o}", "label",
						lt_json_string(found->steps[i].label), "type",
						lt_json_string(found->steps[i].type), "address",
						lt_json_address(found->steps[i].address)));
	json_t *json =
		json_pack("{s:s, s:o, s:o, s:o, s:o}", "root_kind", found->root_kind, "expression",
			  lt_json_known(found->expression), "where", lt_json_known(found->where),
			  "steps", steps, "steps_left", lt_json_count(found->steps_left));
	if (!of_type) {
		json_object_set_new(json, "alike", lt_json_count(found->alike));
		return json;
	}
	json_object_set_new(json, "count", lt_json_count(found->count));
	json_object_set_new(json, "bytes", lt_json_count(found->bytes));
	json_object_set_new(json, "retained", lt_json_count(found->retained));
	json_object_set_new(json, "repeats", json_boolean(found->repeats));
	json_object_set_new(json, "share", json_real(found->share));
	json_object_set_new(json, "example", lt_json_known(found->example));
	json_object_set_new(json, "address", lt_json_address(found->address));
	return json;
}

json_t *lt_json_paths(const struct lt_paths *paths)
{
	json_t *list = json_array();
	for (size_t i = 0; i < paths->list.count; i++)
		json_array_append_new(list, path(&paths->list.data[i], paths->of_type));
	json_t *object = json_pack(
		"{s:o, s:o, s:o, s:o, s:o}", "type", lt_json_string(paths->type), "address",
		lt_json_address(paths->address), "count", lt_json_count(paths->count), "bytes",
		lt_json_count(paths->bytes), "garbage", lt_json_count(paths->dead));
	return json_pack("{s:o, s:o, s:o, s:o, s:b}", "object", object, "paths", list, "more",
			 lt_json_count(paths->more), "more_count", lt_json_count(paths->more_count),
			 "cut", paths->cut);
}

static json_t *neighbours(const struct lt_neighbours *list, bool label, bool expression)
{
	json_t *array = json_array();
	for (size_t i = 0; i < list->count; i++) {
		const struct lt_neighbour *one = &list->data[i];
		json_t *json = json_pack("{s:o, s:o, s:o, s:o}", "type", lt_json_string(one->type),
					 "address", lt_json_address(one->address), "shallow",
					 lt_json_count(one->bytes), "retained",
					 lt_json_count(one->retained));
		if (label)
			json_object_set_new(json, "label", lt_json_string(one->label));
		if (expression)
			json_object_set_new(json, "expression", lt_json_known(one->expression));
		json_array_append_new(array, json);
	}
	return array;
}

static json_t *references(const struct lt_inspection *found)
{
	json_t *json = json_pack("{s:o, s:o, s:o}", "objects", lt_json_count(found->count_objects),
				 "roots", lt_json_count(found->count_roots), "scanned",
				 lt_json_count(found->count_scanned));
	json_object_set_new(json, "count",
			    found->has_count ? json_integer(found->count) : json_null());
	json_object_set_new(json, "unexplained",
			    found->has_count ? json_integer(found->count_unexplained)
					     : json_null());
	return json;
}

json_t *lt_json_inspection(const struct lt_inspection *found)
{
	json_t *flags = json_array();
	if (found->tracked)
		json_array_append_new(flags, json_string("tracked"));
	if (found->permanent)
		json_array_append_new(flags, json_string("permanent"));
	if (found->immortal)
		json_array_append_new(flags, json_string("immortal"));
	if (found->is_static)
		json_array_append_new(flags, json_string("static"));
	if (!found->alive)
		json_array_append_new(flags, json_string("garbage"));
	json_t *facts = json_object();
	for (size_t i = 0; i < found->facts.count; i++)
		json_object_set_new(facts, found->facts.data[i].name,
				    found->facts.data[i].text != NULL
					    ? lt_json_string(found->facts.data[i].text)
					    : json_integer(found->facts.data[i].number));
	json_t *types = json_array();
	for (size_t i = 0; i < found->referrer_types.count; i++)
		json_array_append_new(
			types,
			json_pack("{s:o, s:o}", "type",
				  lt_json_string(found->referrer_types.data[i].type), "count",
				  lt_json_count(found->referrer_types.data[i].count)));
	json_t *keys = json_array();
	for (size_t i = 0; i < found->key_count; i++)
		json_array_append_new(keys, lt_json_string(found->keys[i]));
	json_t *paths = json_array();
	for (size_t i = 0; i < found->paths.list.count; i++)
		json_array_append_new(paths, path(&found->paths.list.data[i], false));
	const char *expression =
		found->paths.list.count > 0 ? found->paths.list.data[0].expression : "";
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o}",
		"address", lt_json_address(found->address), "type", lt_json_string(found->type),
		"expression", lt_json_known(expression), "where", lt_json_known(found->where),
		"shallow", lt_json_count(found->bytes), "retained", lt_json_count(found->retained),
		"flags", flags, "facts", facts, "references", references(found), "dominators",
		neighbours(&found->dominators, false, true), "dominators_left",
		lt_json_count(found->dominators_left), "referents",
		neighbours(&found->referents, true, false), "referent_count",
		lt_json_count(found->referent_count), "referrers",
		neighbours(&found->referrers, true, true), "referrer_count",
		lt_json_count(found->referrer_count), "referrer_types", types, "keys", keys,
		"keys_left", lt_json_count(found->keys_left), "paths", paths);
}
