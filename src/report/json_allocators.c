#include "report/json.h"

#include "analysis/allocators.h"

static json_t *environment(const struct lt_allocator_result *result)
{
	json_t *object = json_object();
	for (size_t i = 0; i < result->variable_count; i++)
		json_object_set_new(object, result->variables[i].name,
				    lt_json_string(result->variables[i].value));
	return object;
}

static json_t *figures(const struct lt_trial *trial)
{
	return json_pack(
		"{s:o, s:o, s:f, s:o, s:o, s:b, s:o, s:o}", "peak_bytes",
		lt_json_count(trial->peak_bytes), "final_bytes", lt_json_count(trial->final_bytes),
		"seconds", (double)trial->elapsed_ns / 1e9, "exit_code",
		trial->exit_code < 0 || trial->timed_out ? json_null()
							 : json_integer(trial->exit_code),
		"signal",
		trial->signal == 0 || trial->timed_out ? json_null() : json_integer(trial->signal),
		"timed_out", trial->timed_out, "processes", lt_json_count(trial->processes),
		"samples", lt_json_count(trial->samples));
}

static json_t *runs(const struct lt_allocator_result *result)
{
	json_t *list = json_array();
	for (size_t i = 0; i < result->run_count; i++)
		json_array_append_new(list, figures(&result->runs[i]));
	return list;
}

static json_t *setting(const struct lt_allocator_result *result)
{
	bool ran = result->run_count > 0;
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
			 result->name, "what", result->what, "state",
			 lt_allocator_state_name(result->state), "environment", environment(result),
			 "library", lt_json_known(result->library), "package",
			 lt_json_known(result->package), "figures",
			 ran ? figures(&result->figures) : json_null(), "peak_gain_ratio",
			 ran ? json_real(result->peak_gain) : json_null(), "final_gain_ratio",
			 ran ? json_real(result->final_gain) : json_null(), "time_ratio",
			 result->time_ratio > 0 ? json_real(result->time_ratio) : json_null(),
			 "runs", runs(result));
}

json_t *lt_json_allocators(const struct lt_allocators *allocators)
{
	json_t *command = json_array(), *list = json_array();
	for (char *const *word = allocators->command; *word != NULL; word++)
		json_array_append_new(command, lt_json_string(*word));
	for (size_t i = 0; i < LT_ALLOCATOR_SETTINGS; i++)
		if (allocators->results[i].state != LT_ALLOCATOR_SKIPPED)
			json_array_append_new(list, setting(&allocators->results[i]));
	const struct lt_allocator_result *advice = allocators->advice;
	json_t *advised = advice == NULL ? json_null()
					 : json_pack("{s:s, s:o, s:f, s:f}", "name", advice->name,
						     "environment", environment(advice),
						     "peak_gain_ratio", advice->peak_gain,
						     "final_gain_ratio", advice->final_gain);
	return json_pack("{s:o, s:i, s:i, s:o, s:o, s:o}", "command", command, "runs",
			 (int)allocators->runs, "timeout_seconds", (int)allocators->seconds,
			 "settings", list, "advice", advised, "reason",
			 lt_json_known(allocators->reason));
}
