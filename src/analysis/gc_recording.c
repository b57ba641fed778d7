#include "analysis/gc_recording.h"

#include <string.h>

static const char *const names[LT_CAUSE_COUNT] = {
	[LT_CAUSE_UNKNOWN] = "unknown",         [LT_CAUSE_THRESHOLD_0] = "threshold-0",
	[LT_CAUSE_THRESHOLD_1] = "threshold-1", [LT_CAUSE_THRESHOLD_2] = "threshold-2",
	[LT_CAUSE_EXPLICIT] = "explicit",       [LT_CAUSE_SHUTDOWN] = "shutdown",
};

const char *lt_gc_cause_name(enum lt_gc_cause cause)
{
	return (unsigned)cause < LT_CAUSE_COUNT ? names[cause] : names[LT_CAUSE_UNKNOWN];
}

bool lt_gc_cause_parse(const char *name, enum lt_gc_cause *ret_cause)
{
	for (size_t i = 0; i < LT_CAUSE_COUNT; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_cause = (enum lt_gc_cause)i;
			return true;
		}
	}
	return false;
}

void lt_gc_recording_deinit(struct lt_gc_recording *recording)
{
	lt_identity_deinit(&recording->identity);
	free(recording->callbacks);
	lt_gc_events_deinit(&recording->events);
	lt_gc_samples_deinit(&recording->samples);
	lt_watch_points_deinit(&recording->path);
	lt_gc_frames_deinit(&recording->frames);
	lt_arena_deinit(&recording->strings);
	lt_arena_deinit(&recording->texts);
	*recording = (struct lt_gc_recording){0};
}
