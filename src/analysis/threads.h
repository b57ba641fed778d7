/*
 * threads.h: which thread values belong to, and what Python calls it.
 *
 * The namespaces of threading.local() objects become roots of kind LT_ROOT_LOCAL_VALUES, which hold nothing (they are
 * held by the object and the thread together) but say whose they are. The names of threads, from threading._active,
 * become lt_root.variable of the roots of each thread.
 */
#ifndef LT_ANALYSIS_THREADS_H
#define LT_ANALYSIS_THREADS_H

#include "analysis/picture.h"

/* For a picture of a process, once. */
LT_MUST_CHECK enum lt_status lt_threads_find(struct lt_picture *picture);

/* The root of a namespace of a threading.local(), NULL for any other node. */
const struct lt_root *lt_local_values_root(const struct lt_picture *picture, uint32_t node);

#endif
