/*
 * What keeps memory alive, worked out when a snapshot is written: `lowtide retained FILE` needs no graph for
 * the top of the tree.
 */
#include "analysis/retained.h"
#include "analysis/tide_parts.h"
#include "base/cleanup.h"

#include <string.h>

enum { ENTRIES_MAX = 1 << 20, COLUMNS = 12, DEPTH_MAX = 64 };

static int64_t signed_of(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

enum lt_status lt_tide_put_tree(struct lt_store_writer *writer, struct lt_subject *subject)
{
	LT_CLEANUP(lt_retained_deinit) struct lt_retained tree = {0};
	const struct lt_retained_options options = {0};
	uint32_t table;
	LT_TRY(lt_retained_take(subject, &options, &tree));
	LT_TRY(lt_store_put_table(writer,
				  "tree (id INTEGER PRIMARY KEY, kind INTEGER, expression TEXT, "
				  "example TEXT, type TEXT, place TEXT, address INTEGER, count "
				  "INTEGER, shallow INTEGER, retained INTEGER, first_child "
				  "INTEGER, child_count INTEGER)",
				  &table));
	for (size_t i = 0; i < tree.entries.count; i++) {
		const struct lt_retained_entry *entry = &tree.entries.data[i];
		const struct lt_store_value values[COLUMNS] = {
			lt_store_integer((int64_t)i),
			lt_store_integer(entry->kind),
			lt_store_text(entry->expression),
			lt_store_text(entry->example),
			lt_store_text(entry->type),
			lt_store_text(entry->where),
			lt_store_integer(signed_of(entry->address)),
			lt_store_integer(signed_of(entry->count)),
			lt_store_integer(signed_of(entry->shallow)),
			lt_store_integer(signed_of(entry->retained)),
			lt_store_integer((int64_t)entry->first_child),
			lt_store_integer((int64_t)entry->child_count),
		};
		LT_TRY(lt_store_put_row(writer, table, values, COLUMNS));
	}
	LT_TRY(lt_store_put_meta(writer, "tree_top", lt_store_integer((int64_t)tree.top_count)));
	LT_TRY(lt_store_put_meta(writer, "tree_objects",
				 lt_store_integer(signed_of(tree.object_count))));
	return lt_store_put_meta(writer, "tree_bytes",
				 lt_store_integer(signed_of(tree.object_bytes)));
}

/* An empty text for none; NULL: no memory. */
static const char *take_text(struct lt_store_cursor *cursor, unsigned column,
			     struct lt_retained *tree)
{
	const char *text = lt_store_get_text(cursor, column);
	return text == NULL ? "" : lt_arena_copy(&tree->strings, text, strlen(text));
}

/* Negative numbers become the largest, which no check lets pass. */
static uint64_t take_count(struct lt_store_cursor *cursor, unsigned column)
{
	int64_t value = lt_store_get_integer(cursor, column);
	return value < 0 ? UINT64_MAX : (uint64_t)value;
}

static enum lt_status take_entry(struct lt_tide *tide, struct lt_store_cursor *cursor,
				 struct lt_retained *tree)
{
	struct lt_retained_entry entry = {
		.expression = take_text(cursor, 2, tree),
		.example = take_text(cursor, 3, tree),
		.type = take_text(cursor, 4, tree),
		.where = take_text(cursor, 5, tree),
		.address = (lt_addr)lt_store_get_integer(cursor, 6),
		.count = take_count(cursor, 7),
		.shallow = take_count(cursor, 8),
		.retained = take_count(cursor, 9),
		.first_child = take_count(cursor, 10),
		.child_count = take_count(cursor, 11),
	};
	uint64_t kind = take_count(cursor, 1);
	if (entry.expression == NULL || entry.example == NULL || entry.type == NULL ||
	    entry.where == NULL)
		return lt_fail_memory(tide->session);
	/* Children come after their parent: the tree has an end. */
	if (take_count(cursor, 0) != tree->entries.count || kind > LT_RETAINED_OTHERS ||
	    tree->entries.count >= ENTRIES_MAX || entry.count > UINT32_MAX ||
	    entry.shallow > INT64_MAX || entry.retained > INT64_MAX ||
	    entry.child_count > ENTRIES_MAX || entry.first_child > ENTRIES_MAX ||
	    (entry.child_count > 0 && entry.first_child <= tree->entries.count))
		return lt_tide_damaged(tide, "its tree of what keeps memory alive");
	entry.kind = (enum lt_retained_kind)kind;
	if (tree->object_bytes > 0)
		entry.share = (double)entry.retained / (double)tree->object_bytes;
	return lt_retained_entries_push(&tree->entries, entry) ? LT_OK
							       : lt_fail_memory(tide->session);
}

static enum lt_status take_entries(struct lt_tide *tide, struct lt_retained *tree)
{
	struct lt_store_cursor *cursor = NULL;
	bool more = false;
	LT_TRY(lt_store_select(tide->store,
			       "SELECT id, kind, expression, example, type, place, address, count, "
			       "shallow, retained, first_child, child_count FROM tree ORDER BY id",
			       NULL, 0, &cursor));
	enum lt_status status = lt_store_next(cursor, &more);
	while (status == LT_OK && more) {
		status = take_entry(tide, cursor, tree);
		if (status == LT_OK)
			status = lt_store_next(cursor, &more);
	}
	lt_store_cursor_close(cursor);
	return status;
}

/* Children lie behind their parent, each has one, and no branch is longer than one that was written. */
static enum lt_status check_tree(struct lt_tide *tide, const struct lt_retained *retained)
{
	size_t count = retained->entries.count;
	LT_FREE uint8_t *depth = calloc(count + 1, sizeof(*depth));
	if (depth == NULL)
		return lt_fail_memory(tide->session);
	if (retained->top_count > count)
		return lt_tide_damaged(tide, "its tree of what keeps memory alive");
	for (size_t i = 0; i < retained->top_count; i++)
		depth[i] = 1;
	for (size_t i = 0; i < count; i++) {
		const struct lt_retained_entry *entry = &retained->entries.data[i];
		if (entry->child_count == 0)
			continue;
		if (depth[i] == 0 || depth[i] >= DEPTH_MAX || entry->first_child <= i ||
		    entry->first_child > count || entry->child_count > count - entry->first_child)
			return lt_tide_damaged(tide, "its tree of what keeps memory alive");
		for (size_t c = 0; c < entry->child_count; c++) {
			if (depth[entry->first_child + c] != 0)
				return lt_tide_damaged(tide, "its tree of what keeps memory alive");
			depth[entry->first_child + c] = (uint8_t)(depth[i] + 1);
		}
	}
	return LT_OK;
}

bool lt_tide_has_tree(const struct lt_tide *tide)
{
	int64_t top;
	return lt_store_meta_integer(tide->store, "tree_top", &top);
}

enum lt_status lt_tide_get_tree(struct lt_tide *tide, struct lt_retained *ret_tree)
{
	LT_CLEANUP(lt_retained_deinit) struct lt_retained tree = {0};
	int64_t top = -1, objects = -1, bytes = -1;
	if (!lt_store_meta_integer(tide->store, "tree_top", &top) ||
	    !lt_store_meta_integer(tide->store, "tree_objects", &objects) ||
	    !lt_store_meta_integer(tide->store, "tree_bytes", &bytes) || top < 0 || objects < 0 ||
	    bytes < 0)
		return lt_tide_damaged(tide, "its tree of what keeps memory alive");
	tree.top_count = (size_t)top;
	tree.object_count = (uint64_t)objects;
	tree.object_bytes = (uint64_t)bytes;
	LT_TRY(take_entries(tide, &tree));
	LT_TRY(check_tree(tide, &tree));
	*ret_tree = tree;
	tree = (struct lt_retained){0};
	return LT_OK;
}
