/* A source in front of another one that knows only what a file may have. */
#include "analysis/tide_parts.h"

#include <string.h>

struct redaction {
	struct lt_source_ops ops;
	struct lt_source under; /* owned */
	uint8_t *marks;         /* of each node; owned */
	bool redact;
};

static void redact_refs(void *ctx, uint32_t node, struct lt_refs *refs)
{
	struct redaction *redaction = ctx;
	redaction->under.ops->refs(redaction->under.ctx, node, refs);
}

static bool redact_number(void *ctx, uint32_t node, enum lt_detail detail, int64_t *ret_value)
{
	struct redaction *redaction = ctx;
	return redaction->under.ops->number(redaction->under.ctx, node, detail, ret_value);
}

static bool redact_text(void *ctx, uint32_t node, enum lt_detail detail, struct lt_text *text)
{
	struct redaction *redaction = ctx;
	struct lt_text found = {0};
	bool is_name = detail == LT_DETAIL_STRING || detail == LT_DETAIL_LITERAL;
	if (is_name && (redaction->marks[node] & LT_MARK_NAME) == 0)
		return false;
	if (!redaction->redact)
		return redaction->under.ops->text(redaction->under.ctx, node, detail, text);
	if (!redaction->under.ops->text(redaction->under.ctx, node, detail, &found)) {
		lt_text_deinit(&found);
		return false;
	}
	const char *slash = strrchr(lt_text_get(&found), '/');
	bool kept = (redaction->marks[node] & LT_MARK_STAYS) != 0;
	if (detail == LT_DETAIL_STRING && !kept)
		lt_text_addf(text, "key#%u", node);
	else if (detail == LT_DETAIL_LITERAL && !kept)
		lt_text_addf(text, "'key#%u'", node);
	else if ((detail == LT_DETAIL_FILE || detail == LT_DETAIL_LIBRARY) && slash != NULL)
		lt_text_add(text, slash + 1);
	else
		lt_text_add(text, lt_text_get(&found));
	lt_text_deinit(&found);
	return true;
}

static uint32_t redact_walk(void *ctx, uint32_t node)
{
	struct redaction *redaction = ctx;
	return redaction->under.ops->walk(redaction->under.ctx, node);
}

static void redact_destroy(void *ctx)
{
	struct redaction *redaction = ctx;
	redaction->under.ops->destroy(redaction->under.ctx);
	free(redaction->marks);
	free(redaction);
}

enum lt_status lt_source_redact(struct lt_session *session, struct lt_source *source,
				uint8_t *marks, bool redact)
{
	struct redaction *redaction = calloc(1, sizeof(*redaction));
	if (redaction == NULL)
		return lt_fail_memory(session);
	*redaction = (struct redaction){.under = *source, .marks = marks, .redact = redact};
	redaction->ops = (struct lt_source_ops){
		.refs = redact_refs,
		.number = redact_number,
		.text = redact_text,
		.walk = source->ops->walk != NULL ? redact_walk : NULL,
		.destroy = redact_destroy,
	};
	*source = (struct lt_source){.ops = &redaction->ops, .ctx = redaction};
	return LT_OK;
}
