/*
 * request.h: what a command line asks for, read by the one table of commands and options (table.h).
 */
#ifndef LT_CLI_REQUEST_H
#define LT_CLI_REQUEST_H

#include "analysis/doctor.h"
#include "analysis/gc_advise.h"
#include "base/session.h"
#include "report/format.h"
#include "target/freeze.h"
#include "watch/watch.h"

enum lt_color { LT_COLOR_AUTO, LT_COLOR_ALWAYS, LT_COLOR_NEVER };

enum { LT_OPERANDS_MOST = 16 };

struct lt_command;

/* Strings point into argv. */
struct lt_request {
	const struct lt_command *command; /* NULL: only help, version or generate */
	const struct lt_command *topic;   /* of help; NULL: the program */
	bool help;
	bool version;
	const char *generate; /* "man", "bash", "zsh", "fish"; NULL: no */

	bool json;
	const char *output; /* -o; NULL: standard output */
	bool file_is_own; /* the command writes that file itself, its report goes to standard output */
	enum lt_format format;
	enum lt_color color;
	int verbosity; /* -1 with -q, else the number of -v */
	enum lt_mode mode;
	bool ignore_headroom;
	bool all;
	bool redact;
	bool retained;
	uint64_t top;     /* rows; 0: the default of the command */
	unsigned seconds; /* -d; 0: the default of the command */
	bool has_source;
	enum lt_watch_source source;    /* the one that may be used, when has_source */
	unsigned hz;                    /* 0: the default */
	uint64_t requests[2];           /* served before and after; 0: not known */
	bool requests_a_second[2];      /* those are so many a second */
	unsigned snapshots;             /* 0: the default of the command */
	struct lt_gc_question question; /* --what-if, --advise and its goals */
	bool has_fail_on;
	enum lt_severity fail_on;
	pid_t pid;           /* 0: the command takes none, or was given a file */
	const char *operand; /* a PID, or a file where the command takes one; NULL: none */
	const char *operands[LT_OPERANDS_MOST]; /* the same and those after it */
	size_t operand_count;
	uint64_t depth;   /* levels of a tree; 0: the default of the command */
	unsigned runs;    /* of a command; 0: the default */
	unsigned timeout; /* seconds that a run may take; 0: the default */
	const char *only; /* names with commas between; NULL: all */
	char *const *
		command_line; /* what stands behind --, for a command that runs it; NULL: nothing */
	const char *svg;      /* file for a picture; NULL: none */
	bool watch;
	unsigned interval; /* seconds between two rounds; 0: the default of the command */
	bool has_at_least;
	uint64_t at_least; /* bytes */
	const char *from;  /* where a tree begins; NULL: at its roots */
};

/*
 * Reads a command line. LT_E_USAGE with sentence and remedy in the session when it is wrong; then
 * ret_request->json still tells in which form the error is wanted.
 */
LT_MUST_CHECK enum lt_status lt_request_parse(struct lt_session *session, int argc, char **argv,
					      struct lt_request *ret_request);

#endif
