#include "analysis/gc_signals.h"

#include "analysis/gc_callbacks.h"
#include "heap/fields.h"
#include "heap/signals.h"
#include "heap/types.h"

#include <string.h>

struct lt_gc_signals {
	const struct lt_view *view;
	struct lt_types *types;
	bool looked_for, fresh; /* for the table; what is below is of this round */
	lt_addr table;
	lt_addr handlers[LT_SIGNALS];
	lt_addr codes[LT_SIGNALS]; /* of those that are functions, else 0 */
	bool any;                  /* one of them is */
};

enum lt_status lt_gc_signals_create(const struct lt_view *view, struct lt_gc_signals **ret_signals)
{
	struct lt_gc_signals *signals = calloc(1, sizeof(*signals));
	if (signals == NULL)
		return lt_fail_memory(view->session);
	signals->view = view;
	enum lt_status status = lt_types_create(view, &signals->types);
	if (status == LT_OK)
		*ret_signals = signals;
	else
		lt_gc_signals_destroy(signals);
	return status;
}

void lt_gc_signals_destroy(struct lt_gc_signals *signals)
{
	if (signals == NULL)
		return;
	lt_types_destroy(signals->types);
	free(signals);
}

void lt_gc_signals_round(struct lt_gc_signals *signals)
{
	signals->fresh = false;
}

static lt_addr code_of(struct lt_gc_signals *signals, lt_addr handler)
{
	const struct lt_type *type = NULL;
	lt_addr function = lt_gc_function_of(signals->view, signals->types, handler, &type);
	return type != NULL && type->kind == LT_KIND_FUNCTION
		       ? lt_read_pointer(signals->view, function, LT_PyFunctionObject_func_code)
		       : 0;
}

static void refresh(struct lt_gc_signals *signals)
{
	lt_addr handlers[LT_SIGNALS];
	signals->fresh = true;
	if (!signals->looked_for)
		signals->table = lt_signals_find(signals->view);
	signals->looked_for = true;
	if (!lt_signals_read(signals->view, signals->table, handlers))
		return;
	signals->any = false;
	for (int i = 1; i < LT_SIGNALS; i++) {
		if (handlers[i] != signals->handlers[i])
			signals->codes[i] = code_of(signals, handlers[i]);
		signals->handlers[i] = handlers[i];
		signals->any |= signals->codes[i] != 0;
	}
}

int lt_gc_signals_of(struct lt_gc_signals *signals, const struct lt_watch_event *event)
{
	/* Handlers run in the main interpreter only. */
	if (event->interpreter != 0 || event->frame_count == 0)
		return 0;
	if (!signals->fresh)
		refresh(signals);
	for (uint32_t f = 0; signals->any && f < event->frame_count && f < LT_WATCH_FRAMES; f++) {
		for (int i = 1; i < LT_SIGNALS; i++) {
			if (signals->codes[i] != 0 && signals->codes[i] == event->frames[f].code)
				return i;
		}
	}
	return 0;
}
