/* What src/analysis says of single objects and of the tree that they form, as JSON. */
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
