#include "analysis/open.h"

#include "base/cleanup.h"
#include "heap/interpreters.h"
#include "target/maps.h"

#include <stdio.h>
#include <string.h>

struct full_look {
	struct lt_look look;
	struct lt_view view; /* on the frozen memory */
};

void lt_identity_deinit(struct lt_identity *identity)
{
	free(identity->command_line);
	free(identity->executable);
	*identity = (struct lt_identity){0};
}

void lt_cost_take(uint64_t started_ns, struct lt_cost *cost)
{
	/* VmHWM, since ru_maxrss begins with that of the parent. */
	LT_FCLOSE FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long long kib = 0;
	while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
		if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
			break;
	}
	cost->peak_bytes = (uint64_t)kib * 1024;
	cost->elapsed_ms = (double)(lt_now_ns() - started_ns) / 1e6;
}

enum lt_status lt_look_status(struct lt_look *look, enum lt_status status)
{
	struct lt_session *session = look->session;
	bool alive = look->process != NULL && lt_process_alive(look->process);
	if (alive || status == LT_E_NO_MEMORY || status == LT_E_GONE || look->process == NULL)
		return status;
	/* A frozen child outlives its parent, unless what killed the one killed both. */
	if (status == LT_OK && look->identity.mode == LT_MODE_FORK && look->freeze != NULL) {
		uint64_t word;
		if (lt_memory_probe(look->freeze->memory, look->python->runtime, &word,
				    sizeof(word)) == sizeof(word))
			return LT_OK;
	}
	lt_session_clear(session);
	return lt_fail(session, LT_E_GONE, "process %d ended while it was looked at",
		       (int)look->identity.pid);
}

static enum lt_status open_steps(struct full_look *full, pid_t pid,
				 const struct lt_look_options *options)
{
	struct lt_look *look = &full->look;
	struct lt_session *session = look->session;
	LT_TRY(lt_process_open(session, pid, &look->process));
	LT_TRY(lt_process_memory(session, look->process, &look->live));
	LT_TRY(lt_python_find(session, look->process, look->live, &look->python));

	struct lt_identity *identity = &look->identity;
	snprintf(identity->python, sizeof(identity->python), "%s", look->python->version);
	identity->command_line =
		strdup(look->process->command_line != NULL ? look->process->command_line : "");
	identity->executable = strdup(look->process->executable);
	if (identity->command_line == NULL || identity->executable == NULL)
		return lt_fail_memory(session);
	identity->uptime_ms = look->process->uptime_ms;
	identity->rss_bytes = look->process->rss_bytes;
	identity->anonymous_bytes = look->process->anonymous_bytes;
	lt_maps_regions(&look->process->mappings, identity->region_bytes);
	identity->thread_count = look->process->thread_count;

	full->view = (struct lt_view){
		.session = session,
		.memory = look->live,
		.python = look->python,
		.layout = look->python->layout,
		.process = look->process,
	};
	look->view = &full->view;
	const struct lt_freeze_probe probe = {
		.ctx = &full->view,
		.collecting = lt_interpreters_collecting,
		.gil_holder = lt_interpreters_gil_holder,
	};
	const struct lt_freeze_options freeze = {.mode = options->mode,
						 .ignore_headroom = options->ignore_headroom};
	if (options->before != NULL)
		LT_TRY(options->before(options->ctx, session, look->process));
	LT_TRY(lt_freeze_begin(session, look->process, &probe, &freeze, &look->freeze));
	/* The picture is of now: so are its mappings. */
	if (options->mode != LT_MODE_LIVE)
		LT_TRY(lt_process_refresh(session, look->process));
	full->view.memory = look->freeze->memory;
	return LT_OK;
}

enum lt_status lt_look_open(struct lt_session *session, pid_t pid,
			    const struct lt_look_options *options, struct lt_look **ret_look)
{
	struct full_look *full = calloc(1, sizeof(*full));
	if (full == NULL)
		return lt_fail_memory(session);
	struct lt_look *look = &full->look;
	look->session = session;
	look->started_ns = lt_now_ns();
	look->identity.pid = pid;
	look->identity.mode = options->mode;
	enum lt_status status = open_steps(full, pid, options);
	if (status != LT_OK) {
		if (look->process != NULL)
			status = lt_look_status(look, status);
		lt_look_close(look);
		return status;
	}
	*ret_look = look;
	return LT_OK;
}

void lt_look_end(struct lt_look *look)
{
	if (look->cost.elapsed_ms > 0)
		return;
	uint64_t stop_ns = 0;
	if (look->freeze != NULL) {
		lt_freeze_release(look->session, look->freeze);
		stop_ns = look->freeze->stall_ns;
		lt_freeze_end(look->session, look->freeze);
		look->freeze = NULL;
		look->view->memory = look->live;
	}
	look->cost.stall_ms = (double)stop_ns / 1e6;
	lt_cost_take(look->started_ns, &look->cost);
}

void lt_look_close(struct lt_look *look)
{
	if (look == NULL)
		return;
	lt_look_end(look);
	lt_python_close(look->python);
	lt_memory_close(look->live);
	lt_process_close(look->process);
	lt_identity_deinit(&look->identity);
	free(look);
}
