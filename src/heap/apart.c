#include "heap/apart.h"

#include "target/ahead.h"

enum lt_status lt_apart_begin(struct lt_apart *apart, const struct lt_heap *heap,
			      struct lt_heap *mine)
{
	struct lt_view *view = &mine->track.view;
	lt_session_init(&apart->session);
	apart->twin = lt_ahead_twin(heap->track.view.memory);
	if (apart->twin == NULL)
		return lt_fail_memory(&apart->session);
	view->session = &apart->session;
	mine->window = NULL;
	LT_TRY(lt_window_create(&apart->session, apart->twin, &mine->window));
	mine->track.window = mine->window;
	view->memory = lt_window_memory(mine->window);
	return LT_OK;
}

enum lt_status lt_apart_decode(const struct lt_heap *heap, struct lt_types *types,
			       struct lt_heap *mine)
{
	mine->types = mine->track.types = types;
	mine->decoder = NULL;
	return lt_decoder_create_like(heap->decoder, &mine->track.view, types, &mine->decoder);
}

void lt_apart_end(struct lt_apart *apart, struct lt_heap *heap, struct lt_heap *mine)
{
	if (mine->decoder != heap->decoder)
		lt_decoder_destroy(mine->decoder);
	if (mine->types != heap->types)
		lt_types_destroy(mine->types);
	if (mine->window != heap->window)
		lt_window_destroy(mine->window);
	if (apart->twin != NULL) {
		heap->track.view.memory->short_reads += apart->twin->short_reads;
		heap->track.view.session->unreadable += apart->session.unreadable;
		lt_memory_close(apart->twin);
		lt_session_deinit(&apart->session);
	}
	apart->twin = NULL;
	*mine = *heap;
}
