#include "analysis/census.h"

#include "analysis/subject.h"
#include "analysis/tide.h"
#include "analysis/weights.h"
#include "base/cleanup.h"
#include "heap/heap.h"

#include <string.h>

static int by_name(const void *left, const void *right)
{
	const struct lt_composition_row *a = left, *b = right;
	int order = strcmp(a->module, b->module);
	return order != 0 ? order : strcmp(a->type, b->type);
}

static int by_bytes(const void *left, const void *right)
{
	const struct lt_composition_row *a = left, *b = right;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return by_name(left, right);
}

static int by_retained(const void *left, const void *right)
{
	const struct lt_composition_row *a = left, *b = right;
	if (a->retained != b->retained)
		return a->retained < b->retained ? 1 : -1;
	return by_bytes(left, right);
}

enum lt_status lt_composition_of(struct lt_session *session, const struct lt_type_total *totals,
				 size_t count, const uint64_t *retained,
				 struct lt_composition *ret_composition)
{
	LT_CLEANUP(lt_composition_deinit) struct lt_composition composition = {0};
	composition.rows = calloc(count + 1, sizeof(*composition.rows));
	if (composition.rows == NULL)
		return lt_fail_memory(session);
	for (size_t i = 0; i < count; i++) {
		if (totals[i].count == 0)
			continue;
		const struct lt_type *type = totals[i].type;
		struct lt_composition_row *row = &composition.rows[composition.row_count++];
		*row = (struct lt_composition_row){
			.type = lt_arena_copy(&composition.strings, type->name, strlen(type->name)),
			.module = lt_arena_copy(&composition.strings, type->module,
						strlen(type->module)),
			.count = totals[i].count,
			.bytes = totals[i].bytes,
			.retained = retained != NULL ? retained[i] : 0,
		};
		if (row->type == NULL || row->module == NULL)
			return lt_fail_memory(session);
		composition.count += row->count;
		composition.bytes += row->bytes;
	}
	/* Types of one name (a class made again and again) become one row. */
	qsort(composition.rows, composition.row_count, sizeof(*composition.rows), by_name);
	size_t kept = 0;
	for (size_t i = 0; i < composition.row_count; i++) {
		struct lt_composition_row *row = &composition.rows[i];
		if (kept > 0 && by_name(&composition.rows[kept - 1], row) == 0) {
			composition.rows[kept - 1].count += row->count;
			composition.rows[kept - 1].bytes += row->bytes;
			composition.rows[kept - 1].retained += row->retained;
		} else {
			composition.rows[kept++] = *row;
		}
	}
	composition.row_count = kept;
	composition.weighed = retained != NULL;
	qsort(composition.rows, composition.row_count, sizeof(*composition.rows),
	      retained != NULL ? by_retained : by_bytes);
	*ret_composition = composition;
	composition = (struct lt_composition){0};
	return LT_OK;
}

void lt_composition_deinit(struct lt_composition *composition)
{
	free(composition->rows);
	lt_arena_deinit(&composition->strings);
	*composition = (struct lt_composition){0};
}

static void close_heap(struct lt_heap **heap)
{
	lt_heap_close(*heap);
}

/* A file has the totals of its types. */
static enum lt_status take_stored(struct lt_subject *subject, bool all,
				  struct lt_composition *ret_composition)
{
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	LT_TRY(lt_tide_totals(subject->tide, all, &totals));
	LT_TRY(lt_composition_of(subject->session, totals.data, totals.count, NULL,
				 ret_composition));
	struct lt_tide_counts counts = lt_tide_count(subject->tide);
	ret_composition->tracked = counts.tracked;
	ret_composition->permanent = counts.permanent;
	ret_composition->proved = counts.proved;
	ret_composition->all = all;
	return LT_OK;
}

static enum lt_status take_tracked(struct lt_subject *subject,
				   struct lt_composition *ret_composition)
{
	LT_CLEANUP(close_heap) struct lt_heap *heap = NULL;
	LT_CLEANUP(lt_census_deinit) struct lt_census census = {0};
	LT_TRY(lt_heap_open(subject->look->view, &heap));
	LT_TRY(lt_heap_census_tracked(heap, &census));
	LT_TRY(lt_composition_of(subject->session, census.totals.data, census.totals.count, NULL,
				 ret_composition));
	ret_composition->tracked = census.tracked;
	ret_composition->permanent = census.permanent;
	ret_composition->proved = census.proved;
	return LT_OK;
}

static enum lt_status take_all(struct lt_subject *subject, bool weigh,
			       struct lt_composition *ret_composition)
{
	const struct lt_picture *picture = &subject->picture;
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	LT_FREE uint64_t *retained = NULL;
	LT_TRY(lt_subject_picture(subject, weigh ? LT_PICTURE_WEIGHED : LT_PICTURE_TAKEN));
	LT_TRY(lt_picture_totals(picture, &totals));
	if (weigh)
		LT_TRY(lt_weights_of_types(picture, &retained));
	LT_TRY(lt_composition_of(subject->session, totals.data, totals.count, retained,
				 ret_composition));
	ret_composition->tracked = picture->graph.tracked;
	ret_composition->permanent = picture->graph.permanent;
	ret_composition->proved = picture->graph.proved;
	ret_composition->all = true;
	return LT_OK;
}

enum lt_status lt_composition_take(struct lt_subject *subject, enum lt_composition_scope scope,
				   struct lt_composition *ret_composition)
{
	LT_CLEANUP(lt_composition_deinit) struct lt_composition composition = {0};
	enum lt_status status;
	if (subject->tide != NULL && scope != LT_COMPOSITION_RETAINED)
		status = take_stored(subject, scope == LT_COMPOSITION_ALL, &composition);
	else if (scope == LT_COMPOSITION_TRACKED)
		status = take_tracked(subject, &composition);
	else
		status = take_all(subject, scope == LT_COMPOSITION_RETAINED, &composition);
	LT_TRY(lt_subject_status(subject, status));
	*ret_composition = composition;
	composition = (struct lt_composition){0};
	return LT_OK;
}
