/*
 * proc.h: small readers of text files of /proc and /sys.
 */
#ifndef LT_TARGET_PROC_H
#define LT_TARGET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The start of the file, NUL-terminated. False: it cannot be opened or read. */
bool lt_proc_read(const char *path, char *buffer, size_t capacity);

/*
 * The whole file, at most `limit` bytes, NUL-terminated, free(3) by the caller; NULL: it cannot be
 * read (errno tells). *ret_size may be NULL.
 */
char *lt_proc_slurp(const char *path, size_t limit, size_t *ret_size);

/* The text behind "name:" and blanks in a file of such lines, to the end of its line. False: none. */
bool lt_proc_field(const char *text, const char *name, char *buffer, size_t capacity);

/* A decimal number in a file by itself, as in cgroups. False: none, or it does not fit. */
bool lt_proc_number(const char *text, uint64_t *ret_value);

/* The same of a field in kB (VmRSS of /proc/PID/status), in bytes; 0 when it is not there. */
uint64_t lt_proc_bytes(const char *text, const char *name);

/* The state letter of a process (R, S, D, T, t, Z, X ...). False: no such process. */
bool lt_proc_state(pid_t pid, char *ret_state);

/* A field of /proc/PID/stat by its number in proc(5), from 3 on; the command's name may hold anything. */
bool lt_proc_stat_field(const char *stat, unsigned number, uint64_t *ret_value);

/* The id of a process or thread in the innermost of its PID namespaces; its own when that is not known. */
pid_t lt_proc_inside(pid_t tid);

/*
 * The thread of process `pid` that has the id `inside` in its own PID namespace; 0: it has none such. What a
 * target's memory says must never lead to a thread of another process.
 */
pid_t lt_proc_thread(pid_t pid, pid_t inside);

#endif
