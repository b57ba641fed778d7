/*
 * status.h: what a fallible function returns, and the exit code that each status becomes.
 *
 * The status says what kind of thing went wrong; the sentence, the address, the errno and the
 * remedy live in the session (session.h). Data in a target that cannot be read or makes no sense is
 * not an error: it is counted (lt_session.unreadable).
 */
#ifndef LT_BASE_STATUS_H
#define LT_BASE_STATUS_H

enum lt_status {
	LT_OK = 0,
	LT_E_USAGE,      /* the command line is wrong */
	LT_E_NOT_PYTHON, /* not CPython, or a build that is not supported */
	LT_E_PERMISSION, /* the system does not permit it */
	LT_E_GONE,       /* the target ended, or never was there */
	LT_E_FILE,       /* a file is missing, damaged or from another schema */
	LT_E_BUSY, /* not possible at this moment: try again (a collection runs, no headroom) */
	LT_E_READ, /* an address of the target cannot be read */
	LT_E_NO_MEMORY, /* lowtide itself has no memory left */
	LT_E_INTERNAL,  /* a fault of lowtide itself */
};

/* Every function that returns a status is marked with this. */
#define LT_MUST_CHECK __attribute__((warn_unused_result))

/* The exit code of the program for a status: 0, 2, 3, 4, 5, 6 or 70. */
int lt_status_exit_code(enum lt_status status);

/* A short English name for a status, for tests and logs. Never NULL. */
const char *lt_status_name(enum lt_status status);

#endif
