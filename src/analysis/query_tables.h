/*
 * query_tables.h: the tables of a query, as virtual tables of SQLite over a picture.
 */
#ifndef LT_ANALYSIS_QUERY_TABLES_H
#define LT_ANALYSIS_QUERY_TABLES_H

#include "analysis/subject.h"

#include <sqlite3.h>

/* What the tables show; the subject is NULL while the query is only read. */
struct lt_query_scope {
	struct lt_session *session;
	struct lt_subject *subject;
	enum lt_status status; /* the failure that ended the query, if it was not the query's own */
};

/* Makes the tables known to a connection. `scope` must outlive it. An error code of SQLite. */
int lt_query_tables_add(sqlite3 *db, struct lt_query_scope *scope);

#endif
