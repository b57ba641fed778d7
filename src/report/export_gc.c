#include "report/export_gc_parts.h"

enum { BUFFER_BYTES = 64 * 1024 };

uint64_t lt_gc_export_collections(const struct lt_gc_event *event)
{
	if (event->seen.kind == LT_WATCH_MISSED)
		return event->seen.missed;
	return event->seen.kind == LT_WATCH_COLLECTION;
}

enum lt_status lt_gc_export_create(struct lt_session *session, enum lt_format format,
				   const struct lt_sink *to, struct lt_gc_export **ret_export)
{
	struct lt_gc_export *export = calloc(1, sizeof(*export));
	if (export == NULL)
		return lt_fail_memory(session);
	export->session = session;
	export->to = *to;
	export->form = format == LT_FORMAT_CSV     ? &lt_gc_form_csv
		       : format == LT_FORMAT_TRACE ? &lt_gc_form_trace
						   : &lt_gc_form_metrics;
	*ret_export = export;
	return LT_OK;
}

void lt_gc_export_destroy(struct lt_gc_export *export)
{
	if (export == NULL)
		return;
	lt_text_deinit(&export->out);
	lt_map_deinit(&export->threads);
	free(export);
}

static enum lt_status flush(struct lt_gc_export *export, size_t least)
{
	if (export->out.failed)
		return lt_fail_memory(export->session);
	if (export->out.length < least || export->out.length == 0)
		return LT_OK;
	enum lt_status status =
		export->to.add(export->to.ctx, lt_text_get(&export->out), export->out.length);
	lt_text_clear(&export->out);
	return status;
}

static enum lt_status begin(void *ctx, const struct lt_gc_recording *recording)
{
	struct lt_gc_export *export = ctx;
	if (export->form->begin != NULL)
		export->form->begin(export, recording);
	return flush(export, BUFFER_BYTES);
}

static double positive(int64_t count)
{
	return count > 0 ? (double)count : 0;
}

static enum lt_status event(void *ctx, const struct lt_gc_recording *recording,
			    const struct lt_gc_event *one)
{
	struct lt_gc_export *export = ctx;
	/* A collection sets the count of generation 0 to 0: what it was before is what had been made since. */
	if (one->seen.kind == LT_WATCH_COLLECTION)
		export->made += positive(one->seen.before.generations[0].count);
	else if (one->seen.kind == LT_WATCH_MISSED)
		export->made += (double)one->seen.missed *
				positive(one->seen.before.generations[0].threshold);
	if (export->form->event != NULL)
		export->form->event(export, recording, one);
	return flush(export, BUFFER_BYTES);
}

static enum lt_status sample(void *ctx, const struct lt_gc_recording *recording,
			     const struct lt_gc_sample *one)
{
	struct lt_gc_export *export = ctx;
	if (export->form->sample != NULL)
		export->form->sample(export, recording, one);
	return flush(export, BUFFER_BYTES);
}

static enum lt_status tick(void *ctx, const struct lt_gc_recording *recording, bool final)
{
	struct lt_gc_export *export = ctx;
	if (!final)
		return LT_OK;
	if (export->form->end != NULL)
		export->form->end(export, recording);
	return flush(export, 0);
}

struct lt_gc_sink lt_gc_export_sink(struct lt_gc_export *export)
{
	return (struct lt_gc_sink){
		.begin = begin, .event = event, .sample = sample, .tick = tick, .ctx = export};
}
