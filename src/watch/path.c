#include "watch/path.h"

#include "base/cleanup.h"
#include "heap/free_lists.h"
#include "target/live.h"
#include "watch/aside.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum {
	USUAL_STRETCH_MS = 4,
	USUAL_EVERY_MS = 100,
	LONG_EVERY = 8, /* of so many stretches one is longer: */
	LONG_TIMES = 6,
	CHEAP_EVERY_MS = 400,  /* of the cheap path: this far apart in the end, */
	CHEAP_STRETCHES = 200, /* and fewer of them until then */
	STATE_MOST = 1024,     /* bytes of the collector's state that are read at once */
	PLAUSIBLE = 500000000, /* a larger count is a torn read */
	STILL_NS = 200000,     /* a count that stays for longer may be that of a process at rest; */
	NAP_NS = 50000,        /* whether it runs again is looked at so often, */
	LONG_NAP_NS = 200000,  /* or so, where it did not run since the stretch before */
	GAP_NS =
		100000, /* lowtide itself had to wait for longer: what was in between is not known */
	FRAME_BYTES = 320,    /* of the innermost frame: its locals and what it computes with */
	CALL_EVERY_NS = 7000, /* how often it is looked at */
	HOLDER_EVERY = 64,    /* and after so many of these whose it is */
	CALL_LOOKS = 3,       /* so many that are all the same are a call of C code */
};

struct lt_watch_path {
	struct lt_memory *memory;
	pid_t pid;
	lt_addr state;
	size_t size;
	size_t count[LT_GC_GENERATIONS], collecting; /* offsets into the state */
	struct lt_free_lists lists;
	lt_addr holder; /* where the thread state that holds the GIL is told; 0: calls cannot be seen */
	size_t frame, cframe; /* offsets: of the frame in the former or the latter */
	bool by_cframe;
	uint64_t stretch_ns, every_ns;
	bool cheap, has_clock;
	clockid_t clock;  /* processor time of the process, with `has_clock`; */
	uint64_t used_ns; /* when it was looked at last */
	struct lt_aside aside;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under the lock */
	atomic_bool hurry;
	struct lt_watch_points points;
	bool failed; /* no memory, or the process ended */
};

struct look {
	uint64_t at_ns;
	int32_t count[LT_GC_GENERATIONS];
	bool collecting;
};

/* What Python code is doing: between two bytecodes something of it changes. */
struct code_look {
	lt_addr tstate, frame;
	unsigned char bytes[FRAME_BYTES];
	size_t size;
};

/* Looks at the code that are all the same. */
struct call {
	struct code_look code;
	struct look first, last;
	unsigned looks; /* 0: none yet */
	lt_addr tstate; /* the thread that runs */
	unsigned asked; /* looks since that was asked */
};

/* What is known within a stretch. */
struct track {
	struct look last;
	struct call call;
	bool held;                  /* a call of C code is going on */
	struct lt_watch_point turn; /* the extreme so far in the direction of travel */
	int direction;              /* 1 up, -1 down, 0 not known yet */
};

static bool take_look(struct lt_watch_path *path, struct look *ret_look)
{
	unsigned char bytes[STATE_MOST];
	if (lt_memory_probe(path->memory, path->state, bytes, path->size) != path->size)
		return false;
	int32_t collecting;
	struct look look = {.at_ns = lt_now_ns()};
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		memcpy(&look.count[i], bytes + path->count[i], sizeof(look.count[i]));
	memcpy(&collecting, bytes + path->collecting, sizeof(collecting));
	look.collecting = collecting != 0;
	if (look.count[0] < 0 || look.count[0] > PLAUSIBLE)
		return false;
	*ret_look = look;
	return true;
}

static void add(struct lt_watch_path *path, uint64_t at_ns, int32_t count, enum lt_point_kind kind)
{
	struct lt_watch_point point = {.at_ns = at_ns, .count = count, .kind = (uint8_t)kind};
	struct lt_free_tuples free;
	if ((kind == LT_POINT_BEGIN || kind == LT_POINT_END) &&
	    lt_free_lists_read(&path->lists, path->memory, &free)) {
		point.lists_known = true;
		point.free_tuples = (uint16_t)free.tuples;
		point.free_lists = (uint8_t)free.lists;
	}
	if (!lt_watch_points_push(&path->points, point))
		path->failed = true;
}

/* The extreme that was passed becomes a point. */
static void turn_here(struct lt_watch_path *path, struct track *track)
{
	const struct lt_watch_point *last = &path->points.data[path->points.count - 1];
	if (track->turn.at_ns > last->at_ns)
		add(path, track->turn.at_ns, track->turn.count,
		    track->held ? LT_POINT_HELD : LT_POINT_MOVE);
}

static void begin_at(struct track *track, const struct look *look)
{
	track->last = *look;
	track->held = false;
	track->call.looks = 0;
	track->turn = (struct lt_watch_point){
		.at_ns = look->at_ns, .count = look->count[0], .kind = LT_POINT_MOVE};
	track->direction = 0;
}

static void follow(struct lt_watch_path *path, struct track *track, const struct look *look)
{
	int32_t count = look->count[0], extreme = track->turn.count;
	if (track->direction == 0 && abs(count - extreme) >= LT_POINT_GRAIN)
		track->direction = count > extreme ? 1 : -1;
	bool on = track->direction == 0 || (count - extreme) * track->direction > 0 ||
		  (count == extreme && count != 0);
	bool at_rest = count == 0 && extreme == 0 && track->direction <= 0;
	if (on && !at_rest) {
		track->turn = (struct lt_watch_point){
			.at_ns = look->at_ns, .count = count, .kind = LT_POINT_MOVE};
	} else if (at_rest) {
		/* Where it came to rest is a point; so is, by the next turn, where it left. */
		if (track->direction < 0) {
			turn_here(path, track);
			track->direction = 0;
		}
		track->turn.at_ns = look->at_ns;
	} else if (abs(count - extreme) >= LT_POINT_GRAIN) {
		turn_here(path, track);
		track->direction = -track->direction;
		track->turn = (struct lt_watch_point){
			.at_ns = look->at_ns, .count = count, .kind = LT_POINT_MOVE};
	}
	track->last = *look;
}

static bool word_at(struct lt_watch_path *path, lt_addr address, lt_addr *ret_word)
{
	uint64_t word;
	if (lt_memory_probe(path->memory, address, &word, sizeof(word)) != sizeof(word))
		return false;
	*ret_word = word;
	return word != 0;
}

static bool look_at_code(struct lt_watch_path *path, struct call *call, struct code_look *look)
{
	if (call->asked++ % HOLDER_EVERY == 0 && !word_at(path, path->holder, &call->tstate))
		return false;
	lt_addr at = look->tstate = call->tstate;
	if (path->by_cframe && !word_at(path, at + path->cframe, &at))
		return false;
	if (!word_at(path, at + path->frame, &look->frame))
		return false;
	look->size = lt_memory_probe(path->memory, look->frame, look->bytes, sizeof(look->bytes));
	return look->size > 0;
}

static bool same_code(const struct code_look *a, const struct code_look *b)
{
	return a->tstate == b->tstate && a->frame == b->frame && a->size == b->size &&
	       memcmp(a->bytes, b->bytes, a->size) == 0;
}

/* The call is over: it was still going on at its last look. */
static void end_call(struct lt_watch_path *path, struct track *track)
{
	track->call.looks = 0;
	if (!track->held)
		return;
	turn_here(path, track);
	const struct lt_watch_point *end = &path->points.data[path->points.count - 1];
	if (track->call.last.at_ns > end->at_ns)
		add(path, track->call.last.at_ns, track->call.last.count[0], LT_POINT_HELD);
	track->held = false;
}

/* It has been going on for some looks: from its first one, or from the last turn where there was one since. */
static void begin_call(struct lt_watch_path *path, struct track *track)
{
	const struct look *first = &track->call.first;
	turn_here(path, track);
	if (first->at_ns > path->points.data[path->points.count - 1].at_ns)
		add(path, first->at_ns, first->count[0], LT_POINT_MOVE);
	track->held = true;
}

static void follow_call(struct lt_watch_path *path, struct track *track, const struct look *look)
{
	struct call *call = &track->call;
	if (path->holder == 0 ||
	    (call->looks > 0 && look->at_ns - call->last.at_ns < CALL_EVERY_NS))
		return;
	struct code_look code;
	bool seen = look_at_code(path, call, &code);
	/* Much later the same may be there again. */
	if (call->looks > 0 && look->at_ns - call->last.at_ns > (uint64_t)3 * CALL_EVERY_NS)
		seen = false;
	if (seen && call->looks > 0 && same_code(&code, &call->code)) {
		call->last = *look;
		if (++call->looks == CALL_LOOKS)
			begin_call(path, track);
		return;
	}
	bool held = track->held;
	end_call(path, track);
	if (held)
		begin_at(track, look);
	if (seen) {
		call->code = code;
		call->first = call->last = *look;
		call->looks = 1;
	}
}

/* Whether a collection lies between two looks: the counts of the older generations tell, or a sudden fall. */
static bool collected_between(const struct look *before, const struct look *after)
{
	return after->count[1] != before->count[1] || after->count[2] != before->count[2];
}

/*
 * Whether the process used no processor time since this was asked last. The kernel adds up what a thread uses when it stops
 * running and at each tick: one that began to run less than a tick ago is not seen.
 */
static bool used_none(struct lt_watch_path *path)
{
	struct timespec used;
	if (!path->has_clock || clock_gettime(path->clock, &used) != 0)
		return false;
	uint64_t before_ns = path->used_ns;
	path->used_ns = (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
	return path->used_ns == before_ns;
}

static bool same_counts(const struct look *a, const struct look *b)
{
	return !a->collecting && !b->collecting &&
	       memcmp(a->count, b->count, sizeof(a->count)) == 0;
}

/* How a stretch begins, and what it finds. */
struct stretch {
	uint64_t until_ns;
	bool rests;  /* the process did not run since the one before */
	bool asleep; /* no thread of it runs */
};

/*
 * The next look; where the process is at rest one that is a little later. While no thread runs the count cannot change, so that
 * looks some way apart that find the same are as good as close ones. False: it is over.
 */
static bool next_look(struct lt_watch_path *path, struct stretch *stretch, struct track *track,
		      struct look *ret_look)
{
	const struct timespec nap = {.tv_nsec = stretch->rests ? LONG_NAP_NS : NAP_NS};
	if (stretch->asleep)
		nanosleep(&nap, NULL);
	if (!take_look(path, ret_look)) {
		path->failed = true;
		return false;
	}
	if (!stretch->asleep)
		return true;
	stretch->asleep = used_none(path) && same_counts(&track->last, ret_look) &&
			  !lt_aside_runs_again(&path->aside, path->pid);
	if (stretch->asleep)
		follow(path, track, ret_look);
	/* It runs again, perhaps where this thread does. */
	return stretch->asleep || lt_aside_step(&path->aside, path->pid, NULL);
}

static void read_stretch(struct lt_watch_path *path, struct stretch *stretch)
{
	struct look look;
	struct track track;
	if (!take_look(path, &look))
		return;
	add(path, look.at_ns, look.count[0], LT_POINT_START);
	begin_at(&track, &look);
	bool inside = look.collecting;
	uint64_t moved_ns = look.at_ns;
	stretch->asleep &= !inside;
	while (!path->failed && look.at_ns < stretch->until_ns && !atomic_load(&path->hurry)) {
		if (!next_look(path, stretch, &track, &look))
			break;
		if (stretch->asleep)
			continue;
		bool collected = collected_between(&track.last, &look);
		if (inside || look.collecting || look.count[0] != track.last.count[0])
			moved_ns = look.at_ns;
		if (look.at_ns - track.last.at_ns > GAP_NS) {
			bool lost = inside || look.collecting || collected;
			if (!inside) {
				end_call(path, &track);
				turn_here(path, &track);
			}
			if (!inside && track.last.at_ns > track.turn.at_ns)
				add(path, track.last.at_ns, track.last.count[0], LT_POINT_MOVE);
			add(path, look.at_ns, look.count[0], lost ? LT_POINT_START : LT_POINT_GAP);
			begin_at(&track, &look);
			inside = look.collecting;
			moved_ns = look.at_ns;
			continue;
		}
		if (!inside && (look.collecting || collected)) {
			end_call(path, &track);
			turn_here(path, &track);
			add(path, track.last.at_ns, track.last.count[0], LT_POINT_BEGIN);
			inside = true;
		}
		if (inside && !look.collecting) {
			add(path, look.at_ns, look.count[0], LT_POINT_END);
			begin_at(&track, &look);
			inside = false;
		} else if (inside) {
			track.last = look;
		} else {
			follow(path, &track, &look);
			follow_call(path, &track, &look);
			if (path->has_clock && look.at_ns - moved_ns >= STILL_NS) {
				moved_ns = look.at_ns;
				stretch->asleep = !lt_aside_runs(&path->aside, path->pid);
				used_none(path);
			}
		}
	}
	if (!inside) {
		end_call(path, &track);
		turn_here(path, &track);
	}
}

/* Too much: every second stretch goes, and those to come are half as many. */
static void thin_out(struct lt_watch_path *path)
{
	size_t kept = 0;
	bool keep = false;
	for (size_t i = 0; i < path->points.count; i++) {
		if (path->points.data[i].kind == LT_POINT_START)
			keep = !keep;
		if (keep)
			path->points.data[kept++] = path->points.data[i];
	}
	path->points.count = kept;
	path->every_ns *= 2;
}

/*
 * One stretch. True: the process ran neither in it nor since the one before; then the next one may be later.
 *
 * That is decided by what was, and by nothing that the next one will meet: of a unit of work after a rest the begin, the middle
 * and the end are as likely to be looked at as each other. To end a stretch because the process rests would be another thing: those that
 * work begins in would go, those that begin within work would stay, and the path would be of its later parts.
 */
static bool read_one(struct lt_watch_path *path, uint64_t length_ns)
{
	bool rests = used_none(path), runs = !rests;
	/* Where the process has no other processor than this one, it would stand for the stretch. */
	if (!rests && !lt_aside_step(&path->aside, path->pid, &runs))
		return false;
	struct stretch stretch = {.until_ns = lt_now_ns() + length_ns,
				  .rests = rests,
				  .asleep = path->has_clock && !runs};
	read_stretch(path, &stretch);
	return used_none(path) && rests && stretch.asleep;
}

static void *run(void *argument)
{
	struct lt_watch_path *path = argument;
	static const uint64_t resting_ns = CHEAP_EVERY_MS * 1000000ull;
	uint64_t next_ns = lt_now_ns();
	unsigned stretches = 0, kept = 0;
	lt_aside_begin(&path->aside);
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* of this thread: short naps */
	pthread_mutex_lock(&path->lock);
	while (!path->stop && !path->failed) {
		if (lt_now_ns() < next_ns) {
			const struct timespec until = {(time_t)(next_ns / 1000000000),
						       (long)(next_ns % 1000000000)};
			pthread_cond_timedwait(&path->wake, &path->lock, &until);
			continue;
		}
		pthread_mutex_unlock(&path->lock);
		uint64_t length_ns =
			path->stretch_ns * (++stretches % LONG_EVERY == 0 ? LONG_TIMES : 1);
		bool rested = read_one(path, length_ns);
		bool dense = path->cheap && ++kept >= CHEAP_STRETCHES &&
			     path->every_ns < CHEAP_EVERY_MS * 1000000ull;
		if (dense || path->points.count > LT_POINTS_MOST / 2) {
			thin_out(path);
			kept /= 2;
		}
		next_ns += rested && path->every_ns < resting_ns ? resting_ns : path->every_ns;
		if (next_ns < lt_now_ns())
			next_ns = lt_now_ns() + path->every_ns / 2;
		pthread_mutex_lock(&path->lock);
	}
	pthread_mutex_unlock(&path->lock);
	return NULL;
}

/* Where the counts lie; false: the layout does not tell. */
static bool place(struct lt_watch_path *path, const struct lt_layout *layout,
		  const struct lt_interpreter *interpreter)
{
	if (!lt_has(layout, LT_PyInterpreterState_gc) || !lt_has(layout, LT_gc_generation_count) ||
	    !lt_has(layout, LT__gc_runtime_state_collecting))
		return false;
	path->state = interpreter->address + lt_off(layout, LT_PyInterpreterState_gc);
	path->collecting = lt_off(layout, LT__gc_runtime_state_collecting);
	path->size = path->collecting + sizeof(int32_t);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		lt_addr head = interpreter->gc.generations[i].head;
		if (head < path->state || head - path->state > STATE_MOST)
			return false;
		path->count[i] = head - path->state + lt_off(layout, LT_gc_generation_count);
		if (path->count[i] + sizeof(int32_t) > path->size)
			path->size = path->count[i] + sizeof(int32_t);
	}
	return path->size <= STATE_MOST;
}

/* Where releases wait with a collection: how to see that they must. */
static void place_calls(struct lt_watch_path *path, const struct lt_view *view, lt_addr interpreter)
{
	const struct lt_layout *layout = view->layout;
	lt_addr gil;
	if (lt_fact(layout, LT_FACT_gc_at_eval_breaker) == 0 ||
	    lt_fact(layout, LT_FACT_gil_pointer) == 0 ||
	    !lt_has(layout, LT_PyInterpreterState_ceval_gil) ||
	    !lt_has(layout, LT__gil_runtime_state_last_holder) ||
	    !word_at(path, interpreter + lt_off(layout, LT_PyInterpreterState_ceval_gil), &gil))
		return;
	if (lt_has(layout, LT_PyThreadState_current_frame)) {
		path->frame = lt_off(layout, LT_PyThreadState_current_frame);
	} else {
		if (!lt_has(layout, LT_PyThreadState_cframe) ||
		    !lt_has(layout, LT__PyCFrame_current_frame))
			return;
		path->by_cframe = true;
		path->cframe = lt_off(layout, LT_PyThreadState_cframe);
		path->frame = lt_off(layout, LT__PyCFrame_current_frame);
	}
	path->holder = gil + lt_off(layout, LT__gil_runtime_state_last_holder);
}

static enum lt_status start(struct lt_session *session, struct lt_watch_path *path)
{
	pthread_condattr_t clock;
	if (pthread_condattr_init(&clock) != 0)
		return lt_fail_memory(session);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_mutex_init(&path->lock, NULL);
	pthread_cond_init(&path->wake, &clock);
	pthread_condattr_destroy(&clock);
	int error = pthread_create(&path->thread, NULL, run, path);
	if (error != 0)
		return lt_fail_errno(session, LT_E_INTERNAL, error, "cannot start a thread");
	path->running = true;
	return LT_OK;
}

enum lt_status lt_watch_path_open(const struct lt_view *view,
				  const struct lt_watch_path_options *options,
				  struct lt_watch_path **ret_path)
{
	if (view->process == NULL)
		return lt_fail(view->session, LT_E_NOT_PYTHON,
			       "the path of the count is read from a process only");
	struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	struct lt_watch_path *path = calloc(1, sizeof(*path));
	if (path == NULL) {
		lt_interpreters_deinit(&interpreters);
		return lt_fail_memory(view->session);
	}
	enum lt_status status = LT_OK;
	if (!place(path, view->layout, &interpreters.data[0]))
		status = lt_fail(view->session, LT_E_NOT_PYTHON,
				 "the counts of the collector cannot be found");
	lt_addr interpreter = interpreters.data[0].address;
	lt_interpreters_deinit(&interpreters);
	if (status == LT_OK)
		status = lt_live_open(view->session, view->process->pid, &path->memory);
	if (status == LT_OK) {
		place_calls(path, view, interpreter);
		lt_free_lists_find(view->layout, interpreter, &path->lists);
		unsigned stretch_ms =
			options->stretch_ms != 0 ? options->stretch_ms : USUAL_STRETCH_MS;
		unsigned every_ms = options->every_ms != 0 ? options->every_ms : USUAL_EVERY_MS;
		path->stretch_ns = stretch_ms * 1000000ull;
		path->every_ns = every_ms * 1000000ull;
		path->cheap = options->cheap;
		path->pid = view->process->pid;
		path->has_clock =
			path->cheap && clock_getcpuclockid(view->process->pid, &path->clock) == 0;
		status = start(view->session, path);
	}
	if (status != LT_OK) {
		lt_memory_close(path->memory);
		free(path);
		return status;
	}
	*ret_path = path;
	return LT_OK;
}

void lt_watch_path_close(struct lt_watch_path *path, struct lt_watch_points *ret_points)
{
	if (path == NULL)
		return;
	if (path->running) {
		pthread_mutex_lock(&path->lock);
		path->stop = true;
		atomic_store(&path->hurry, true);
		pthread_cond_signal(&path->wake);
		pthread_mutex_unlock(&path->lock);
		pthread_join(path->thread, NULL);
	}
	pthread_cond_destroy(&path->wake);
	pthread_mutex_destroy(&path->lock);
	if (ret_points != NULL)
		*ret_points = path->points;
	else
		lt_watch_points_deinit(&path->points);
	lt_memory_close(path->memory);
	free(path);
}
