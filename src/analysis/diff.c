#include "analysis/diff.h"

#include "analysis/growth.h"
#include "analysis/pick.h"
#include "analysis/subject.h"
#include "analysis/weights.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	HOLDERS_DEFAULT = 10,
	LEAST_BYTES = 1024, /* growth of a holder that counts */
};

void lt_diff_deinit(struct lt_diff *diff)
{
	lt_diff_types_deinit(&diff->types);
	lt_diff_holders_deinit(&diff->holders);
	lt_identity_deinit(&diff->identity);
	lt_arena_deinit(&diff->strings);
	*diff = (struct lt_diff){0};
}

static const char *keep(struct lt_diff *diff, const struct lt_text *text)
{
	const char *copy = lt_arena_copy(&diff->strings, lt_text_get(text), text->length);
	return copy != NULL ? copy : "";
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

/* Adds the types of one side to the rows; types of one name are one row. */
static enum lt_status add_types(struct lt_diff *diff, const struct lt_picture *picture, int side,
				struct lt_map *index)
{
	struct lt_session *session = picture->session;
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	LT_FREE uint64_t *retained = NULL;
	LT_TRY(lt_picture_totals(picture, &totals));
	LT_TRY(lt_weights_of_types(picture, &retained));
	for (size_t t = 0; t < totals.count; t++) {
		if (totals.data[t].count == 0)
			continue;
		LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
		lt_type_name_add(&name, totals.data[t].type);
		uint64_t *at = lt_map_at(index, hash_text(lt_text_get(&name)), diff->types.count);
		if (at == NULL)
			return lt_fail_memory(session);
		if (*at == diff->types.count &&
		    !lt_diff_types_push(&diff->types,
					(struct lt_diff_type){.type = keep(diff, &name)}))
			return lt_fail_memory(session);
		if (*at >= diff->types.count || diff->types.data == NULL)
			return lt_fail_memory(session);
		struct lt_diff_type *row = &diff->types.data[*at];
		row->count[side] += totals.data[t].count;
		row->bytes[side] += totals.data[t].bytes;
		row->retained[side] += retained[t];
	}
	return LT_OK;
}

static void take_side(struct lt_diff *diff, const struct lt_subject *subject, int side)
{
	struct lt_diff_side *figures = &diff->side[side];
	figures->pid = subject->identity.pid;
	memcpy(figures->python, subject->identity.python, sizeof(figures->python));
	figures->uptime_ms = subject->identity.uptime_ms;
	figures->rss_bytes = subject->identity.rss_bytes;
	figures->objects = subject->picture.graph.graph.node_count;
	figures->bytes = subject->picture.graph.total_bytes;
}

static int by_growth(const void *left, const void *right)
{
	const struct lt_diff_type *a = left, *b = right;
	int64_t more_a = (int64_t)(a->bytes[1] - a->bytes[0]);
	int64_t more_b = (int64_t)(b->bytes[1] - b->bytes[0]);
	if (more_a != more_b)
		return more_a < more_b ? 1 : -1;
	int64_t objects_a = (int64_t)(a->count[1] - a->count[0]);
	int64_t objects_b = (int64_t)(b->count[1] - b->count[0]);
	if (objects_a != objects_b)
		return objects_a < objects_b ? 1 : -1;
	return strcmp(a->type, b->type);
}

/* Leaves out what is as it was, and sorts. */
static void finish_types(struct lt_diff *diff)
{
	size_t kept = 0;
	for (size_t i = 0; i < diff->types.count; i++) {
		const struct lt_diff_type *row = &diff->types.data[i];
		if (row->count[0] != row->count[1] || row->bytes[0] != row->bytes[1] ||
		    row->retained[0] != row->retained[1])
			diff->types.data[kept++] = *row;
	}
	diff->types.count = kept;
	if (kept > 0)
		qsort(diff->types.data, kept, sizeof(*diff->types.data), by_growth);
}

static enum lt_status add_holder(struct lt_diff *diff, const struct lt_picture *picture,
				 struct lt_expressions *expressions,
				 const struct lt_growth_point *point)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	struct lt_diff_holder holder = {
		.expression = "",
		.where = "",
		.type = "",
		.item = "",
		.example = "",
		.objects = point->objects,
		.bytes = point->bytes,
		.retained = point->retained,
		.shared = point->shared,
		.has_length = point->container,
		.length = {point->length[0], point->length[1]},
	};
	if (point->node != LT_NO_NODE) {
		lt_expression_write(expressions, point->node, &text, &where);
		holder.expression = keep(diff, &text);
		holder.where = keep(diff, &where);
		lt_text_clear(&text);
		lt_node_type_add(&text, picture, point->node);
		holder.type = keep(diff, &text);
		holder.address = lt_picture_address(picture, point->node);
	}
	if (point->sample != LT_NO_NODE) {
		lt_text_clear(&text);
		lt_node_type_add(&text, picture, point->sample);
		holder.item = keep(diff, &text);
		lt_text_clear(&text);
		lt_expression_write(expressions, point->sample, &text, NULL);
		holder.example = keep(diff, &text);
	}
	return lt_diff_holders_push(&diff->holders, holder) ? LT_OK
							    : lt_fail_memory(picture->session);
}

static void destroy_expressions(struct lt_expressions **expressions)
{
	lt_expressions_destroy(*expressions);
}

static enum lt_status add_holders(struct lt_diff *diff, const struct lt_picture *picture,
				  const struct lt_generation *before, size_t top)
{
	LT_CLEANUP(destroy_expressions) struct lt_expressions *expressions = NULL;
	LT_CLEANUP(lt_growth_deinit) struct lt_growth growth = {0};
	LT_TRY(lt_expressions_create(picture, &expressions));
	LT_TRY(lt_growth_find(picture, expressions, before, 1, LEAST_BYTES, &growth));
	for (size_t i = 0; i < growth.points.count && i < top; i++)
		LT_TRY(add_holder(diff, picture, expressions, &growth.points.data[i]));
	diff->new_objects = growth.new_objects;
	diff->new_bytes = growth.new_bytes;
	uint64_t stayed = diff->side[1].objects - growth.new_objects;
	diff->gone_objects = diff->side[0].objects > stayed ? diff->side[0].objects - stayed : 0;
	return LT_OK;
}

/* One process at two moments; a later one of the same PID started later than it ran on. */
static bool same_process(const struct lt_diff *diff)
{
	return diff->side[0].pid == diff->side[1].pid &&
	       strcmp(diff->side[0].python, diff->side[1].python) == 0 &&
	       diff->side[1].uptime_ms >= diff->side[0].uptime_ms;
}

static enum lt_status take_before(struct lt_diff *diff, struct lt_subject *subject,
				  struct lt_map *index, struct lt_generation *generation)
{
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	take_side(diff, subject, 0);
	LT_TRY(add_types(diff, &subject->picture, 0, index));
	return lt_generation_take(&subject->picture, generation);
}

static enum lt_status take_after(struct lt_diff *diff, struct lt_subject *subject,
				 struct lt_map *index, const struct lt_generation *generation,
				 size_t top)
{
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	take_side(diff, subject, 1);
	LT_TRY(add_types(diff, &subject->picture, 1, index));
	finish_types(diff);
	diff->matched = same_process(diff);
	if (diff->matched)
		return add_holders(diff, &subject->picture, generation, top);
	lt_warn(subject->session, "%s: only the types are compared",
		diff->side[0].pid == diff->side[1].pid
			? "the first is younger than the second, or of an earlier process"
			: "these are two processes, whose objects have nothing to do with each "
			  "other");
	return LT_OK;
}

/* Ends a look, and takes what it cost and, from the second, who it was. */
static enum lt_status end_look(struct lt_diff *diff, struct lt_subject *subject, int side,
			       enum lt_status status)
{
	status = lt_subject_status(subject, status);
	lt_subject_end(subject);
	diff->cost.stall_ms += subject->cost.stall_ms;
	if (side == 1 && status == LT_OK) {
		const char *line = subject->identity.command_line;
		const char *executable = subject->identity.executable;
		diff->identity = subject->identity;
		diff->identity.command_line = strdup(line != NULL ? line : "");
		diff->identity.executable = strdup(executable != NULL ? executable : "");
		if (diff->identity.command_line == NULL || diff->identity.executable == NULL)
			status = lt_fail_memory(subject->session);
	}
	lt_subject_close(subject);
	return status;
}

enum lt_status lt_diff_take(struct lt_session *session, const char *const operands[2],
			    const struct lt_look_options *options, size_t top,
			    struct lt_diff *ret_diff)
{
	LT_CLEANUP(lt_diff_deinit) struct lt_diff diff = {0};
	LT_CLEANUP(lt_map_deinit) struct lt_map index = {0};
	LT_CLEANUP(lt_generation_deinit) struct lt_generation generation = {0};
	uint64_t started_ns = lt_now_ns();
	struct lt_subject *subject = NULL;
	LT_TRY(lt_subject_open(session, operands[0], options, &subject));
	LT_TRY(end_look(&diff, subject, 0, take_before(&diff, subject, &index, &generation)));
	subject = NULL;
	LT_TRY(lt_subject_open(session, operands[1], options, &subject));
	LT_TRY(end_look(
		&diff, subject, 1,
		take_after(&diff, subject, &index, &generation, top != 0 ? top : HOLDERS_DEFAULT)));
	lt_cost_take(started_ns, &diff.cost);
	*ret_diff = diff;
	diff = (struct lt_diff){0};
	return LT_OK;
}
