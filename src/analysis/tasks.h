/*
 * tasks.h: the tasks that asyncio lists as pending. The lists own nothing, so they keep no task alive: each task
 * is a root of kind LT_ROOT_ASYNCIO, which holds nothing (lt_picture.root_node has LT_NO_NODE), but at which a way begins
 * that came to the task through what Python code cannot name.
 *
 * asyncio.all_tasks() is the same, but for tasks that run their first step eagerly at the moment, up to
 * 3.13: those are in a set that owns them.
 */
#ifndef LT_ANALYSIS_TASKS_H
#define LT_ANALYSIS_TASKS_H

#include "analysis/expression.h"

/* Appends a root for each task that asyncio lists, and sets lt_picture.named. For a picture of a process. */
LT_MUST_CHECK enum lt_status lt_tasks_find(struct lt_picture *picture);

/* The root of a listed task, NULL for any other node. */
const struct lt_root *lt_task_root(const struct lt_picture *picture, uint32_t node);

/* The code that the coroutine of a task runs, LT_NO_NODE when it does not say. */
uint32_t lt_task_code(const struct lt_picture *picture, uint32_t node);

/* True when Python code has no way along this reference, or to what this root holds. */
bool lt_task_gap(const struct lt_ref *ref);
bool lt_task_root_gap(const struct lt_root *root);

/*
 * The last listed task among nodes[0 .. within) that a way leads to only through such a gap: its place is
 * *ret_at, and the way is better told from there. False: there is none.
 */
bool lt_task_start(struct lt_expressions *expressions, const struct lt_picture *picture,
		   const uint32_t *nodes, size_t within, const struct lt_root *root,
		   size_t *ret_at);

#endif
