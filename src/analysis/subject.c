#include "analysis/subject.h"

#include "analysis/tide.h"

#include "base/cleanup.h"

#include <limits.h>
#include <string.h>

bool lt_subject_is_pid(const char *operand)
{
	return operand[0] != '\0' && operand[strspn(operand, "0123456789")] == '\0';
}

enum lt_status lt_subject_of_look(struct lt_look *look, struct lt_subject **ret_subject)
{
	struct lt_subject *subject = calloc(1, sizeof(*subject));
	if (subject == NULL)
		return lt_fail_memory(look->session);
	subject->session = look->session;
	enum lt_status status =
		lt_look_status(look, lt_collectors_read(look->view, &subject->collectors,
							&subject->collector_count));
	if (status != LT_OK) {
		lt_subject_close(subject);
		return status;
	}
	subject->look = look;
	subject->identity = look->identity;
	*ret_subject = subject;
	return LT_OK;
}

static enum lt_status open_process(struct lt_session *session, const char *operand,
				   const struct lt_look_options *options,
				   struct lt_subject **ret_subject)
{
	unsigned long pid = strlen(operand) <= 10 ? strtoul(operand, NULL, 10) : 0;
	struct lt_look *look = NULL;
	if (pid == 0 || pid > INT_MAX)
		return lt_fail(session, LT_E_USAGE, "'%.100s' is not a process ID", operand);
	LT_TRY(lt_look_open(session, (pid_t)pid, options, &look));
	enum lt_status status = lt_subject_of_look(look, ret_subject);
	if (status != LT_OK)
		lt_look_close(look);
	return status;
}

static enum lt_status open_file(struct lt_session *session, const char *path,
				struct lt_subject **ret_subject)
{
	struct lt_subject *subject = calloc(1, sizeof(*subject));
	if (subject == NULL)
		return lt_fail_memory(session);
	subject->session = session;
	subject->started_ns = lt_now_ns();
	enum lt_status status = lt_tide_open(subject, path, &subject->tide);
	if (status != LT_OK) {
		lt_subject_close(subject);
		return status;
	}
	*ret_subject = subject;
	return LT_OK;
}

enum lt_status lt_subject_open(struct lt_session *session, const char *operand,
			       const struct lt_look_options *options,
			       struct lt_subject **ret_subject)
{
	return lt_subject_is_pid(operand) ? open_process(session, operand, options, ret_subject)
					  : open_file(session, operand, ret_subject);
}

static enum lt_status take(struct lt_subject *subject)
{
	if (subject->tide != NULL)
		return lt_tide_picture(subject->tide, &subject->picture);
	LT_TRY(lt_picture_take(subject->look->view, subject->visit, &subject->picture));
	/* The graph joins the objects of all interpreters: only of a single one these are its counts. */
	if (subject->collector_count == 1) {
		subject->collectors[0].tracked = subject->picture.graph.tracked;
		subject->collectors[0].frozen = subject->picture.graph.permanent;
	}
	return LT_OK;
}

static enum lt_status next_step(struct lt_subject *subject)
{
	struct lt_picture *picture = &subject->picture;
	if (!subject->taken) {
		LT_TRY(take(subject));
		subject->taken = true;
		subject->step = LT_PICTURE_TAKEN;
		return LT_OK;
	}
	switch (subject->step) {
	case LT_PICTURE_TAKEN:
		lt_progress(subject->session, "what is alive", 0, 0);
		LT_TRY(lt_picture_life(picture));
		subject->step = LT_PICTURE_LIFE;
		return LT_OK;
	case LT_PICTURE_LIFE:
		lt_progress(subject->session, "ways to the objects", 0, 0);
		LT_TRY(lt_picture_ways(picture));
		subject->step = LT_PICTURE_WAYS;
		return LT_OK;
	default:
		lt_progress(subject->session, "what keeps what alive", 0, 0);
		LT_TRY(lt_picture_weigh(picture));
		subject->step = LT_PICTURE_WEIGHED;
		return LT_OK;
	}
}

enum lt_status lt_subject_picture(struct lt_subject *subject, enum lt_picture_step step)
{
	while (!subject->taken || subject->step < step)
		LT_TRY(lt_subject_status(subject, next_step(subject)));
	return LT_OK;
}

enum lt_status lt_subject_status(struct lt_subject *subject, enum lt_status status)
{
	if (subject->tide != NULL)
		return status == LT_OK ? lt_tide_status(subject->tide) : status;
	return subject->look != NULL ? lt_look_status(subject->look, status) : status;
}

void lt_subject_end(struct lt_subject *subject)
{
	if (subject->look == NULL) {
		lt_cost_take(subject->started_ns, &subject->cost);
		return;
	}
	if (subject->picture.heap != NULL && !subject->ended)
		lt_heap_let_go(subject->picture.heap);
	subject->ended = true;
	lt_look_end(subject->look);
	subject->cost = subject->look->cost;
}

void lt_subject_close(struct lt_subject *subject)
{
	if (subject == NULL)
		return;
	if (subject->look == NULL)
		lt_identity_deinit(&subject->identity);
	lt_picture_deinit(&subject->picture);
	free(subject->collectors);
	lt_tide_close(subject->tide);
	lt_look_close(subject->look);
	free(subject);
}
