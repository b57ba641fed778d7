/*
 * image.h: a memory made of byte segments, for tests and for data that was saved.
 */
#ifndef LT_TARGET_IMAGE_H
#define LT_TARGET_IMAGE_H

#include "base/session.h"
#include "target/memory.h"

/* An empty image. */
LT_MUST_CHECK enum lt_status lt_image_create(struct lt_session *session,
					     struct lt_memory **ret_memory);

/* Adds a copy of the bytes; NULL for `bytes` adds zeros. LT_E_INTERNAL when it overlaps or wraps around. */
LT_MUST_CHECK enum lt_status lt_image_add(struct lt_session *session, struct lt_memory *image,
					  lt_addr addr, const void *bytes, size_t size);

/* The bytes behind an address range of one segment, to be changed in place; NULL when not all of it is there. */
void *lt_image_at(struct lt_memory *image, lt_addr addr, size_t size);

#endif
