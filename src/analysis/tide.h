/*
 * tide.h: a picture in a snapshot file (docs/tide.md): written from a frozen process, read back into a
 * picture that analyses cannot tell from that of the process.
 */
#ifndef LT_ANALYSIS_TIDE_H
#define LT_ANALYSIS_TIDE_H

#include "base/session.h"

enum {
	LT_TIDE_SCHEMA = 1,
	LT_TIDE_KEYS = 1000, /* keys of one dict that are stored in any case */
	LT_TIDE_KEY_BYTES =
		12, /* of all keys of larger dicts, for each object: beyond that the heaviest only */
};

struct lt_subject;
struct lt_picture;
struct lt_type_totals;
struct lt_retained;

struct lt_tide_options {
	bool redact; /* no key and no name of an attribute or variable */
};

struct lt_tide_written {
	const char *path; /* as it was given */
	bool redacted;
	uint64_t objects, references;
	uint64_t bytes; /* on disk */
};

/* Writes the picture of a process, with all steps taken, to `path`. */
LT_MUST_CHECK enum lt_status lt_tide_write(struct lt_subject *subject, const char *path,
					   const struct lt_tide_options *options,
					   struct lt_tide_written *ret_written);

struct lt_tide;

/* Opens a file and fills identity and collectors of the subject; the picture is not read yet. */
LT_MUST_CHECK enum lt_status lt_tide_open(struct lt_subject *subject, const char *path,
					  struct lt_tide **ret_tide);
void lt_tide_close(struct lt_tide *tide);

/* Reads roots and graph, and which objects are alive. The tide must outlive the picture. */
LT_MUST_CHECK enum lt_status lt_tide_picture(struct lt_tide *tide, struct lt_picture *ret_picture);

/* What went wrong while references and details were read, which the source of a picture cannot return. */
LT_MUST_CHECK enum lt_status lt_tide_status(const struct lt_tide *tide);

/* Objects and bytes of each type, tracked ones only unless `all`, without reading the graph. */
LT_MUST_CHECK enum lt_status lt_tide_totals(struct lt_tide *tide, bool all,
					    struct lt_type_totals *ret_totals);

/* The result of lt_retained_take() without options, without reading the graph, when the file has it. */
struct lt_retained;
bool lt_tide_has_tree(const struct lt_tide *tide);
LT_MUST_CHECK enum lt_status lt_tide_get_tree(struct lt_tide *tide, struct lt_retained *ret_tree);

/* What lt_picture has of these in its graph. */
struct lt_tide_counts {
	uint64_t objects, references, tracked, permanent;
	bool proved;
};
struct lt_tide_counts lt_tide_count(const struct lt_tide *tide);

#endif
