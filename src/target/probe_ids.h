/*
 * probe_ids.h: where this kernel keeps the ids that a thread has in each PID namespace, by its description of its own
 * types (BTF).
 */
#ifndef LT_TARGET_PROBE_IDS_H
#define LT_TARGET_PROBE_IDS_H

#include "target/probe_program.h"

#include <stdbool.h>

/* All but `above`. False: the kernel has no such description, or none that lowtide knows. */
bool lt_probe_ids_find(struct lt_probe_ids *ret_ids);

#endif
