#include "analysis/leaks.h"

#include "analysis/leaks_parts.h"
#include "analysis/subject.h"
#include "base/cleanup.h"
#include "target/process.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	LOOKS_DEFAULT = 3, /* two cannot tell a burst from a leak */
	LOOKS_LEAST = 2,
	WAIT_SLICE_MS = 100,    /* how often the target's end and the stop flag are looked at */
	LEAST_BYTES = 4 * 1024, /* growth that is not looked at */
};

void lt_leaks_deinit(struct lt_leaks *leaks)
{
	lt_identity_deinit(&leaks->identity);
	free(leaks->suspects);
	lt_retained_deinit(&leaks->tree);
	lt_arena_deinit(&leaks->strings);
	*leaks = (struct lt_leaks){0};
}

bool lt_leaks_has(const struct lt_leaks *leaks, enum lt_severity level)
{
	for (size_t i = 0; i < leaks->suspect_count; i++) {
		if (leaks->suspects[i].finding.severity >= level)
			return true;
	}
	return false;
}

struct watch {
	struct lt_session *session;
	pid_t pid;
	const struct lt_leaks_options *options;
	struct lt_process *process; /* who it was at the start: a PID may be given away */
	struct lt_leaks *leaks;
	size_t wanted; /* looks */
	struct lt_generation generations[LT_LEAKS_LOOKS_MAX];
	size_t generation_count;
	uint64_t started_ns;
};

static enum lt_status ended(struct watch *watch)
{
	struct lt_process *other = lt_process_successor(watch->process);
	lt_session_clear(watch->session);
	if (other != NULL) {
		lt_remedy(watch->session, "Give the PID again: it stands for that program now.");
		enum lt_status status =
			lt_fail(watch->session, LT_E_GONE,
				"process %d became another program while it was watched: %.200s",
				(int)watch->pid, other->command_line);
		lt_process_close(other);
		return status;
	}
	return lt_fail(watch->session, LT_E_GONE, "process %d ended while it was watched",
		       (int)watch->pid);
}

static bool stopped(const struct watch *watch)
{
	return watch->options->stop != NULL && *watch->options->stop != 0;
}

/* Until `at_ns`, the stop flag or the end of the target. */
static enum lt_status wait_until(struct watch *watch, uint64_t at_ns)
{
	uint64_t from = lt_now_ns();
	while (!stopped(watch)) {
		uint64_t now = lt_now_ns();
		if (now >= at_ns)
			return LT_OK;
		if (!lt_process_runs_on(watch->process))
			return ended(watch);
		lt_progress(watch->session, "waiting for the next look", now - from, at_ns - from);
		uint64_t left = at_ns - now;
		if (left > WAIT_SLICE_MS * 1000000u)
			left = WAIT_SLICE_MS * 1000000u;
		const struct timespec slice = {.tv_nsec = (long)left};
		nanosleep(&slice, NULL);
	}
	watch->leaks->ended_early = true;
	return LT_OK;
}

static enum lt_status copy_identity(struct watch *watch, const struct lt_identity *from)
{
	struct lt_identity *to = &watch->leaks->identity;
	lt_identity_deinit(to);
	*to = *from;
	to->command_line = strdup(from->command_line);
	to->executable = strdup(from->executable);
	return to->command_line != NULL && to->executable != NULL ? LT_OK
								  : lt_fail_memory(watch->session);
}

static enum lt_status judge(struct watch *watch, const struct lt_subject *subject)
{
	const struct lt_picture *picture = &subject->picture;
	struct lt_leaks *leaks = watch->leaks;
	struct lt_growth growth = {0};
	struct lt_suspecting suspecting = {
		.findings = {.session = watch->session,
			     .picture = picture,
			     .strings = &leaks->strings},
		.growth = &growth,
		.generations = watch->generations,
		.generation_count = watch->generation_count,
		.subject = subject,
		.leaks = leaks,
		.seconds = leaks->looks[leaks->look_count - 1].at_ms / 1e3,
	};
	LT_TRY(lt_expressions_create(picture, &suspecting.findings.expressions));
	enum lt_status status =
		lt_growth_find(picture, suspecting.findings.expressions, watch->generations,
			       watch->generation_count, LEAST_BYTES, &growth);
	leaks->new_objects = growth.new_objects;
	leaks->new_bytes = growth.new_bytes;
	if (status == LT_OK)
		status = lt_suspects_find(&suspecting);
	lt_expressions_destroy(suspecting.findings.expressions);
	lt_finding_list_deinit(&suspecting.findings.list);
	lt_suspects_deinit(&suspecting.list);
	lt_growth_deinit(&growth);
	return status;
}

/* What mmaps hold outside of them counts as theirs: sys.getsizeof() does not see it. */
static enum lt_status count_buffers(struct lt_subject *subject)
{
	struct lt_picture *picture = &subject->picture;
	uint32_t type_count = lt_types_count(picture->types);
	LT_FREE uint8_t *counts = calloc((size_t)type_count + 1, 1);
	if (counts == NULL)
		return lt_fail_memory(subject->session);
	bool any = false;
	for (uint32_t t = 0; t < type_count; t++) {
		const struct lt_type *type = lt_types_at(picture->types, t);
		counts[t] = type->kind == LT_KIND_OPAQUE &&
			    lt_picture_derives(picture, type, "mmap", "mmap");
		any |= counts[t] != 0;
	}
	for (uint32_t node = 0; any && node < picture->graph.graph.node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		int64_t bytes = 0;
		if (type >= type_count || counts[type] == 0 ||
		    !lt_picture_number(picture, node, LT_DETAIL_BUFFER_BYTES, &bytes) || bytes <= 0)
			continue;
		uint64_t own = lt_heap_graph_size(&picture->graph, node);
		picture->graph.total_bytes -= own;
		if (!lt_heap_graph_set_size(&picture->graph, node, own + (uint64_t)bytes))
			return lt_fail_memory(subject->session);
	}
	return LT_OK;
}

/* The next look, of which `at_ms` and memory are filled in: a generation, or of the last one the suspects. */
static enum lt_status look_at(struct watch *watch, struct lt_subject *subject, bool last)
{
	struct lt_leaks *leaks = watch->leaks;
	struct lt_leaks_look *figures = &leaks->looks[leaks->look_count];
	struct lt_picture *picture = &subject->picture;
	LT_TRY(copy_identity(watch, &subject->identity));
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_TAKEN));
	LT_TRY(count_buffers(subject));
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	figures->objects = picture->graph.graph.node_count;
	figures->bytes = picture->graph.total_bytes;
	figures->threads = subject->identity.thread_count;
	memcpy(figures->region_bytes, subject->identity.region_bytes,
	       sizeof(figures->region_bytes));
	figures->uptime_ms = subject->identity.uptime_ms;
	figures->anonymous_bytes = subject->identity.anonymous_bytes;
	figures->garbage_objects = picture->garbage_count;
	leaks->look_count++;
	if (!last)
		return lt_generation_take(picture, &watch->generations[watch->generation_count++]);
	leaks->heap_objects = picture->graph.graph.node_count;
	leaks->heap_bytes = picture->graph.total_bytes;
	LT_TRY(judge(watch, subject));
	if (!watch->options->tree)
		return LT_OK;
	const struct lt_retained_options tree = LT_RETAINED_FINE;
	return lt_retained_take(subject, &tree, &leaks->tree);
}

static enum lt_status finish_look(struct watch *watch, struct lt_subject *subject,
				  struct lt_leaks_look *figures, enum lt_status status)
{
	status = lt_subject_status(subject, status);
	lt_subject_end(subject);
	figures->stall_ms = subject->cost.stall_ms;
	watch->leaks->cost.stall_ms += subject->cost.stall_ms;
	lt_subject_close(subject);
	return status;
}

static enum lt_status look(struct watch *watch, bool last)
{
	struct lt_leaks *leaks = watch->leaks;
	struct lt_subject *subject = NULL;
	struct lt_leaks_look *figures = &leaks->looks[leaks->look_count];
	char operand[24];
	snprintf(operand, sizeof(operand), "%d", (int)watch->pid);
	enum lt_status status =
		lt_subject_open(watch->session, operand, &watch->options->look, &subject);
	if (status != LT_OK)
		return leaks->look_count > 0 && !lt_process_runs_on(watch->process) ? ended(watch)
										    : status;
	const struct lt_look *taken = subject->look;
	if (leaks->look_count == 0)
		watch->started_ns = taken->started_ns;
	figures->at_ms = (double)(taken->started_ns - watch->started_ns) / 1e6;
	status = lt_process_same_program(taken->process, watch->process)
			 ? look_at(watch, subject, last)
			 : ended(watch);
	return finish_look(watch, subject, figures, status);
}

static enum lt_status watch_all(struct watch *watch)
{
	const struct lt_leaks_options *options = watch->options;
	uint64_t length_ns = (uint64_t)options->seconds * 1000000000u;
	LT_TRY(lt_process_open(watch->session, watch->pid, &watch->process));
	LT_TRY(look(watch, false));
	bool last = false;
	for (size_t i = 1; !last; i++) {
		LT_TRY(wait_until(watch, watch->started_ns + length_ns * i / (watch->wanted - 1)));
		last = watch->leaks->ended_early || i + 1 >= watch->wanted;
		LT_TRY(look(watch, last));
	}
	return LT_OK;
}

static enum lt_status finish(struct watch *watch, enum lt_status status, uint64_t started_ns,
			     struct lt_leaks *ret_leaks)
{
	for (size_t i = 0; i < watch->generation_count; i++)
		lt_generation_deinit(&watch->generations[i]);
	lt_process_close(watch->process);
	LT_TRY(status);
	lt_cost_take(started_ns, &watch->leaks->cost);
	*ret_leaks = *watch->leaks;
	*watch->leaks = (struct lt_leaks){0};
	return LT_OK;
}

enum lt_status lt_leaks_watch(struct lt_session *session, pid_t pid,
			      const struct lt_leaks_options *options, struct lt_leaks *ret_leaks)
{
	LT_CLEANUP(lt_leaks_deinit) struct lt_leaks leaks = {0};
	uint64_t started_ns = lt_now_ns();
	size_t wanted = options->snapshots == 0 ? LOOKS_DEFAULT : options->snapshots;
	if (wanted < LOOKS_LEAST)
		wanted = LOOKS_LEAST;
	if (wanted > LT_LEAKS_LOOKS_MAX)
		wanted = LT_LEAKS_LOOKS_MAX;
	struct watch watch = {.session = session,
			      .pid = pid,
			      .options = options,
			      .leaks = &leaks,
			      .wanted = wanted,
			      .started_ns = started_ns};
	return finish(&watch, watch_all(&watch), started_ns, ret_leaks);
}

/* Addresses mean something within one process only, and the growth of a process goes forward. */
static enum lt_status check_order(struct watch *watch, const struct lt_identity *first,
				  const struct lt_identity *next, const char *operand)
{
	const struct lt_identity *before = &watch->leaks->identity;
	if (next->pid != first->pid || strcmp(next->python, first->python) != 0) {
		lt_remedy(watch->session, "Give snapshots of one process, the oldest first.");
		return lt_fail(watch->session, LT_E_USAGE,
			       "%.200s is of another process (PID %d) than the first (PID %d)",
			       operand, (int)next->pid, (int)first->pid);
	}
	if (next->uptime_ms < before->uptime_ms) {
		lt_remedy(watch->session, "Give snapshots of one process, the oldest first.");
		return lt_fail(watch->session, LT_E_USAGE,
			       "%.200s is older than the one before it, or of an earlier process",
			       operand);
	}
	return LT_OK;
}

static enum lt_status compare_all(struct watch *watch, const char *const *operands, size_t count)
{
	struct lt_leaks *leaks = watch->leaks;
	struct lt_identity first = {0};
	for (size_t i = 0; i < count; i++) {
		struct lt_leaks_look *figures = &leaks->looks[i];
		struct lt_subject *subject = NULL;
		LT_TRY(lt_subject_open(watch->session, operands[i], &watch->options->look,
				       &subject));
		enum lt_status status = LT_OK;
		if (i > 0)
			status = check_order(watch, &first, &subject->identity, operands[i]);
		else
			memcpy(&first, &subject->identity,
			       sizeof(first)); /* its strings are not used */
		if (status == LT_OK) {
			figures->at_ms = (double)(subject->identity.uptime_ms - first.uptime_ms);
			status = look_at(watch, subject, i + 1 == count);
		}
		LT_TRY(finish_look(watch, subject, figures, status));
	}
	return LT_OK;
}

enum lt_status lt_leaks_compare(struct lt_session *session, const char *const *operands,
				size_t count, const struct lt_leaks_options *options,
				struct lt_leaks *ret_leaks)
{
	LT_CLEANUP(lt_leaks_deinit) struct lt_leaks leaks = {0};
	struct watch watch = {.session = session, .options = options, .leaks = &leaks};
	uint64_t started_ns = lt_now_ns();
	if (count < LOOKS_LEAST || count > LT_LEAKS_LOOKS_MAX)
		return lt_fail(session, LT_E_USAGE, "leaks compares 2 to %d snapshots",
			       LT_LEAKS_LOOKS_MAX);
	return finish(&watch, compare_all(&watch, operands, count), started_ns, ret_leaks);
}
