/*
 * source.h: where a picture gets what it does not keep itself: the labelled references and the details
 * of single objects, from a frozen process (source_live.h) or from a snapshot file (source_file.h).
 */
#ifndef LT_ANALYSIS_SOURCE_H
#define LT_ANALYSIS_SOURCE_H

#include "base/text.h"
#include "heap/decode.h"

enum lt_detail {
#define LT_DETAIL(name, form, spelling) LT_DETAIL_##name,
#include "analysis/details.def"
#undef LT_DETAIL
	LT_DETAIL_COUNT
};

enum {
	LT_PREVIEW_CHARACTERS = 80
}; /* of LT_DETAIL_STRING; "..." follows a string that is longer */

struct lt_source_ops {
	/* Appends; references to what is no node may be among them. */
	void (*refs)(void *ctx, uint32_t node, struct lt_refs *refs);
	bool (*number)(void *ctx, uint32_t node, enum lt_detail detail, int64_t *ret_value);
	/* Appends; false, with nothing appended, when the node has no such detail. */
	bool (*text)(void *ctx, uint32_t node, enum lt_detail detail, struct lt_text *text);
	/* See lt_picture_walk(). NULL: a walk needs no preparation. */
	uint32_t (*walk)(void *ctx, uint32_t node);
	void (*destroy)(void *ctx);
};

/* All zero is the source that knows nothing. */
struct lt_source {
	const struct lt_source_ops *ops;
	void *ctx;
};

/* True for a detail that is text. */
bool lt_detail_is_text(enum lt_detail detail);
const char *lt_detail_spelling(enum lt_detail detail);

#endif
