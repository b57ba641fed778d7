/*
 * query.h: a query in SQL over the objects, references, types and roots of a process or a snapshot file.
 * docs/sql.md describes the tables. A query can only read, and only these tables.
 */
#ifndef LT_ANALYSIS_QUERY_H
#define LT_ANALYSIS_QUERY_H

#include "base/arena.h"
#include "store/store.h"

struct lt_subject;
struct lt_query;

struct lt_query_result {
	size_t column_count;
	const char **columns;          /* their names, none twice */
	struct lt_store_value *values; /* row after row */
	size_t row_count;
	bool cut; /* there are more rows than were asked for */
	struct lt_arena strings;
};

/* Reads the query, before anything is opened for it. LT_E_USAGE: it is wrong; the sentence says where. */
LT_MUST_CHECK enum lt_status lt_query_prepare(struct lt_session *session, const char *sql,
					      struct lt_query **ret_query);
void lt_query_destroy(struct lt_query *query);

/* Runs it, at most once; `most` rows, 0: all. LT_E_USAGE: the query failed, or its result is too large. */
LT_MUST_CHECK enum lt_status lt_query_run(struct lt_query *query, struct lt_subject *subject,
					  uint64_t most, struct lt_query_result *ret_result);
void lt_query_result_deinit(struct lt_query_result *result);

#endif
