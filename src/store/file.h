/*
 * file.h: reading at a place of a file, whole.
 */
#ifndef LT_STORE_FILE_H
#define LT_STORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes read, less than wanted only at the end of the file; -1 with errno. */
ssize_t lt_file_read_at(int fd, void *buffer, size_t length, uint64_t offset);

#endif
