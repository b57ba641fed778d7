/*
 * rss_figures.c: what is resident, read by a thread: while the search for objects reads the picture, the kernel walks the
 * page tables of the process.
 */
#include "analysis/rss_parts.h"

#include "base/cleanup.h"
#include "base/thread.h"

struct lt_rss_figures {
	const struct lt_process *process;
	struct lt_session session;
	struct lt_resident resident;
	pthread_t thread;
	bool started;
	enum lt_status status;
};

static void *work(void *ctx)
{
	struct lt_rss_figures *figures = ctx;
	figures->status = lt_resident_take(&figures->session, figures->process, &figures->resident);
	return NULL;
}

enum lt_status lt_rss_begin_figures(struct lt_rss_reading *reading,
				    const struct lt_process *process)
{
	struct lt_rss_figures *figures = calloc(1, sizeof(*figures));
	if (figures == NULL)
		return lt_fail_memory(reading->session);
	reading->figures = figures;
	figures->process = process;
	lt_session_init(&figures->session);
	figures->started = lt_thread_start(&figures->thread, work, figures);
	return LT_OK;
}

enum lt_status lt_rss_figures(struct lt_rss_reading *reading)
{
	struct lt_rss_figures *figures = reading->figures;
	if (figures == NULL)
		return LT_OK;
	const struct lt_process *process = figures->process;
	bool started = figures->started;
	if (started) {
		pthread_join(figures->thread, NULL);
		figures->started = false;
	}
	bool taken = started && figures->status == LT_OK;
	if (taken) {
		reading->resident = figures->resident;
		figures->resident = (struct lt_resident){0};
	}
	lt_rss_stop_figures(reading);
	/* A failure is told by the session that is asked for it. */
	return taken ? LT_OK : lt_resident_take(reading->session, process, &reading->resident);
}

void lt_rss_stop_figures(struct lt_rss_reading *reading)
{
	struct lt_rss_figures *figures = LT_TAKE(reading->figures);
	if (figures == NULL)
		return;
	if (figures->started)
		pthread_join(figures->thread, NULL);
	lt_resident_deinit(&figures->resident);
	lt_session_deinit(&figures->session);
	free(figures);
}
