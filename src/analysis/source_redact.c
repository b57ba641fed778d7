/* A source in front of another one: placeholders for keys and for the names of attributes and variables. */
#include "analysis/tide_parts.h"

#include <string.h>

struct redaction {
	struct lt_source_ops ops;
	struct lt_source under; /* owned */
	uint8_t *
		kept; /* owned; with `mask`: the name of a module, class or function, which stays */
	uint8_t mask;
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
	if (!redaction->under.ops->text(redaction->under.ctx, node, detail, &found)) {
		lt_text_deinit(&found);
		return false;
	}
	const char *slash = strrchr(lt_text_get(&found), '/');
	bool kept = (redaction->kept[node] & redaction->mask) != 0;
	if (detail == LT_DETAIL_STRING && !kept)
		lt_text_addf(text, "key#%u", node);
	else if (detail == LT_DETAIL_LITERAL && !kept)
		lt_text_addf(text, "'key#%u'", node);
	else if (detail == LT_DETAIL_FILE && slash != NULL)
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
	free(redaction->kept);
	free(redaction);
}

enum lt_status lt_source_redact(struct lt_session *session, struct lt_source *source, uint8_t *kept,
				uint8_t mask)
{
	struct redaction *redaction = calloc(1, sizeof(*redaction));
	if (redaction == NULL)
		return lt_fail_memory(session);
	*redaction = (struct redaction){.under = *source, .kept = kept, .mask = mask};
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
