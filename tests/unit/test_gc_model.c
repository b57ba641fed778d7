/* The model of the collector on made-up recordings: what CPython's rules give by hand, and what hostile ones do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/gc_advise.h"
#include "analysis/gc_model_parts.h"
#include "base/cleanup.h"

#include <math.h>
#include <string.h>

enum { MS = 1000000 };

static struct lt_session session;

/* The path of a program on its own: `rises` and falls between which nothing happens. */
static void make_model(struct lt_gc_model *model, const double *levels, size_t count,
		       uint64_t run_ns)
{
	*model = (struct lt_gc_model){.basis = LT_BASIS_PATH, .why = "", .quarter_rule = true};
	model->bytes_per_object = 100;
	model->run_ns = run_ns;
	model->program_ns = (double)run_ns;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		model->scale[i] = 1;
	for (size_t i = 0; i < count; i++) {
		const struct lt_gc_step step = {.level = levels[i], .run_ns = i > 0 ? MS : 0};
		assert_true(lt_gc_steps_push(&model->steps, step));
	}
	model->aging = 1;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		model->found[i] = 1;
	lt_gc_steps_mark(&model->steps);
}

static struct lt_gc_prediction predict(const struct lt_gc_model *model, int64_t t0, int64_t t1,
				       int64_t t2)
{
	const struct lt_gc_setting setting = {.thresholds = {t0, t1, t2}};
	struct lt_gc_prediction prediction;
	lt_gc_model_predict(model, &setting, &prediction);
	return prediction;
}

static void test_net_allocations_cross_the_threshold(void **ignored)
{
	(void)ignored;
	/* 1,000 objects that stay in each ms, for a second: 1,000,000. Each collection takes threshold + 1 of them. */
	static const double levels[] = {0, 1000};
	struct lt_gc_model model;
	make_model(&model, levels, 2, 1000 * (uint64_t)MS);
	model.quarter_rule = false;
	struct lt_gc_prediction seen = predict(&model, 699, 10, 10);
	assert_int_equal(seen.all_collections, 1000000 / 700);
	/*
	 * After eleven young ones the counter of generation 1 is over 10: the twelfth is one of it. After eleven of those
	 * the next of all is a full one: of 133 one, without the rule of the quarter.
	 */
	assert_int_equal(seen.collections[2], 1428 / 133);
	assert_int_equal(seen.collections[1], 1428 / 133 * 11 + 1428 % 133 / 12);
	/* With no threshold nothing is collected. */
	assert_int_equal(predict(&model, 0, 10, 10).all_collections, 0);
	lt_gc_model_deinit(&model);
}

static void test_full_collections_wait_for_a_quarter(void **ignored)
{
	(void)ignored;
	/*
	 * Everything stays, thresholds 999, 0, 0: young, middle, young, middle, ... A middle one is 2,000 more pending. With
	 * 80,000 alive a full one needs 20,000: the eleventh in the place of a middle one. Then 102,000 are alive.
	 */
	static const double levels[] = {0, 1000};
	struct lt_gc_model model;
	make_model(&model, levels, 2, 22 * (uint64_t)MS);
	model.long_lived = model.long_lived_total = 80000;
	struct lt_gc_prediction seen = predict(&model, 999, 0, 0);
	assert_int_equal(seen.collections[0], 11);
	assert_int_equal(seen.collections[1], 10);
	assert_int_equal(seen.collections[2], 1);
	model.run_ns = 20 * (uint64_t)MS;
	assert_int_equal(predict(&model, 999, 0, 0).collections[2], 0);
	/* A release without that rule: young, middle, full. */
	model.quarter_rule = false;
	model.run_ns = 24 * (uint64_t)MS;
	seen = predict(&model, 999, 0, 0);
	assert_int_equal(seen.collections[0], 8);
	assert_int_equal(seen.collections[1], 8);
	assert_int_equal(seen.collections[2], 8);
	lt_gc_model_deinit(&model);
}

static void test_bursts_below_the_threshold_are_free(void **ignored)
{
	(void)ignored;
	/* 500 temporaries up and down, 1,000 times: what reference counting frees never gets to the collector. */
	static const double levels[] = {0, 500, 0};
	struct lt_gc_model model;
	make_model(&model, levels, 3, 2000 * (uint64_t)MS);
	assert_int_equal(predict(&model, 700, 10, 10).all_collections, 0);
	assert_int_equal(predict(&model, 500, 10, 10).all_collections, 0);
	/* One less, and each burst has one. */
	assert_int_equal(predict(&model, 499, 10, 10).all_collections, 1000);
	assert_int_equal(predict(&model, 249, 10, 10).all_collections, 2000);
	lt_gc_model_deinit(&model);
}

static void test_freezing_leaves_out_what_lives(void **ignored)
{
	(void)ignored;
	static const double levels[] = {0, 1000};
	struct lt_gc_model model;
	make_model(&model, levels, 2, 100 * (uint64_t)MS);
	model.long_lived = 1000000;
	model.costs = lt_gc_costs_usual(160);
	struct lt_gc_setting setting = {.thresholds = {999, 0, 0}};
	struct lt_gc_prediction usual, frozen;
	lt_gc_model_predict(&model, &setting, &usual);
	setting.freeze = true;
	lt_gc_model_predict(&model, &setting, &frozen);
	assert_true(usual.collections[2] > 0 && frozen.collections[2] > 0);
	assert_true(frozen.pause_max_ms < usual.pause_max_ms / 5);
	lt_gc_model_deinit(&model);
}

static void test_a_bound_keeps_its_word(void **ignored)
{
	(void)ignored;
	/* All of it garbage, 100 bytes each: at 50,000 bytes 500 wait. */
	static const double levels[] = {0, 1000};
	struct lt_gc_model model;
	make_model(&model, levels, 2, 100 * (uint64_t)MS);
	model.garbage_share = 1;
	const struct lt_gc_setting setting = {.bound_bytes = 50000};
	struct lt_gc_prediction seen;
	lt_gc_model_predict(&model, &setting, &seen);
	assert_int_equal(seen.collections[2], 100000 / 501);
	assert_int_equal(seen.all_collections, seen.collections[2]);
	assert_true(fabs(seen.garbage_peak - 501) < 2);
	lt_gc_model_deinit(&model);
}

static void test_calls_are_collected_at_their_end(void **ignored)
{
	(void)ignored;
	/* Decoded in one call, 900 objects; then 300 more one by one; all go. */
	static const double levels[] = {0, 900, 1200, 0};
	struct lt_gc_model model;
	make_model(&model, levels, 4, 3000 * (uint64_t)MS);
	/* At 100, 201, 302, ... eleven times in each of 1,000. */
	assert_in_range(predict(&model, 100, 1000, 10).all_collections, 11000, 11900);
	/* Once at the end of the call, then at 101 and 202 after it. */
	model.steps.data[1].held = true;
	assert_int_equal(predict(&model, 100, 1000, 10).all_collections, 3000);
	/* Not reached in the call: as ever. */
	assert_int_equal(predict(&model, 1000, 1000, 10).all_collections, 1000);
	lt_gc_model_deinit(&model);
}

static void test_garbage_of_a_unit_waits_for_its_oldest_part(void **ignored)
{
	(void)ignored;
	/* Units of 1,000 of which 100 are garbage; of ten one is met by the collection, near its top. */
	static const double levels[] = {0, 1000, 100};
	struct lt_gc_model model;
	make_model(&model, levels, 3, 2 * 9 * 11 * 20 * (uint64_t)MS);
	model.garbage_share = 1;
	/* Garbage to be is there: it is found by the collection of generation 1, of which one is of twelve. */
	struct lt_gc_prediction early = predict(&model, 1749, 10, 1000000);
	assert_true(early.collections[1] > 10 && early.collections[2] == 0);
	double old = (double)early.collections[1] * 100;
	assert_true(early.garbage_peak >= old + 900 && early.garbage_peak <= old + 2400);
	/* Not yet: each collection finds all that waits. */
	model.garbage_from = 1;
	assert_true(predict(&model, 1749, 10, 1000000).garbage_peak <= 900);
	/* As the collector counts it. */
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		model.found[i] = 0.5;
	assert_true(predict(&model, 1749, 10, 1000000).garbage_peak <= 450);
	lt_gc_model_deinit(&model);
}

static void test_delays_let_the_count_run_over(void **ignored)
{
	(void)ignored;
	static const double levels[] = {0, 100000};
	struct lt_gc_model model;
	make_model(&model, levels, 2, 10 * (uint64_t)MS);
	assert_int_equal(predict(&model, 699, 1000, 10).all_collections, 1000000 / 700);
	model.delays[0] = 300;
	model.delay_count = 1;
	assert_int_equal(predict(&model, 699, 1000, 10).all_collections, 1000);
	lt_gc_model_deinit(&model);
}

static void test_free_lists_are_not_counted(void **ignored)
{
	(void)ignored;
	/* 1,000 in each ms, all garbage; half of what is collected is kept in free lists. */
	static const double levels[] = {0, 1000};
	struct lt_gc_model model;
	make_model(&model, levels, 2, 1000 * (uint64_t)MS);
	model.garbage_share = 1;
	model.refill = (struct lt_gc_refill){.share = 0.5, .most = 2000, .taken = 0.5};
	/* The first at 1,000, each further one when x = 1,000 + x / 2 were allocated: 2,000 in the end. */
	struct lt_gc_prediction seen = predict(&model, 999, 100000, 10);
	assert_in_range(seen.all_collections, 500, 501);
	/* Far above, the free lists are full: 2,000 more than the threshold. */
	assert_int_equal(predict(&model, 9999, 100000, 10).all_collections,
			 1 + (1000000 - 10000) / 12000);
	/* Full collections clear them: each is one. */
	model.quarter_rule = false;
	const struct lt_gc_setting bound = {.bound_bytes = 99900};
	lt_gc_model_predict(&model, &bound, &seen);
	assert_int_equal(seen.all_collections, 1000000 / 1000);
	lt_gc_model_deinit(&model);
}

static void add_event(struct lt_gc_recording *recording, uint64_t start, uint64_t end,
		      int generation, int64_t collected, int64_t count)
{
	struct lt_gc_event event = {.where = "", .evidence = ""};
	event.seen.kind = LT_WATCH_COLLECTION;
	event.seen.start_ns = start;
	event.seen.end_ns = end;
	event.seen.generation = generation;
	event.seen.collected = collected;
	event.seen.candidates = -1;
	event.seen.before.generations[0].count = count;
	assert_true(lt_gc_events_push(&recording->events, event));
}

static void add_point(struct lt_gc_recording *recording, uint64_t at_ns, int32_t count,
		      enum lt_point_kind kind)
{
	const struct lt_watch_point point = {.at_ns = at_ns, .count = count, .kind = (uint8_t)kind};
	assert_true(lt_watch_points_push(&recording->path, point));
}

/* Requests of a ms, each with a burst of 1,000 of which 100 are garbage in cycles; threshold 2,000. */
static void record_requests(struct lt_gc_recording *recording, unsigned requests)
{
	recording->quarter_rule = true;
	recording->start_ns = 1000 * (uint64_t)MS;
	struct lt_gc_sample sample = {.at_ns = recording->start_ns, .tracked = -1};
	sample.state.generations[0].threshold = 2000;
	sample.state.generations[1].threshold = sample.state.generations[2].threshold = 10;
	sample.state.long_lived_total = 50000;
	assert_true(lt_gc_samples_push(&recording->samples, sample));
	int count = 0, older = 0;
	for (unsigned i = 0; i < requests; i++) {
		uint64_t at = recording->start_ns + i * (uint64_t)MS;
		add_point(recording, at, count, i == 0 ? LT_POINT_START : LT_POINT_MOVE);
		if (count + 1000 > 2000) {
			/* What is allocated after the collection goes; the garbage of this request is left. */
			int after = count + 1000 - 2001;
			add_event(recording, at + MS / 3, at + MS / 3 + 20000, older > 10, 1200,
				  2001);
			older = older > 10 ? 0 : older + 1;
			add_point(recording, at + MS / 3, 2001, LT_POINT_BEGIN);
			add_point(recording, at + MS / 3 + 20000, 0, LT_POINT_END);
			add_point(recording, at + MS / 2, after, LT_POINT_MOVE);
			count = 0;
		} else {
			add_point(recording, at + MS / 2, count + 1000, LT_POINT_MOVE);
			count += 100;
		}
		add_point(recording, at + MS - 1, count, LT_POINT_MOVE);
	}
	recording->end_ns = recording->start_ns + requests * (uint64_t)MS;
	sample.at_ns = recording->end_ns;
	sample.state.generations[0].collected = requests * 100;
	for (size_t i = 0; i < recording->events.count; i++)
		sample.state.generations[recording->events.data[i].seen.generation].collections++;
	assert_true(lt_gc_samples_push(&recording->samples, sample));
}

static void test_requests_are_learnt_from_their_path(void **ignored)
{
	(void)ignored;
	struct lt_gc_recording recording = {0};
	record_requests(&recording, 2000);
	struct lt_gc_model model;
	assert_int_equal(lt_gc_model_fit(&session, &recording, &model), LT_OK);
	assert_int_equal(model.basis, LT_BASIS_PATH);
	double real = (double)recording.events.count;
	assert_true(fabs((double)model.itself.all_collections - real) <= real * 0.02 + 1);
	/* Over the burst: 100 stay of each, (10,000 - 900) of them in a collection. Below it: one and more in each burst. */
	struct lt_gc_prediction high = predict(&model, 10000, 10, 10),
				low = predict(&model, 499, 10, 10);
	assert_true(fabs((double)high.all_collections - 200000.0 / 9100) <= 4);
	assert_true(low.all_collections >= 2000 && low.all_collections <= 4400);
	assert_true(high.garbage_peak > 8000 && high.garbage_peak < 11000);
	lt_gc_model_deinit(&model);
	lt_gc_recording_deinit(&recording);
}

/* A recording with the usual thresholds; *ret_sample goes on from its first one. */
static struct lt_gc_recording begin_usual(struct lt_gc_sample *ret_sample)
{
	struct lt_gc_recording recording = {.quarter_rule = true, .start_ns = 1000 * (uint64_t)MS};
	struct lt_gc_sample sample = {.at_ns = recording.start_ns, .tracked = -1};
	sample.state.generations[0].threshold = 2000;
	sample.state.generations[1].threshold = sample.state.generations[2].threshold = 10;
	sample.state.long_lived_total = 50000;
	assert_true(lt_gc_samples_push(&recording.samples, sample));
	*ret_sample = sample;
	return recording;
}

/* After so many ms. */
static void end_usual(struct lt_gc_recording *recording, struct lt_gc_sample *sample, unsigned ms)
{
	recording->end_ns = sample->at_ns = recording->start_ns + ms * (uint64_t)MS;
	assert_true(lt_gc_samples_push(&recording->samples, *sample));
}

/* Objects of which a third comes out of free lists: 3,000 garbage in each collection of a count of 2,001. */
static void test_free_lists_are_learnt_from_what_is_collected(void **ignored)
{
	(void)ignored;
	enum { COLLECTIONS = 400 };
	struct lt_gc_sample sample;
	struct lt_gc_recording recording = begin_usual(&sample);
	for (unsigned i = 0; i < COLLECTIONS; i++) {
		uint64_t at = recording.start_ns + i * (uint64_t)MS;
		int generation = i % 12 == 11;
		add_point(&recording, at, 0, i == 0 ? LT_POINT_START : LT_POINT_END);
		add_point(&recording, at + MS - 20000, 2001, LT_POINT_BEGIN);
		add_event(&recording, at + MS - 20000, at + MS, generation, 3000, 2001);
		sample.state.generations[generation].collections++;
		sample.state.generations[generation].collected += 3000;
	}
	end_usual(&recording, &sample, COLLECTIONS);
	struct lt_gc_model model;
	assert_int_equal(lt_gc_model_fit(&session, &recording, &model), LT_OK);
	assert_int_equal(model.basis, LT_BASIS_PATH);
	assert_true(fabs(model.refill.taken - 0.333) < 0.002);
	assert_true(fabs((double)model.itself.all_collections - COLLECTIONS) <= 4);
	/* 1,200,000 in all; full free lists hold 2,160: at 20,000 one for each 22,161. At 500 a third of x, x = 752. */
	assert_true(fabs((double)predict(&model, 20000, 10, 10).all_collections - 54.1) <= 1.5);
	assert_true(fabs((double)predict(&model, 500, 10, 10).all_collections - 1596) <= 25);
	lt_gc_model_deinit(&model);
	lt_gc_recording_deinit(&recording);
}

static void add_lists(struct lt_gc_recording *recording, uint64_t at_ns, int32_t count,
		      enum lt_point_kind kind, uint16_t tuples)
{
	add_point(recording, at_ns, count, kind);
	struct lt_watch_point *point = &recording->path.data[recording->path.count - 1];
	point->lists_known = true;
	point->free_tuples = tuples;
	point->free_lists = 1;
}

/* 1,000 tuples of which the collector knows nothing are freed with 2,000 objects, each time, and used again. */
static void test_free_lists_are_read(void **ignored)
{
	(void)ignored;
	enum { COLLECTIONS = 300 };
	struct lt_gc_sample sample;
	struct lt_gc_recording recording = begin_usual(&sample);
	for (unsigned i = 0; i < COLLECTIONS; i++) {
		uint64_t at = recording.start_ns + i * (uint64_t)MS;
		int generation = i % 12 == 11;
		add_lists(&recording, at, 0, i == 0 ? LT_POINT_START : LT_POINT_END,
			  i == 0 ? 0 : 1200);
		add_lists(&recording, at + MS - 20000, 2001, LT_POINT_BEGIN, 200);
		add_event(&recording, at + MS - 20000, at + MS, generation, 2000, 2001);
		sample.state.generations[generation].collections++;
		sample.state.generations[generation].collected += 2000;
	}
	end_usual(&recording, &sample, COLLECTIONS);
	struct lt_gc_model model;
	assert_int_equal(lt_gc_model_fit(&session, &recording, &model), LT_OK);
	assert_true(model.refill.measured);
	assert_true(fabs(model.refill.each - 1000) < 1 && fabs(model.refill.most - 2000) < 1);
	assert_true(fabs((double)model.itself.all_collections - COLLECTIONS) <= 4);
	/* 900,000 in all, a third of it tuples; at 20,000 the list is full: one for each 22,001. */
	assert_true(fabs((double)predict(&model, 20000, 10, 10).all_collections - 40.9) <= 1.5);
	assert_true(fabs((double)predict(&model, 200, 10, 10).all_collections - 2985) <= 60);
	lt_gc_model_deinit(&model);
	lt_gc_recording_deinit(&recording);
}

static void test_nothing_can_be_said_of_nothing(void **ignored)
{
	(void)ignored;
	struct lt_gc_recording recording = {0};
	struct lt_gc_model model;
	assert_int_equal(lt_gc_model_fit(&session, &recording, &model), LT_OK);
	assert_int_equal(model.basis, LT_BASIS_NONE);
	assert_string_not_equal(model.why, "");
	lt_gc_model_deinit(&model);
	record_requests(&recording, 100);
	recording.incremental = true;
	assert_int_equal(lt_gc_model_fit(&session, &recording, &model), LT_OK);
	assert_int_equal(model.basis, LT_BASIS_NONE);
	lt_gc_model_deinit(&model);
	lt_gc_recording_deinit(&recording);
}

static void assert_sane(const struct lt_gc_prediction *prediction)
{
	assert_true(isfinite(prediction->gc_time_ms) && prediction->gc_time_ms >= 0);
	assert_true(isfinite(prediction->pause_max_ms) && prediction->pause_max_ms >= 0);
	assert_true(isfinite(prediction->garbage_peak) && prediction->garbage_peak >= 0);
	assert_true(prediction->share >= 0 && prediction->share <= 1);
}

static uint64_t state = 0x2545f4914f6cdd1d;

static uint64_t random_word(void)
{
	static const uint64_t edges[] = {0,          1,         2,          INT32_MAX,
					 UINT32_MAX, INT64_MAX, UINT64_MAX, (uint64_t)INT64_MIN};
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	uint64_t word = state >> 8;
	return word % 4 == 0 ? edges[word / 4 % 8] : word >> (word / 4 % 56);
}

static void test_hostile_recordings_give_figures(void **ignored)
{
	(void)ignored;
	enum { RECORDINGS = 30, EVENTS = 40, POINTS = 60, SAMPLES = 5 };
	for (int round = 0; round < RECORDINGS; round++) {
		struct lt_gc_recording recording = {.quarter_rule = round % 2 == 0,
						    .at_eval_breaker = round % 3 == 0};
		recording.start_ns = random_word();
		recording.end_ns = random_word();
		for (int i = 0; i < SAMPLES; i++) {
			struct lt_gc_sample sample = {.at_ns = random_word(), .tracked = -1};
			sample.rss_bytes = random_word();
			sample.state.long_lived_total = random_word();
			sample.state.long_lived_pending = random_word();
			for (int g = 0; g < LT_GC_GENERATIONS; g++) {
				struct lt_gc_generation *gen = &sample.state.generations[g];
				gen->threshold = (int64_t)random_word();
				gen->count = (int64_t)random_word();
				gen->collections = random_word();
				gen->collected = random_word();
			}
			assert_true(lt_gc_samples_push(&recording.samples, sample));
		}
		for (int i = 0; i < EVENTS; i++)
			add_event(&recording, random_word(), random_word(), (int)random_word(),
				  (int64_t)random_word(), (int64_t)random_word());
		for (int i = 0; i < POINTS; i++)
			add_point(&recording, random_word(), (int32_t)random_word(),
				  (enum lt_point_kind)(random_word() % 7));
		const struct lt_gc_question question = {
			.asked = {{.thresholds = {(int64_t)(random_word() % 100000), -1, 5}},
				  {.thresholds = {-1, -1, -1}, .bound_bytes = random_word()}},
			.asked_count = 2,
			.advise = round % 15 == 0,
		};
		struct lt_gc_what_if answer;
		assert_int_equal(lt_gc_ask(&session, &recording, &question, &answer), LT_OK);
		for (size_t i = 0; i < answer.asked_count; i++)
			assert_sane(&answer.asked[i]);
		for (size_t i = 0; i < answer.curve_count; i++)
			assert_sane(&answer.curve[i]);
		lt_gc_recording_deinit(&recording);
	}
}

static void test_advice_keeps_the_goal_at_the_least_memory(void **ignored)
{
	(void)ignored;
	struct lt_gc_recording recording = {0};
	record_requests(&recording, 4000);
	struct lt_gc_question question = {.advise = true, .goal = {.share = 0.5}};
	struct lt_gc_what_if answer;
	assert_int_equal(lt_gc_ask(&session, &recording, &question, &answer), LT_OK);
	assert_true(answer.advised && answer.already && answer.met);
	question.goal.share = answer.recorded.share * 0.95;
	assert_int_equal(lt_gc_ask(&session, &recording, &question, &answer), LT_OK);
	assert_true(answer.met && !answer.already);
	assert_true(answer.advice.share <= question.goal.share);
	for (size_t i = 0; i < answer.curve_count; i++) {
		if (answer.curve[i].share <= question.goal.share)
			assert_true(answer.curve[i].garbage_peak >=
				    answer.advice.garbage_peak * 0.9);
	}
	question.goal = (struct lt_gc_goal){.pause_ms = 1e-9};
	assert_int_equal(lt_gc_ask(&session, &recording, &question, &answer), LT_OK);
	/* Only what never collects in that time keeps it. */
	assert_true(answer.met == (answer.advice.all_collections == 0));
	lt_gc_recording_deinit(&recording);
}

static void test_settings_are_read(void **ignored)
{
	(void)ignored;
	struct lt_gc_setting setting;
	assert_true(lt_gc_setting_parse("10000,50,7", &setting));
	assert_int_equal(setting.thresholds[0], 10000);
	assert_int_equal(setting.thresholds[2], 7);
	assert_true(lt_gc_setting_parse("10000", &setting));
	assert_int_equal(setting.thresholds[1], -1);
	assert_true(lt_gc_setting_parse("5000,freeze", &setting) && setting.freeze);
	assert_true(lt_gc_setting_parse("bound=64M", &setting));
	assert_int_equal(setting.bound_bytes, 64 << 20);
	static const char *const wrong[] = {
		"",         ",",         "1,",          "-1",       "1,2,3,4",
		"x",        "1 2",       "bound=",      "bound=0",  "bound=1e300",
		"bound=5X", "bound=nan", "99999999999", "freeze,,1"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (lt_gc_setting_parse(wrong[i], &setting))
			fail_msg("'%s' was taken for a setting", wrong[i]);
	}
}

int main(void)
{
	lt_session_init(&session);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net_allocations_cross_the_threshold),
		cmocka_unit_test(test_full_collections_wait_for_a_quarter),
		cmocka_unit_test(test_bursts_below_the_threshold_are_free),
		cmocka_unit_test(test_freezing_leaves_out_what_lives),
		cmocka_unit_test(test_a_bound_keeps_its_word),
		cmocka_unit_test(test_free_lists_are_not_counted),
		cmocka_unit_test(test_delays_let_the_count_run_over),
		cmocka_unit_test(test_calls_are_collected_at_their_end),
		cmocka_unit_test(test_garbage_of_a_unit_waits_for_its_oldest_part),
		cmocka_unit_test(test_requests_are_learnt_from_their_path),
		cmocka_unit_test(test_free_lists_are_learnt_from_what_is_collected),
		cmocka_unit_test(test_free_lists_are_read),
		cmocka_unit_test(test_nothing_can_be_said_of_nothing),
		cmocka_unit_test(test_hostile_recordings_give_figures),
		cmocka_unit_test(test_advice_keeps_the_goal_at_the_least_memory),
		cmocka_unit_test(test_settings_are_read),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
