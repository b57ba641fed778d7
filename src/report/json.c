#include "report/json.h"

#include "base/shortage.h"
#include "report/safe.h"

#include <stdlib.h>

enum { SCHEMA = 1, INDENT = 2, DIGITS = 12 };

static void *allocate(size_t size)
{
	void *data = malloc(size);
	if (data == NULL)
		lt_shortage_note();
	return data;
}

void lt_json_init(void)
{
	json_set_alloc_funcs(allocate, free);
}

json_t *lt_json_string(const char *string)
{
	struct lt_text text = {0};
	lt_valid_add(&text, string);
	json_t *json = text.failed ? NULL : json_stringn(lt_text_get(&text), text.length);
	lt_text_deinit(&text);
	return json;
}

json_t *lt_json_known(const char *string)
{
	return string == NULL || *string == '\0' ? json_null() : lt_json_string(string);
}

json_t *lt_json_count(uint64_t count)
{
	return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
}

/* Milliseconds with microseconds: more digits would be noise. */
static json_t *milliseconds(double value)
{
	return json_real((double)(int64_t)(value * 1000 + 0.5) / 1000);
}

static json_t *target(const struct lt_report *report)
{
	const struct lt_identity *identity = report->identity;
	if (identity != NULL)
		return json_pack("{s:i, s:o, s:o}", "pid", (int)identity->pid, "python",
				 lt_json_known(identity->python), "cmdline",
				 lt_json_string(identity->command_line == NULL
							? ""
							: identity->command_line));
	if (report->pid != 0)
		return json_pack("{s:i, s:n, s:n}", "pid", (int)report->pid, "python", "cmdline");
	return json_null();
}

static json_t *warnings(const struct lt_session *session)
{
	json_t *list = json_array();
	for (size_t i = 0; i < session->warning_count; i++)
		json_array_append_new(list, lt_json_string(session->warnings[i]));
	return list;
}

static int add_bytes(const char *bytes, size_t length, void *ctx)
{
	struct lt_text *out = ctx;
	lt_text_add_bytes(out, bytes, length);
	return out->failed ? -1 : 0;
}

void lt_json_dump(const json_t *json, size_t flags, struct lt_text *out)
{
	if (json == NULL ||
	    json_dump_callback(json, add_bytes, out, flags | JSON_ENSURE_ASCII) != 0)
		out->failed = true;
}

void lt_json_write(const struct lt_report *report, const char *name, json_t *content,
		   struct lt_text *out)
{
	json_t *envelope = json_pack("{s:s, s:i, s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o, s:o}",
				     "lowtide", LT_VERSION, "schema", SCHEMA, "command",
				     lt_json_known(report->command), "target", target(report),
				     "cost", "stall_ms", milliseconds(report->cost.stall_ms),
				     "elapsed_ms", milliseconds(report->cost.elapsed_ms),
				     "peak_bytes", lt_json_count(report->cost.peak_bytes),
				     "unreadable", lt_json_count(report->session->unreadable),
				     "warnings", warnings(report->session), name, content);
	lt_json_dump(envelope, JSON_INDENT(INDENT) | JSON_REAL_PRECISION(DIGITS), out);
	lt_text_add(out, "\n");
	json_decref(envelope);
}
