#include "analysis/trim.h"

#include "analysis/sparse.h"
#include "analysis/trim_gain.h"
#include "base/cleanup.h"
#include "heap/malloc_quiet.h"
#include "heap/view.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOKS = 3, SLICE_MS = 100, OTHER_LEAST = 1 << 20 };

void lt_trim_deinit(struct lt_trim *trim)
{
	lt_identity_deinit(&trim->identity);
	lt_trim_rounds_deinit(&trim->rounds);
	*trim = (struct lt_trim){0};
}

bool lt_trim_amount(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	char *end = NULL;
	if (*text < '0' || *text > '9')
		return false;
	double bytes = strtod(text, &end);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
	for (const char *at = units; unit != NULL && at <= unit; at++)
		bytes *= 1024;
	if (end[unit != NULL] != '\0' || !(bytes < 1e15))
		return false;
	*ret_bytes = (uint64_t)bytes;
	return true;
}

/* ---- What it would give back ---- */

static bool add_chunk(void *ctx, const struct lt_chunk *chunk)
{
	lt_trim_gain_chunk(ctx, chunk);
	return true;
}

/* What jemalloc has free as whole pages: its purge gives all of it back. */
static bool add_block(void *ctx, const struct lt_foreign_block *block)
{
	struct lt_trim_gain *gain = ctx;
	if (block->state == LT_FOREIGN_PAGES)
		gain->bytes +=
			lt_resident_bytes(gain->resident, block->start, block->start + block->size);
	return true;
}

static enum lt_status reckon_purge(const struct lt_look *look, struct lt_memory *memory,
				   struct lt_resident *resident, struct lt_trim_round *round)
{
	struct lt_trim_gain gain = {.resident = resident};
	struct lt_view view = *look->view;
	struct lt_foreign foreign;
	view.memory = memory;
	lt_foreign_find(&view, &foreign);
	lt_foreign_walk(&view, &foreign, add_block, &gain);
	round->before_bytes = resident->smaps.rss;
	round->predicted_bytes = gain.bytes;
	round->whole = foreign.found && foreign.torn == 0;
	return LT_OK;
}

static enum lt_status reckon(const struct lt_look *look, struct lt_memory *memory,
			     struct lt_resident *resident, struct lt_malloc *malloc,
			     struct lt_trim_round *round)
{
	struct lt_trim_gain gain = {.resident = resident, .malloc = malloc};
	struct lt_view view = *look->view;
	view.memory = memory;
	LT_TRY(lt_malloc_find(&view, NULL, malloc));
	lt_malloc_walk(malloc, add_chunk, &gain);
	lt_trim_gain_end(&gain);
	round->before_bytes = resident->smaps.rss;
	round->predicted_bytes = gain.bytes;
	round->whole = malloc->found;
	for (size_t i = 0; i < malloc->arenas.count; i++)
		round->whole = round->whole && malloc->arenas.data[i].whole;
	return LT_OK;
}

/* On the running process: an arena that changes while it is read is read again. */
static enum lt_status predict(struct lt_look *look, const struct lt_malloc_quiet *quiet,
			      struct lt_trim_round *round)
{
	uint64_t unreadable = look->session->unreadable;
	for (unsigned i = 0; i < LOOKS && !round->whole; i++) {
		struct lt_resident resident = {0};
		struct lt_malloc malloc = {0};
		look->session->unreadable = unreadable;
		enum lt_status status = lt_process_refresh(look->session, look->process);
		if (status == LT_OK)
			status = lt_resident_take(look->session, look->process, &resident);
		struct lt_memory *memory =
			status == LT_OK ? lt_sparse_open(look->live, &resident) : NULL;
		if (memory != NULL && quiet->purge != NULL)
			status = reckon_purge(look, memory, &resident, round);
		else if (memory != NULL)
			status = reckon(look, memory, &resident, &malloc, round);
		else if (status == LT_OK)
			status = lt_fail_memory(look->session);
		lt_memory_close(memory);
		lt_resident_deinit(&resident);
		lt_malloc_deinit(&malloc);
		LT_TRY(status);
	}
	return LT_OK;
}

/* ---- One round ---- */

static enum lt_status rss(struct lt_look *look, uint64_t *ret_bytes)
{
	struct lt_smaps smaps = {0};
	LT_TRY(lt_smaps_read(look->session, look->process, &smaps));
	*ret_bytes = smaps.rss;
	lt_smaps_deinit(&smaps);
	return LT_OK;
}

/* A process that has become another program by exec() keeps its id, but not the memory that was opened. */
static enum lt_status find_again(struct lt_look *look, struct lt_malloc_quiet *quiet)
{
	struct lt_malloc_quiet found;
	LT_TRY(lt_process_refresh(look->session, look->process));
	enum lt_status status =
		lt_malloc_quiet_find(look->session, look->process, look->live, &found);
	if (status == LT_E_NOT_PYTHON) {
		lt_session_clear(look->session);
		return lt_fail(look->session, LT_E_GONE, "process %d runs another program now",
			       (int)look->process->pid);
	}
	LT_TRY(status);
	lt_malloc_quiet_deinit(quiet);
	*quiet = found;
	return LT_OK;
}

static enum lt_status trim_once(struct lt_look *look, struct lt_malloc_quiet *quiet,
				uint64_t at_least, struct lt_trim_round *round)
{
	const struct lt_side_probe probe = {.ctx = quiet, .ready = lt_malloc_quiet_ready};
	struct lt_side_outcome outcome = {0};
	if (round->at_seconds > 0)
		LT_TRY(find_again(look, quiet));
	LT_TRY(predict(look, quiet, round));
	round->after_bytes = round->before_bytes;
	if (round->predicted_bytes < at_least)
		return LT_OK;
	LT_TRY(rss(look, &round->before_bytes));
	struct lt_side_call call;
	lt_malloc_quiet_call(quiet, &call);
	LT_TRY(lt_side_call(look->session, look->process, &call, &probe, &outcome));
	round->called = true;
	round->beside = outcome.beside;
	round->finished = outcome.finished;
	round->attempts = outcome.attempts;
	round->stall_ms = (double)outcome.stall_ns / 1e6;
	round->call_ms = (double)outcome.call_ns / 1e6;
	if (!outcome.finished)
		lt_warn(look->session,
			"%s still runs in process %d: a lock of malloc is held for long; it ends "
			"by itself",
			lt_malloc_quiet_function(quiet), (int)look->process->pid);
	else if (quiet->purge != NULL && outcome.code != 0)
		lt_warn(look->session, "%s did not do it: error %d", quiet->purge->allocator,
			outcome.code);
	return rss(look, &round->after_bytes);
}

static enum lt_status keep(struct lt_session *session, struct lt_trim *trim,
			   const struct lt_trim_round *round)
{
	trim->cost.stall_ms += round->stall_ms;
	trim->after_bytes = round->after_bytes;
	if (trim->looks++ == 0)
		trim->before_bytes = round->before_bytes;
	if (round->called || !trim->watched) {
		trim->predicted_bytes += round->predicted_bytes;
		trim->calls += round->called;
		if (round->after_bytes < round->before_bytes)
			trim->returned_bytes += round->before_bytes - round->after_bytes;
		if (!round->whole)
			lt_warn(session, "the heap changed while it was read: what was "
					 "predicted is a guess");
	}
	if (trim->watched && !round->called && round->refusal[0] == '\0')
		return LT_OK;
	if (trim->rounds.count < LT_TRIM_ROUNDS_MAX && !lt_trim_rounds_push(&trim->rounds, *round))
		return lt_fail_memory(session);
	return LT_OK;
}

/* ---- The watch ---- */

static bool stopped(const struct lt_trim_options *options)
{
	return options->stop != NULL && *options->stop != 0;
}

static double seconds_since(uint64_t start)
{
	return (double)(lt_now_ns() - start) / 1e9;
}

/* False: the watch is over. */
static bool wait_for_round(const struct lt_trim_options *options, uint64_t start, uint64_t round)
{
	const struct timespec slice = {0, SLICE_MS * 1000000L};
	while (!stopped(options)) {
		double now = seconds_since(start);
		if (options->seconds > 0 && now >= options->seconds)
			return false;
		if (now >= (double)(round * options->interval))
			return true;
		nanosleep(&slice, NULL);
	}
	return false;
}

/* Refusals and the end of the process are no failure of a watch. *ret_over: it is over. */
static enum lt_status watched(struct lt_session *session, enum lt_status status, uint64_t looks,
			      struct lt_trim_round *round, bool *ret_over)
{
	*ret_over = status == LT_E_GONE && looks > 0;
	if (*ret_over)
		lt_warn(session, "%s", session->message);
	else if (status == LT_E_BUSY)
		snprintf(round->refusal, sizeof(round->refusal), "%s", session->message);
	else
		return status;
	lt_session_clear(session);
	return LT_OK;
}

static enum lt_status watch(struct lt_look *look, struct lt_malloc_quiet *quiet,
			    const struct lt_trim_options *options, struct lt_trim *trim)
{
	struct lt_session *session = look->session;
	uint64_t start = lt_now_ns();
	for (uint64_t i = 0; wait_for_round(options, start, i);) {
		struct lt_trim_round round = {.at_seconds = seconds_since(start)};
		bool over = false;
		enum lt_status status = trim_once(look, quiet, options->at_least, &round);
		if (status != LT_OK && !lt_process_alive(look->process) && trim->looks > 0) {
			lt_session_clear(session);
			status = lt_fail(session, LT_E_GONE, "process %d ended",
					 (int)look->process->pid);
		}
		if (status != LT_OK)
			LT_TRY(watched(session, status, trim->looks, &round, &over));
		if (over)
			break;
		LT_TRY(keep(session, trim, &round));
		if (options->done != NULL && (round.called || round.refusal[0] != '\0'))
			options->done(options->ctx, &round);
		/* Rounds that were missed are not made up for. */
		uint64_t next = (uint64_t)(seconds_since(start) / options->interval) + 1;
		i = next > i ? next : i + 1;
	}
	trim->seconds = seconds_since(start);
	return LT_OK;
}

/* malloc_trim reaches glibc's memory only. */
static void warn_of_other(struct lt_look *look)
{
	struct lt_resident resident = {0};
	struct lt_foreign foreign = {0};
	struct lt_trim_gain gain = {.resident = &resident};
	if (lt_process_refresh(look->session, look->process) != LT_OK ||
	    lt_resident_take(look->session, look->process, &resident) != LT_OK) {
		lt_session_clear(look->session);
		return;
	}
	lt_foreign_find(look->view, &foreign);
	if (foreign.beside && foreign.found)
		lt_foreign_walk(look->view, &foreign, add_block, &gain);
	if (gain.bytes >= OTHER_LEAST)
		lt_warn(look->session,
			"CPython's own mimalloc, which malloc_trim does not reach, has %.1f MiB of "
			"free pages: start the process with %s and they go back at once",
			(double)gain.bytes / (1 << 20), foreign.setting);
	lt_resident_deinit(&resident);
}

static enum lt_status rounds(struct lt_look *look, struct lt_malloc_quiet *quiet,
			     const struct lt_trim_options *options, struct lt_trim *trim)
{
	lt_malloc_quiet_name(quiet, trim->allocator, sizeof(trim->allocator));
	trim->function = lt_malloc_quiet_function(quiet);
	trim->watched = options->watch;
	if (quiet->purge == NULL)
		warn_of_other(look);
	if (options->watch)
		return watch(look, quiet, options, trim);
	struct lt_trim_round round = {0};
	LT_TRY(trim_once(look, quiet, options->at_least, &round));
	return keep(look->session, trim, &round);
}

static enum lt_status run(struct lt_look *look, const struct lt_trim_options *options,
			  struct lt_trim *trim)
{
	struct lt_malloc_quiet quiet;
	LT_TRY(lt_malloc_quiet_find(look->session, look->process, look->live, &quiet));
	enum lt_status status = rounds(look, &quiet, options, trim);
	lt_malloc_quiet_deinit(&quiet);
	return status;
}

enum lt_status lt_trim(struct lt_session *session, pid_t pid, const struct lt_trim_options *options,
		       struct lt_trim *ret_trim)
{
	const struct lt_look_options live = {.mode = LT_MODE_LIVE};
	struct lt_look *look = NULL;
	struct lt_trim trim = {0};
	LT_TRY(lt_look_open(session, pid, &live, &look));
	enum lt_status status = run(look, options, &trim);
	double stall_ms = trim.cost.stall_ms;
	lt_look_end(look);
	trim.cost = look->cost;
	trim.cost.stall_ms = stall_ms;
	trim.identity = look->identity;
	look->identity = (struct lt_identity){0};
	lt_look_close(look);
	if (status != LT_OK) {
		lt_trim_deinit(&trim);
		return status;
	}
	*ret_trim = trim;
	return LT_OK;
}
