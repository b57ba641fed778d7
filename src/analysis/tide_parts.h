/*
 * tide_parts.h: what the files tide_*.c and source_file.c share. Private to them.
 */
#ifndef LT_ANALYSIS_TIDE_PARTS_H
#define LT_ANALYSIS_TIDE_PARTS_H

#include "analysis/retained.h"
#include "analysis/subject.h"
#include "analysis/tide.h"
#include "analysis/tide_labels.h"
#include "store/store.h"

/* Columns with a row for each node, in the order of their addresses. */
#define LT_TIDE_ADDRESS "address"
#define LT_TIDE_TYPE "type"
#define LT_TIDE_SIZE "size"
#define LT_TIDE_FLAGS "flags"
#define LT_TIDE_ALIVE "alive"
#define LT_TIDE_EXTERNAL "external"
#define LT_TIDE_TARGETS "targets"
#define LT_TIDE_LABELS "labels"
/* The list of struct lt_label_names. */
#define LT_TIDE_NAMES "names"
/* struct lt_picture: scanned */
#define LT_TIDE_SCANNED_FROM "scanned.from"
#define LT_TIDE_SCANNED_TO "scanned.to"
/* Details: a row each, by node; for what is a number and what is text. */
#define LT_TIDE_NUMBER_NODE "number.node"
#define LT_TIDE_NUMBER_DETAIL "number.detail"
#define LT_TIDE_NUMBER_VALUE "number.value"
#define LT_TIDE_TEXT_NODE "text.node"
#define LT_TIDE_TEXT_DETAIL "text.detail"
#define LT_TIDE_TEXT_VALUE "text.value"

enum {
	/* In the place of a detail: LT_DETAIL_STRING, and the literal is the same in single quotes. */
	LT_TIDE_PLAIN_STRING = 255,
	/* In the column of the references from outside: the object has no reference count. */
	LT_TIDE_NO_COUNT = INT32_MIN,
};

struct lt_tide {
	struct lt_session *session;
	struct lt_store *store;
	enum lt_status status; /* the first failure of a source, which cannot return it */
	struct lt_types *types;
	struct lt_type_totals all, tracked; /* of each type */
	struct lt_tide_counts counts;
	uint8_t detail[256]; /* number in the file -> enum lt_detail, LT_DETAIL_COUNT: unknown */
	uint16_t *member;    /* number in the file -> enum lt_member */
	size_t member_count;
};

/* How many entries references say that a container has; what is told otherwise is stored. */
int64_t lt_tide_length(enum lt_kind kind, const struct lt_node_ref *refs, size_t count);

/* Takes names of variables and folders of files out of roots and frames. */
LT_MUST_CHECK enum lt_status lt_tide_redact_roots(struct lt_session *session,
						  struct lt_roots *roots);

/* tide_tables.c: everything that is in tables, one function each way. */
LT_MUST_CHECK enum lt_status lt_tide_put_tables(struct lt_store_writer *writer,
						const struct lt_subject *subject,
						const struct lt_type_totals *all,
						const struct lt_type_totals *tracked, bool redact);
LT_MUST_CHECK enum lt_status lt_tide_get_facts(struct lt_tide *tide, struct lt_subject *subject);
LT_MUST_CHECK enum lt_status lt_tide_get_roots(struct lt_tide *tide, struct lt_roots *roots);
LT_MUST_CHECK enum lt_status lt_tide_get_unvisited(struct lt_tide *tide,
						   struct lt_unvisited_list *list);

/* tide_tree.c: what keeps memory alive, as `lowtide retained` shows it without options; not in every file. */
LT_MUST_CHECK enum lt_status lt_tide_put_tree(struct lt_store_writer *writer,
					      struct lt_subject *subject);

/* LT_E_FILE: the file is damaged, and what is wrong. */
enum lt_status lt_tide_damaged(struct lt_tide *tide, const char *what);

/* source_file.c: references and details out of the columns. */
LT_MUST_CHECK enum lt_status lt_source_file_create(struct lt_tide *tide,
						   const struct lt_heap_graph *graph,
						   struct lt_source *ret_source);

/* What is known of a node, for lt_source_redact(). */
enum {
	LT_MARK_NAME =
		1, /* a key, or the name of an attribute or variable: its text is in the file */
	LT_MARK_STAYS = 2, /* also in a redacted file: the name of a module, class or function */
};

/*
 * source_redact.c: puts a source in front of *source that knows only what a file may have: strings and
 * literals of marked nodes, and with `redact` placeholders for them. Takes over `marks` (free(3)), unless
 * it fails.
 */
LT_MUST_CHECK enum lt_status lt_source_redact(struct lt_session *session, struct lt_source *source,
					      uint8_t *marks, bool redact);

#endif
