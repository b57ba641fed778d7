#include "analysis/gc_record.h"

#include "analysis/gc_callbacks.h"
#include "analysis/gc_causes.h"
#include "analysis/gc_keep.h"
#include "analysis/gc_signals.h"
#include "analysis/gc_stacks.h"
#include "base/cleanup.h"
#include "target/proc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	SECOND_NS = 1000000000,
	SLICE_NS = 100000000, /* how often the stop flag is looked at */
	STAT_UTIME = 14,      /* fields of /proc/PID/stat, proc(5) */
	STAT_STIME = 15,
	STAT_THREADS = 20,
	STAT_RSS = 24,
};

struct recorder {
	struct lt_session *session;
	const struct lt_gc_record_options *options;
	struct lt_process *process;
	struct lt_memory *live;
	struct lt_python *python;
	struct lt_view view;
	struct lt_watch *watch;
	struct lt_watch_path *path;        /* NULL: none */
	struct lt_young *young;            /* the same */
	struct lt_gc_generation looked_at; /* by it */
	struct lt_gc_stacks *stacks;
	struct lt_gc_signals *signals;
	struct lt_watch_events batch;
	struct lt_gc_recording recording;
	struct lt_gc_keep keep;
	uint64_t last_ns;    /* where the recording ends; 0: not yet known */
	lt_addr frozen_last; /* when it was found out last whether the program had frozen objects, */
	bool frozen;         /* and whether it had */
};

static void deinit(struct recorder *recorder)
{
	lt_gc_stacks_destroy(recorder->stacks);
	lt_gc_signals_destroy(recorder->signals);
	lt_watch_path_close(recorder->path, NULL);
	lt_young_close(recorder->young);
	lt_watch_close(recorder->watch);
	lt_watch_events_deinit(&recorder->batch);
	lt_python_close(recorder->python);
	lt_memory_close(recorder->live);
	lt_process_close(recorder->process);
	lt_gc_recording_deinit(&recorder->recording);
}

static enum lt_status identify(struct recorder *recorder, pid_t pid)
{
	struct lt_session *session = recorder->session;
	LT_TRY(lt_process_open(session, pid, &recorder->process));
	LT_TRY(lt_process_memory(session, recorder->process, &recorder->live));
	LT_TRY(lt_python_find(session, recorder->process, recorder->live, &recorder->python));
	const struct lt_process *process = recorder->process;
	struct lt_identity *identity = &recorder->recording.identity;
	bool redact = recorder->recording.redacted = recorder->options->redact;
	const char *slash = redact ? strrchr(process->executable, '/') : NULL;
	bool named = process->command_line != NULL && !redact;
	*identity = (struct lt_identity){
		.pid = pid,
		.command_line = strdup(named ? process->command_line : ""),
		.executable = strdup(slash != NULL ? slash + 1 : process->executable),
		.uptime_ms = process->uptime_ms,
		.rss_bytes = process->rss_bytes,
		.anonymous_bytes = process->anonymous_bytes,
		.thread_count = process->thread_count,
		.mode = LT_MODE_LIVE,
	};
	snprintf(identity->python, sizeof(identity->python), "%s", recorder->python->version);
	if (identity->command_line == NULL || identity->executable == NULL)
		return lt_fail_memory(session);
	recorder->view = (struct lt_view){
		.session = session,
		.memory = recorder->live,
		.python = recorder->python,
		.layout = recorder->python->layout,
		.process = recorder->process,
	};
	return LT_OK;
}

static int64_t unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until when a wait that was to see everything until `asked_ns` has; that when the process ended instead. */
static uint64_t seen_since(const struct recorder *recorder, uint64_t asked_ns)
{
	uint64_t seen_ns = lt_watch_seen_ns(recorder->watch);
	return seen_ns > asked_ns ? seen_ns : asked_ns;
}

/*
 * The recording begins where the first wait has seen everything: what came before is taken out, and by polling it is
 * never one event with what comes after. What the wait brought of later is of the recording.
 */
static enum lt_status begin_watching(struct recorder *recorder)
{
	LT_TRY(lt_watch_open(&recorder->view, &recorder->options->watch, &recorder->watch));
	struct lt_gc_recording *recording = &recorder->recording;
	uint64_t now_ns = lt_now_ns();
	enum lt_status status = lt_watch_wait(recorder->watch, now_ns, &recorder->batch);
	recording->start_unix_ms = unix_ms();
	recording->start_ns = recording->end_ns = seen_since(recorder, now_ns);
	if (status == LT_E_GONE) /* met again by the next wait */
		lt_session_clear(recorder->session);
	return status == LT_E_GONE ? LT_OK : status;
}

static enum lt_status begin(struct recorder *recorder)
{
	struct lt_gc_recording *recording = &recorder->recording;
	const struct lt_layout *layout = recorder->view.layout;
	struct lt_gc_state state;
	LT_TRY(begin_watching(recorder));
	LT_TRY(lt_gc_stacks_create(&recorder->view, recording, &recorder->stacks));
	LT_TRY(lt_gc_signals_create(&recorder->view, &recorder->signals));
	recording->source = lt_watch_source(recorder->watch);
	for (int better = 0; better < (int)recording->source && *recording->why_not == '\0';
	     better++)
		snprintf(recording->why_not, sizeof(recording->why_not), "%s",
			 lt_watch_why_not(recorder->watch, (enum lt_watch_source)better));
	recording->usual_thresholds[0] = lt_fact(layout, LT_FACT_gc_threshold0);
	recording->usual_thresholds[1] = lt_fact(layout, LT_FACT_gc_threshold1);
	recording->usual_thresholds[2] = lt_fact(layout, LT_FACT_gc_threshold2);
	recording->quarter_rule = lt_fact(layout, LT_FACT_gc_quarter_rule) != 0;
	recording->incremental = lt_fact(layout, LT_FACT_gc_incremental) != 0;
	recording->at_eval_breaker = lt_fact(layout, LT_FACT_gc_at_eval_breaker) != 0;
	LT_TRY(lt_watch_state(recorder->watch, &state));
	LT_TRY(lt_gc_callbacks_read(&recorder->view, state.callbacks, recording));
	if (recorder->options->path != LT_GC_PATH_NONE) {
		const struct lt_watch_path_options how = {.cheap = recorder->options->path ==
								   LT_GC_PATH_CHEAP};
		LT_TRY(lt_watch_path_open(&recorder->view, &how, &recorder->path));
		LT_TRY(lt_young_open(&recorder->view, &recorder->young));
	}
	for (size_t i = 0; i < recorder->options->sink_count; i++) {
		const struct lt_gc_sink *sink = &recorder->options->sinks[i];
		if (sink->begin != NULL)
			LT_TRY(sink->begin(sink->ctx, recording));
	}
	return LT_OK;
}

/*
 * Objects that the collector tracks. Where no release keeps count of them: what survived the last full
 * collection, what grew old since, and what is new; those in between are not counted anywhere.
 */
static int64_t tracked(const struct lt_gc_state *state)
{
	if (state->heap_size >= 0)
		return state->heap_size;
	int64_t young = state->generations[0].count > 0 ? state->generations[0].count : 0;
	if (state->long_lived_total > INT64_MAX / 4 || state->long_lived_pending > INT64_MAX / 4)
		return -1;
	return (int64_t)(state->long_lived_total + state->long_lived_pending) + young;
}

/* False: the process is gone. */
static bool take_sample(struct recorder *recorder, struct lt_gc_sample *sample)
{
	char path[64], text[1024];
	uint64_t user = 0, system = 0, threads = 0, pages = 0;
	long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)recorder->process->pid);
	*sample = (struct lt_gc_sample){.at_ns = lt_now_ns()};
	if (!lt_process_alive(recorder->process) || !lt_proc_read(path, text, sizeof(text)) ||
	    !lt_proc_stat_field(text, STAT_UTIME, &user) ||
	    !lt_proc_stat_field(text, STAT_STIME, &system) ||
	    !lt_proc_stat_field(text, STAT_THREADS, &threads) ||
	    !lt_proc_stat_field(text, STAT_RSS, &pages))
		return false;
	if (lt_watch_state(recorder->watch, &sample->state) != LT_OK) {
		lt_session_clear(recorder->session);
		return false;
	}
	if (sample->state.frozen_last != recorder->frozen_last) {
		recorder->frozen_last = sample->state.frozen_last;
		recorder->frozen = lt_gc_frozen_by_program(&recorder->view, &sample->state);
	}
	sample->state.frozen = recorder->frozen && sample->state.frozen;
	sample->rss_bytes = pages * (uint64_t)(page > 0 ? page : 4096);
	sample->cpu_ns = (user + system) * (SECOND_NS / (uint64_t)(ticks > 0 ? ticks : 100));
	sample->threads = threads > UINT32_MAX ? UINT32_MAX : (unsigned)threads;
	sample->tracked = tracked(&sample->state);
	return true;
}

/* A list that is as it was at the last look has been looked at. */
static void look_at_young(struct recorder *recorder, const struct lt_gc_generation *youngest)
{
	struct lt_gc_generation *looked_at = &recorder->looked_at;
	if (recorder->young == NULL || (looked_at->count == youngest->count &&
					looked_at->collections == youngest->collections))
		return;
	*looked_at = *youngest;
	lt_young_look(recorder->young, youngest->head, youngest->count, &recorder->recording.young);
}

static enum lt_status hand_on(struct recorder *recorder, const struct lt_gc_sample *now, bool edge)
{
	struct lt_gc_recording *recording = &recorder->recording;
	recording->end_ns = now->at_ns;
	look_at_young(recorder, &now->state.generations[0]);
	for (size_t i = 0; i < recorder->options->sink_count; i++) {
		const struct lt_gc_sink *sink = &recorder->options->sinks[i];
		if (sink->sample != NULL)
			LT_TRY(sink->sample(sink->ctx, recording, now));
	}
	return lt_gc_keep_sample(recorder->session, &recorder->keep, recording, now, edge);
}

/* At the beginning, or at a full second. */
static enum lt_status sample(struct recorder *recorder, bool edge)
{
	struct lt_gc_sample now;
	return take_sample(recorder, &now) ? hand_on(recorder, &now, edge) : LT_OK;
}

static enum lt_status tick(struct recorder *recorder, bool final)
{
	for (size_t i = 0; i < recorder->options->sink_count; i++) {
		const struct lt_gc_sink *sink = &recorder->options->sinks[i];
		if (sink->tick != NULL)
			LT_TRY(sink->tick(sink->ctx, &recorder->recording, final));
	}
	return LT_OK;
}

static enum lt_status take(struct recorder *recorder, const struct lt_watch_event *seen)
{
	struct lt_gc_recording *recording = &recorder->recording;
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text evidence = {0};
	/* The source is at work a little earlier than the recording begins. */
	if (seen->start_ns < recording->start_ns)
		return LT_OK;
	/* What was missed is found out later than it was. */
	if (recorder->last_ns != 0 && seen->start_ns > recorder->last_ns &&
	    seen->kind != LT_WATCH_MISSED)
		return LT_OK;
	struct lt_gc_event event = {.seen = *seen};
	LT_TRY(lt_gc_stacks_resolve(recorder->stacks, &event));
	event.signal = lt_gc_signals_of(recorder->signals, seen);
	event.cause = lt_gc_cause_decide(recording, &event, &where, &evidence);
	if (where.failed || evidence.failed)
		return lt_fail_memory(recorder->session);
	event.where = lt_text_get(&where);
	event.evidence = lt_text_get(&evidence);
	for (size_t i = 0; i < recorder->options->sink_count; i++) {
		const struct lt_gc_sink *sink = &recorder->options->sinks[i];
		if (sink->event != NULL)
			LT_TRY(sink->event(sink->ctx, recording, &event));
	}
	return lt_gc_keep_event(recorder->session, recording, &event);
}

static bool stopped(const struct recorder *recorder)
{
	return recorder->options->stop != NULL && *recorder->options->stop != 0;
}

/* The program is gone: it ended, or another one took its place. */
static void take_end(struct recorder *recorder)
{
	struct lt_gc_recording *recording = &recorder->recording;
	struct lt_process *other = lt_process_successor(recorder->process);
	recording->ended = true;
	if (other == NULL)
		return;
	const char *slash = strrchr(other->executable, '/');
	snprintf(recording->replaced_by, sizeof(recording->replaced_by), "%s",
		 !recording->redacted ? other->command_line
		 : slash != NULL      ? slash + 1
				      : "?");
	lt_process_close(other);
}

/* What the last wait brought; of the one after the last sample, what ended before it or behind it. */
static enum lt_status take_batch(struct recorder *recorder, bool behind)
{
	for (size_t i = 0; i < recorder->batch.count; i++) {
		const struct lt_watch_event *seen = &recorder->batch.data[i];
		if ((recorder->last_ns != 0 && seen->end_ns > recorder->last_ns) == behind)
			LT_TRY(take(recorder, seen));
	}
	return LT_OK;
}

/* One wait; the end of the process sets recording.ended. */
static enum lt_status wait_once(struct recorder *recorder, uint64_t until_ns)
{
	recorder->batch.count = 0;
	enum lt_status status = lt_watch_wait(recorder->watch, until_ns, &recorder->batch);
	if (status == LT_E_GONE) {
		lt_session_clear(recorder->session);
		take_end(recorder);
	} else if (status != LT_OK) {
		return status;
	}
	lt_gc_stacks_round(recorder->stacks);
	lt_gc_signals_round(recorder->signals);
	return LT_OK;
}

/* Until `until_ns`, the stop flag or the end of the process. */
static enum lt_status watch_until(struct recorder *recorder, uint64_t until_ns)
{
	while (!stopped(recorder) && !recorder->recording.ended) {
		uint64_t now = lt_now_ns();
		if (now >= until_ns)
			return LT_OK;
		LT_TRY(wait_once(recorder, until_ns - now < SLICE_NS ? until_ns : now + SLICE_NS));
		recorder->recording.end_ns = lt_now_ns();
		LT_TRY(take_batch(recorder, false));
	}
	return LT_OK;
}

/*
 * The recording ends where the last wait has seen everything. Between the last sample and that lies whatever kept
 * lowtide from the processor: what was collected meanwhile is of the recording too.
 */
static enum lt_status finish(struct recorder *recorder)
{
	struct lt_gc_sample last;
	if (recorder->recording.ended || !take_sample(recorder, &last))
		return LT_OK;
	LT_TRY(wait_once(recorder, last.at_ns));
	recorder->last_ns = last.at_ns = seen_since(recorder, last.at_ns);
	/* In the order of time, as a file of it is read. */
	LT_TRY(take_batch(recorder, false));
	LT_TRY(hand_on(recorder, &last, true));
	return take_batch(recorder, true);
}

static enum lt_status record(struct recorder *recorder)
{
	const struct lt_gc_record_options *options = recorder->options;
	struct lt_gc_recording *recording = &recorder->recording;
	LT_TRY(begin(recorder));
	LT_TRY(sample(recorder, true));
	LT_TRY(take_batch(recorder, false));
	uint64_t end = recording->start_ns + (uint64_t)options->seconds * SECOND_NS;
	for (uint64_t next = recording->start_ns + SECOND_NS;; next += SECOND_NS) {
		lt_progress(recorder->session, "watching the collector",
			    (next - recording->start_ns) / SECOND_NS - 1, options->seconds);
		LT_TRY(watch_until(recorder, next < end ? next : end));
		if (recording->ended || stopped(recorder) || next >= end)
			break;
		LT_TRY(sample(recorder, false));
		LT_TRY(tick(recorder, false));
	}
	lt_watch_path_close(recorder->path, &recording->path);
	recorder->path = NULL;
	LT_TRY(finish(recorder));
	if (options->path != LT_GC_PATH_NONE && !lt_gc_cache_measure(&recording->cache))
		return lt_fail_memory(recorder->session);
	return tick(recorder, true);
}

enum lt_status lt_gc_record(struct lt_session *session, pid_t pid,
			    const struct lt_gc_record_options *options,
			    struct lt_gc_recording *ret_recording)
{
	LT_CLEANUP(deinit)
	struct recorder recorder = {.session = session, .options = options};
	enum lt_status status = identify(&recorder, pid);
	if (status == LT_OK)
		status = record(&recorder);
	if (status != LT_OK) {
		if (recorder.process != NULL && status != LT_E_NO_MEMORY && status != LT_E_GONE &&
		    !lt_process_alive(recorder.process)) {
			lt_session_clear(session);
			status = lt_fail(session, LT_E_GONE,
					 "process %d ended before it could be watched", (int)pid);
		}
		return status;
	}
	*ret_recording = recorder.recording;
	recorder.recording = (struct lt_gc_recording){0};
	return LT_OK;
}
