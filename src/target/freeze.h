/*
 * freeze.h: one consistent picture of a live process, for the price of a fork(2).
 *
 * LT_MODE_FORK: the target forks (one injected system call), the child never runs and is read at
 * leisure. LT_MODE_STOP: the target stays stopped while it is read. LT_MODE_LIVE: nothing is stopped,
 * torn reads are possible. A guard process does the tracing: whatever becomes of lowtide, the child
 * dies and the target runs on (docs/freeze.md).
 */
#ifndef LT_TARGET_FREEZE_H
#define LT_TARGET_FREEZE_H

#include "base/session.h"
#include "target/memory.h"
#include "target/process.h"

enum lt_mode { LT_MODE_FORK, LT_MODE_STOP, LT_MODE_LIVE };

/*
 * What the layer above knows of the runtime inside; called while the target stands and before. The calls
 * are made in the guard, a fork of lowtide made in lt_freeze_begin(): what they change is lost. They must
 * be quick, and `live` is read anew at each call.
 */
struct lt_freeze_probe {
	void *ctx;
	/* True while a collection runs: the freeze lets go and tries again. */
	bool (*collecting)(void *ctx, struct lt_memory *live);
	/*
	 * Thread id of the thread that holds the GIL, as the target knows it (gettid(2)), 0 when none does,
	 * it is not known, or to stop one thread would not be enough.
	 */
	pid_t (*gil_holder)(void *ctx, struct lt_memory *live);
};

struct lt_freeze_options {
	enum lt_mode mode;
	unsigned attempts;    /* 0: default */
	bool ignore_headroom; /* do not check the memory limit of the target's cgroup */
};

struct lt_freeze {
	enum lt_mode mode;
	struct lt_memory *memory; /* owned; readable until lt_freeze_end() */
	uint64_t stall_ns; /* how long the target stood still; final after lt_freeze_release() */
	unsigned retries;  /* attempts that a running collection made vain */
};

/*
 * Takes the picture. LT_E_BUSY: a collection ran at every attempt, or the cgroup has no headroom (the
 * sentence has the figures, the remedy another mode). LT_E_GONE, LT_E_PERMISSION as usual.
 */
LT_MUST_CHECK enum lt_status lt_freeze_begin(struct lt_session *session, struct lt_process *process,
					     const struct lt_freeze_probe *probe,
					     const struct lt_freeze_options *options,
					     struct lt_freeze **ret_freeze);

/*
 * Ends the picture but keeps its figures: closes the memory, lets the target go. A failure to clean up is
 * a warning in the session. A second call does nothing.
 */
void lt_freeze_release(struct lt_session *session, struct lt_freeze *freeze);

/* Releases and frees; NULL is allowed. */
void lt_freeze_end(struct lt_session *session, struct lt_freeze *freeze);

#endif
