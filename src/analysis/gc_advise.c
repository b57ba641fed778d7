#include "analysis/gc_advise.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t curve_thresholds[] = {200,   500,   1000,   2000,   5000,  10000,
					   20000, 50000, 100000, 200000, 500000};
static const double usual_share = 0.01;
static const double static_growth = 0.1; /* of what lives, in a recording */

/* What a setting leaves open is as recorded. */
static struct lt_gc_setting completed(const struct lt_gc_model *model,
				      const struct lt_gc_setting *setting)
{
	struct lt_gc_setting whole = *setting;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (whole.thresholds[i] < 0)
			whole.thresholds[i] = model->recorded.thresholds[i];
	}
	return whole;
}

static bool keeps(const struct lt_gc_prediction *prediction, const struct lt_gc_goal *goal)
{
	return (goal->share <= 0 || prediction->share <= goal->share) &&
	       (goal->pause_ms <= 0 || prediction->pause_max_ms <= goal->pause_ms);
}

/* How far over its goal a prediction is, as a factor. */
static double excess(const struct lt_gc_prediction *prediction, const struct lt_gc_goal *goal)
{
	double share = goal->share > 0 ? prediction->share / goal->share : 0;
	double pause = goal->pause_ms > 0 ? prediction->pause_max_ms / goal->pause_ms : 0;
	return share > pause ? share : pause;
}

/* Whether `a` is the better advice: the goal first, then memory; at the same memory, which came first. */
static bool better(const struct lt_gc_prediction *a, const struct lt_gc_prediction *b,
		   const struct lt_gc_goal *goal)
{
	bool a_keeps = keeps(a, goal), b_keeps = keeps(b, goal);
	if (a_keeps != b_keeps)
		return a_keeps;
	if (!a_keeps)
		return excess(a, goal) < excess(b, goal) * 0.95;
	return (double)a->garbage_peak_bytes < (double)b->garbage_peak_bytes * 0.95;
}

static double path_ms(const struct lt_gc_model *model)
{
	double run_ns = 0;
	for (size_t i = 0; i < model->steps.count && model->basis == LT_BASIS_PATH; i++)
		run_ns += (double)model->steps.data[i].run_ns;
	return run_ns / 1e6;
}

static void advise(const struct lt_gc_model *model, struct lt_gc_what_if *answer)
{
	static const int64_t older[][2] = {{-1, -1}, {5, 5},   {10, 10},
					   {20, 20}, {50, 50}, {50, 500}};
	answer->advised = true;
	answer->advice = answer->recorded;
	answer->already = keeps(&answer->recorded, &answer->goal);
	for (int freeze = 0; freeze <= (answer->is_static ? 1 : 0) && !answer->already; freeze++) {
		for (size_t k = 0; k < sizeof(older) / sizeof(older[0]); k++) {
			for (size_t i = 0; i < sizeof(curve_thresholds) / sizeof(int64_t); i++) {
				struct lt_gc_setting setting = completed(
					model, &(struct lt_gc_setting){
						       .thresholds = {curve_thresholds[i],
								      older[k][0], older[k][1]},
						       .freeze = freeze != 0});
				struct lt_gc_prediction prediction;
				lt_gc_model_predict(model, &setting, &prediction);
				if (better(&prediction, &answer->advice, &answer->goal))
					answer->advice = prediction;
			}
		}
	}
	answer->met = keeps(&answer->advice, &answer->goal);
}

void lt_gc_ask_model(const struct lt_gc_model *model, const struct lt_gc_question *question,
		     struct lt_gc_what_if *ret_answer)
{
	struct lt_gc_what_if answer = {.basis = model->basis, .why = model->why};
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		answer.seen_collections += model->seen_collections[i];
		answer.seen_gc_ms += model->seen_ms[i];
		if (model->seen_max_ms[i] > answer.seen_pause_ms)
			answer.seen_pause_ms = model->seen_max_ms[i];
	}
	answer.seen_gc_ms += model->explicit_ms;
	if (model->explicit_max_ms > answer.seen_pause_ms)
		answer.seen_pause_ms = model->explicit_max_ms;
	if (model->basis == LT_BASIS_NONE) {
		*ret_answer = answer;
		return;
	}
	answer.program_ms = model->program_ns / 1e6;
	answer.path_ms = path_ms(model);
	answer.recorded = model->itself;
	answer.bytes_known = model->bytes_known;
	answer.bytes_per_object = model->bytes_per_object;
	double growth = model->flow * (double)model->run_ns * (1 - model->garbage_share);
	answer.is_static = model->long_lived > 0 && growth < static_growth * model->long_lived;
	for (size_t i = 0; i < question->asked_count && i < LT_GC_ASKED_MOST; i++) {
		struct lt_gc_setting setting = completed(model, &question->asked[i]);
		lt_gc_model_predict(model, &setting, &answer.asked[answer.asked_count++]);
	}
	for (size_t i = 0; i < sizeof(curve_thresholds) / sizeof(int64_t); i++) {
		struct lt_gc_setting setting = model->recorded;
		setting.thresholds[0] = curve_thresholds[i];
		lt_gc_model_predict(model, &setting, &answer.curve[answer.curve_count++]);
	}
	answer.goal = question->goal;
	if (answer.goal.share <= 0 && answer.goal.pause_ms <= 0)
		answer.goal.share = usual_share;
	if (question->advise || question->goal.share > 0 || question->goal.pause_ms > 0)
		advise(model, &answer);
	*ret_answer = answer;
}

enum lt_status lt_gc_ask(struct lt_session *session, const struct lt_gc_recording *recording,
			 const struct lt_gc_question *question, struct lt_gc_what_if *ret_answer)
{
	struct lt_gc_model model;
	LT_TRY(lt_gc_model_fit(session, recording, &model));
	lt_gc_ask_model(&model, question, ret_answer);
	lt_gc_model_deinit(&model);
	return LT_OK;
}

bool lt_gc_setting_parse(const char *text, struct lt_gc_setting *ret_setting)
{
	struct lt_gc_setting setting = {.thresholds = {-1, -1, -1}};
	int known = 0;
	if (*text == '\0')
		return false;
	while (*text != '\0') {
		size_t length = strcspn(text, ",");
		char word[32];
		if (length == 0 || length >= sizeof(word))
			return false;
		memcpy(word, text, length);
		word[length] = '\0';
		char *end = NULL;
		if (strcmp(word, "freeze") == 0) {
			setting.freeze = true;
		} else if (strncmp(word, "bound=", 6) == 0 && word[6] >= '0' && word[6] <= '9') {
			static const char units[] = "KMG";
			double bytes = strtod(word + 6, &end);
			const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
			for (const char *at = units; unit != NULL && at <= unit; at++)
				bytes *= 1024;
			if (end[unit != NULL] != '\0' || !(bytes >= 1 && bytes < 1e15))
				return false;
			setting.bound_bytes = (uint64_t)bytes;
		} else {
			if (known >= LT_GC_GENERATIONS || word[0] < '0' || word[0] > '9')
				return false;
			long long value = strtoll(word, &end, 10);
			if (*end != '\0' || value > INT32_MAX)
				return false;
			setting.thresholds[known++] = value;
		}
		text += length + (text[length] == ',' && text[length + 1] != '\0');
		if (*text == ',')
			return false;
	}
	*ret_setting = setting;
	return true;
}

void lt_gc_setting_call(const struct lt_gc_setting *setting, char *buffer, size_t size)
{
	if (setting->bound_bytes > 0)
		snprintf(buffer, size, "gc.disable(), gc.collect() every %" PRIu64 " MiB",
			 (setting->bound_bytes + (1 << 19)) >> 20);
	else
		snprintf(buffer, size, "%sgc.set_threshold(%" PRId64 ", %" PRId64 ", %" PRId64 ")",
			 setting->freeze ? "gc.freeze(); " : "", setting->thresholds[0],
			 setting->thresholds[1], setting->thresholds[2]);
}
