#include "store/reader.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum lt_status lt_store_damaged(struct lt_store *store, const char *what)
{
	lt_remedy(store->session,
		  "Take it again (lowtide snapshot, lowtide gc -o), or copy it again from "
		  "where it was complete.");
	return lt_fail(store->session, LT_E_FILE, "%.200s is damaged: %s", store->path, what);
}

enum lt_status lt_store_failure(struct lt_store *store, int code, enum lt_status otherwise)
{
	char what[96];
	if (store->pages.bad_page != 0) {
		snprintf(what, sizeof(what), "page %llu does not match its checksum",
			 (unsigned long long)store->pages.bad_page);
		return lt_store_damaged(store, what);
	}
	if (store->pages.read_errno != 0)
		return lt_fail_errno(store->session, LT_E_FILE, store->pages.read_errno,
				     "cannot read %.200s", store->path);
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return lt_fail_memory(store->session);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_IOERR:
		return lt_store_damaged(store, "its database makes no sense");
	case SQLITE_TOOBIG:
		return lt_store_damaged(store, "a row is larger than any row can be");
	default:
		break;
	}
	const char *message = store->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(store->db);
	if (otherwise == LT_E_FILE)
		return lt_store_damaged(store, message);
	return lt_fail(store->session, otherwise, "%s", message);
}

/* A database of unknown origin: nothing in it runs, and nothing of it is larger than the file. */
static enum lt_status open_database(struct lt_store *store)
{
	int code = sqlite3_open_v2(store->pages.vfs_name, &store->db,
				   SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
					   SQLITE_OPEN_PRIVATECACHE,
				   store->pages.vfs_name);
	if (code != SQLITE_OK)
		return lt_store_failure(store, code, LT_E_FILE);
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, LT_RECORD_MOST);
	code = sqlite3_exec(store->db,
			    "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; "
			    "PRAGMA cache_size = -4096; PRAGMA mmap_size = 0",
			    NULL, NULL, NULL);
	return code == SQLITE_OK ? LT_OK : lt_store_failure(store, code, LT_E_FILE);
}

static enum lt_status add_meta(struct lt_store *store, sqlite3_stmt *rows)
{
	struct lt_meta meta = {0};
	if (sqlite3_column_type(rows, 0) != SQLITE_TEXT)
		return lt_store_damaged(store, "a fact of it has no name");
	switch (sqlite3_column_type(rows, 1)) {
	case SQLITE_INTEGER:
		meta.value = lt_store_integer(sqlite3_column_int64(rows, 1));
		break;
	case SQLITE_FLOAT:
		meta.value = lt_store_real(sqlite3_column_double(rows, 1));
		break;
	case SQLITE_TEXT:
		meta.value = lt_store_text((const char *)sqlite3_column_text(rows, 1));
		if (meta.value.text == NULL)
			return lt_fail_memory(store->session);
		meta.value.text = strdup(meta.value.text);
		if (meta.value.text == NULL)
			return lt_fail_memory(store->session);
		break;
	default:
		break;
	}
	const char *key = (const char *)sqlite3_column_text(rows, 0);
	meta.key = key == NULL ? NULL : strdup(key);
	if (meta.key != NULL && lt_metas_push(&store->meta, meta))
		return LT_OK;
	free(meta.key);
	free((char *)meta.value.text);
	return lt_fail_memory(store->session);
}

static enum lt_status load_meta(struct lt_store *store)
{
	sqlite3_stmt *rows = NULL;
	int code = sqlite3_prepare_v2(store->db, "SELECT key, value FROM meta", -1, &rows, NULL);
	enum lt_status status = LT_OK;
	if (code == SQLITE_OK) {
		while (status == LT_OK && (code = sqlite3_step(rows)) == SQLITE_ROW)
			status = store->meta.count < LT_META_MOST
					 ? add_meta(store, rows)
					 : lt_store_damaged(store, "it has too many facts");
		if (code == SQLITE_DONE)
			code = SQLITE_OK;
	}
	if (status == LT_OK && code != SQLITE_OK)
		status = lt_store_failure(store, code, LT_E_FILE);
	sqlite3_finalize(rows);
	return status;
}

static const struct lt_store_value *find_meta(const struct lt_store *store, const char *key,
					      enum lt_store_type type)
{
	for (size_t i = 0; i < store->meta.count; i++)
		if (strcmp(store->meta.data[i].key, key) == 0)
			return store->meta.data[i].value.type == type ? &store->meta.data[i].value
								      : NULL;
	return NULL;
}

bool lt_store_meta_integer(const struct lt_store *store, const char *key, int64_t *ret_value)
{
	const struct lt_store_value *value = find_meta(store, key, LT_STORE_INTEGER);
	if (value != NULL)
		*ret_value = value->integer;
	return value != NULL;
}

bool lt_store_meta_real(const struct lt_store *store, const char *key, double *ret_value)
{
	const struct lt_store_value *value = find_meta(store, key, LT_STORE_REAL);
	if (value != NULL)
		*ret_value = value->real;
	return value != NULL;
}

const char *lt_store_meta_text(const struct lt_store *store, const char *key)
{
	const struct lt_store_value *value = find_meta(store, key, LT_STORE_TEXT);
	return value != NULL ? value->text : NULL;
}

/* The table of facts is the same in every schema, so that a newer file can say who wrote it. */
static enum lt_status check_schema(struct lt_store *store, uint32_t newest)
{
	if (store->pages.schema == 0)
		return lt_store_damaged(store, "it has no schema");
	if (store->pages.schema <= newest)
		return LT_OK;
	const char *writer = lt_store_meta_text(store, LT_META_WRITER);
	if (writer != NULL)
		lt_remedy(store->session, "Use lowtide %.40s or later.", writer);
	else
		lt_remedy(store->session, "Use a later lowtide.");
	return lt_fail(store->session, LT_E_FILE,
		       "%.200s was written by a later lowtide%s%.40s: its schema is %u, this "
		       "lowtide " LT_VERSION " reads up to %u",
		       store->path, writer != NULL ? ", " : "", writer != NULL ? writer : "",
		       store->pages.schema, newest);
}

static enum lt_status load(struct lt_store *store, uint32_t newest)
{
	LT_TRY(open_database(store));
	LT_TRY(load_meta(store));
	LT_TRY(check_schema(store, newest));
	int64_t complete = 0;
	if (!lt_store_meta_integer(store, LT_META_COMPLETE, &complete) || complete != 1)
		return lt_store_damaged(store, "its writer did not complete it");
	LT_TRY(lt_columns_load(store));
	int code = sqlite3_prepare_v2(store->db, "SELECT data FROM pieces WHERE id = ?", -1,
				      &store->get_piece, NULL);
	return code == SQLITE_OK ? LT_OK : lt_store_failure(store, code, LT_E_FILE);
}

enum lt_status lt_store_open(struct lt_session *session, const char *path, uint32_t newest_schema,
			     struct lt_store **ret_store)
{
	/* A pipe or a terminal must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		if (errno == ENOENT)
			return lt_fail(session, LT_E_FILE, "there is no file %.200s", path);
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot read %.200s", path);
	}
	struct lt_store *store = calloc(1, sizeof(*store));
	if (store == NULL) {
		close(fd);
		return lt_fail_memory(session);
	}
	store->session = session;
	enum lt_status status = lt_pages_open(session, fd, path, &store->pages);
	if (status == LT_OK) {
		store->path = strdup(path);
		store->coder = lt_chunk_coder_create();
		status = store->path == NULL || store->coder == NULL ? lt_fail_memory(session)
								     : load(store, newest_schema);
		if (status != LT_OK)
			lt_store_close(store);
	} else {
		free(store);
	}
	if (status == LT_OK)
		*ret_store = store;
	return status;
}

void lt_store_close(struct lt_store *store)
{
	if (store == NULL)
		return;
	sqlite3_finalize(store->get_piece);
	sqlite3_close(store->db);
	lt_pages_close(&store->pages);
	lt_columns_unload(store);
	lt_chunk_coder_destroy(store->coder);
	for (size_t i = 0; i < store->meta.count; i++) {
		free(store->meta.data[i].key);
		free((char *)store->meta.data[i].value.text);
	}
	lt_metas_deinit(&store->meta);
	free(store->path);
	free(store);
}

const char *lt_store_path(const struct lt_store *store)
{
	return store->path;
}

uint64_t lt_store_bytes(const struct lt_store *store)
{
	return store->pages.bytes;
}

struct sqlite3 *lt_store_database(struct lt_store *store)
{
	return store->db;
}
