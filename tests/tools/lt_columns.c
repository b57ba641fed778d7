/*
 * lt_columns: everything that is in the columns of a snapshot file, decompressed, one after the other: for
 * the tests that look for what must not be there.
 *
 *     lt_columns FILE
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

static enum lt_status dump(struct lt_store *store, const char *name, unsigned width, bool lists)
{
	uint32_t column;
	uint64_t *first = NULL;
	void *items = NULL;
	LT_TRY(lt_store_column(store, name, width, lists, &column));
	enum lt_status status = lists ? lt_store_read_lists(store, column, &first, &items)
				      : lt_store_read_items(store, column, &items);
	if (status == LT_OK)
		fwrite(items, width, (size_t)lt_store_items(store, column), stdout);
	free(first);
	free(items);
	return status;
}

static enum lt_status dump_all(struct lt_session *session, const char *path)
{
	struct lt_store *store = NULL;
	struct lt_store_cursor *cursor = NULL;
	bool more = true;
	LT_TRY(lt_store_open(session, path, UINT32_MAX, &store));
	enum lt_status status =
		lt_store_select(store, "SELECT name, width, lists FROM columns", NULL, 0, &cursor);
	while (status == LT_OK) {
		status = lt_store_next(cursor, &more);
		if (status != LT_OK || !more)
			break;
		status = dump(store, lt_store_get_text(cursor, 0),
			      (unsigned)lt_store_get_integer(cursor, 1),
			      lt_store_get_integer(cursor, 2) != 0);
	}
	lt_store_cursor_close(cursor);
	lt_store_close(store);
	return status;
}

int main(int argc, char **argv)
{
	struct lt_session session;
	if (argc != 2)
		return 2;
	lt_session_init(&session);
	enum lt_status status = dump_all(&session, argv[1]);
	if (status != LT_OK)
		fprintf(stderr, "lt_columns: %s\n", session.message);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
