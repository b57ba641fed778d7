/*
 * OpenMetrics 1.0 text. Names and labels are those of the collectors of prometheus_client, the usual exporter of Python
 * programs, where it has them; the rest begins with lowtide_. Counters of the collector and of processor time
 * are those of the process since it began, the rest is of the recording.
 */
#include "report/export_gc_parts.h"
#include "report/safe.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const bucket_names[LT_GC_BUCKETS] = {
	"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
	"0.025",  "0.05",    "0.1",    "0.25",  "0.5",    "1.0",   "2.5"};
static const uint64_t bucket_ns[LT_GC_BUCKETS] = {
	100000,   250000,   500000,    1000000,   2500000,   5000000,    10000000,
	25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000};

static bool has_generation(const struct lt_gc_event *event)
{
	return event->seen.generation >= 0 && event->seen.generation < LT_GC_GENERATIONS;
}

static void event(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		  const struct lt_gc_event *one)
{
	(void)recording;
	if (!has_generation(one))
		return;
	int g = one->seen.generation;
	export->seen[g][one->cause] += lt_gc_export_collections(one);
	if (one->seen.kind != LT_WATCH_COLLECTION || lt_gc_untimed(&one->seen))
		return;
	uint64_t ns = one->seen.end_ns - one->seen.start_ns;
	size_t bucket = 0;
	while (bucket < LT_GC_BUCKETS && ns > bucket_ns[bucket])
		bucket++;
	export->buckets[g][bucket]++;
	export->seconds[g] += (double)ns / 1e9;
}

static void sample(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		   const struct lt_gc_sample *one)
{
	(void)recording;
	export->last = *one;
	export->sampled = true;
}

static void family(struct lt_text *out, const char *name, const char *type, const char *unit,
		   const char *help)
{
	lt_text_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
	if (*unit != '\0')
		lt_text_addf(out, "# UNIT %s %s\n", name, unit);
}

/* What stands between the quotes of a label. */
static void add_label(struct lt_text *out, const char *text)
{
	struct lt_text safe = {0};
	lt_safe_add(&safe, text, LT_UTF8_FILE);
	for (const char *c = lt_text_get(&safe); *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			lt_text_add(out, "\\");
		lt_text_add_bytes(out, c, 1);
	}
	out->failed |= safe.failed;
	lt_text_deinit(&safe);
}

static void add_python(struct lt_text *out, const char *version)
{
	char parts[3][12] = {"", "", ""};
	(void)sscanf(version, "%11[0-9].%11[0-9].%11[0-9]", parts[0], parts[1], parts[2]);
	family(out, "python_info", "gauge", "", "The interpreter of the process");
	lt_text_addf(out,
		     "python_info{implementation=\"CPython\",major=\"%s\",minor=\"%s\","
		     "patchlevel=\"%s\",version=\"",
		     parts[0], parts[1], parts[2]);
	add_label(out, version);
	lt_text_add(out, "\"} 1\n");
}

static void add_counters(struct lt_text *out, const struct lt_gc_state *state)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} counters[] = {
		{"python_gc_objects_collected", "Objects collected since the process began",
		 offsetof(struct lt_gc_generation, collected)},
		{"python_gc_objects_uncollectable",
		 "Objects found that could not be collected since the process began",
		 offsetof(struct lt_gc_generation, uncollectable)},
		{"python_gc_collections", "Collections of this generation since the process began",
		 offsetof(struct lt_gc_generation, collections)},
	};
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		family(out, counters[i].name, "counter", "", counters[i].help);
		for (int g = 0; g < LT_GC_GENERATIONS; g++) {
			uint64_t value;
			memcpy(&value, (const char *)&state->generations[g] + counters[i].offset,
			       sizeof(value));
			lt_text_addf(out, "%s_total{generation=\"%d\"} %" PRIu64 "\n",
				     counters[i].name, g, value);
		}
	}
}

static void add_gauges(struct lt_text *out, const struct lt_gc_sample *last)
{
	const struct lt_gc_state *state = &last->state;
	family(out, "lowtide_gc_enabled", "gauge", "", "1 when automatic collection is on");
	lt_text_addf(out, "lowtide_gc_enabled %d\n", state->enabled);
	family(out, "lowtide_gc_threshold", "gauge", "", "gc.get_threshold()");
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		lt_text_addf(out, "lowtide_gc_threshold{generation=\"%d\"} %" PRId64 "\n", g,
			     state->generations[g].threshold);
	family(out, "lowtide_gc_count", "gauge", "", "gc.get_count()");
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		lt_text_addf(out, "lowtide_gc_count{generation=\"%d\"} %" PRId64 "\n", g,
			     state->generations[g].count);
	if (last->tracked >= 0) {
		family(out, "lowtide_gc_tracked_objects", "gauge", "",
		       "Objects that the collector tracks, estimated where the release keeps no "
		       "count");
		lt_text_addf(out, "lowtide_gc_tracked_objects %" PRId64 "\n", last->tracked);
	}
	family(out, "process_resident_memory_bytes", "gauge", "bytes", "Resident memory size");
	lt_text_addf(out, "process_resident_memory_bytes %" PRIu64 "\n", last->rss_bytes);
	family(out, "process_cpu_seconds", "counter", "seconds",
	       "User and system CPU time spent since the process began");
	lt_text_addf(out, "process_cpu_seconds_total %.2f\n", (double)last->cpu_ns / 1e9);
	family(out, "process_threads", "gauge", "", "Threads of the process");
	lt_text_addf(out, "process_threads %u\n", last->threads);
}

static void add_pauses(struct lt_text *out, const struct lt_gc_export *export,
		       const struct lt_gc_recording *recording)
{
	family(out, "python_gc_duration_seconds", "histogram", "seconds",
	       "How long collections took that were timed since the recording began");
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		uint64_t sum = 0;
		for (size_t i = 0; i < LT_GC_BUCKETS; i++) {
			sum += export->buckets[g][i];
			lt_text_addf(
				out,
				"python_gc_duration_seconds_bucket{generation=\"%d\",le=\"%s\"} "
				"%" PRIu64 "\n",
				g, bucket_names[i], sum);
		}
		sum += export->buckets[g][LT_GC_BUCKETS];
		lt_text_addf(out,
			     "python_gc_duration_seconds_bucket{generation=\"%d\",le=\"+Inf\"} "
			     "%" PRIu64 "\n",
			     g, sum);
		lt_text_addf(out,
			     "python_gc_duration_seconds_count{generation=\"%d\"} %" PRIu64 "\n", g,
			     sum);
		lt_text_addf(out, "python_gc_duration_seconds_sum{generation=\"%d\"} %.9f\n", g,
			     export->seconds[g]);
		lt_text_addf(out, "python_gc_duration_seconds_created{generation=\"%d\"} %.3f\n", g,
			     (double)recording->start_unix_ms / 1e3);
	}
}

static void add_causes(struct lt_text *out, const struct lt_gc_export *export)
{
	family(out, "lowtide_gc_seen_collections", "counter", "",
	       "Collections since the recording began, by cause");
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		for (int cause = 0; cause < LT_CAUSE_COUNT; cause++)
			lt_text_addf(
				out,
				"lowtide_gc_seen_collections_total{generation=\"%d\",cause=\"%s\"} "
				"%" PRIu64 "\n",
				g, lt_gc_cause_name((enum lt_gc_cause)cause),
				export->seen[g][cause]);
}

static void end(struct lt_gc_export *export, const struct lt_gc_recording *recording)
{
	struct lt_text *out = &export->out;
	double start = (double)recording->start_unix_ms / 1e3;
	add_python(out, recording->identity.python);
	family(out, "process_start_time_seconds", "gauge", "seconds",
	       "Start time of the process since the unix epoch");
	lt_text_addf(out, "process_start_time_seconds %.2f\n",
		     start - (double)recording->identity.uptime_ms / 1e3);
	if (export->sampled) {
		add_counters(out, &export->last.state);
		add_gauges(out, &export->last);
	}
	add_pauses(out, export, recording);
	add_causes(out, export);
	family(out, "lowtide_gc_recording_seconds", "gauge", "seconds", "Length of the recording");
	lt_text_addf(out, "lowtide_gc_recording_seconds %.3f\n",
		     (double)(recording->end_ns - recording->start_ns) / 1e9);
	lt_text_add(out, "# EOF\n");
}

const struct lt_gc_export_form lt_gc_form_metrics = {.event = event, .sample = sample, .end = end};
