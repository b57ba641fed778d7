/*
 * table.h: the one table of commands and options. The parser, the help, the man page and the shell
 * completions all read it and nothing else.
 */
#ifndef LT_CLI_TABLE_H
#define LT_CLI_TABLE_H

#include "cli/request.h"

struct lt_run;

enum lt_option_id {
	LT_OPT_JSON,
	LT_OPT_OUTPUT,
	LT_OPT_FORMAT,
	LT_OPT_COLOR,
	LT_OPT_QUIET,
	LT_OPT_VERBOSE,
	LT_OPT_MODE,
	LT_OPT_IGNORE_HEADROOM,
	LT_OPT_ALL,
	LT_OPT_REDACT,
	LT_OPT_TOP,
	LT_OPT_FAIL_ON,
	LT_OPT_DURATION,
	LT_OPT_SNAPSHOTS,
	LT_OPT_SOURCE,
	LT_OPT_HZ,
	LT_OPT_REQUESTS,
	LT_OPT_WHAT_IF,
	LT_OPT_ADVISE,
	LT_OPT_GC_SHARE,
	LT_OPT_GC_PAUSE,
	LT_OPT_DEPTH,
	LT_OPT_FROM,
	LT_OPT_RETAINED,
	LT_OPT_RUNS,
	LT_OPT_TIMEOUT,
	LT_OPT_ONLY,
	LT_OPT_SVG,
	LT_OPT_WATCH,
	LT_OPT_INTERVAL,
	LT_OPT_AT_LEAST,
	LT_OPT_HELP,
	LT_OPT_VERSION,
	LT_OPT_GENERATE,
	LT_OPT_COUNT
};

_Static_assert(LT_OPT_COUNT <= 64, "options are bits of a uint64_t");

#define LT_OPT_BIT(id) ((uint64_t)1 << (id))

/* What is completed after an option or in the place of the operand. */
enum lt_completion {
	LT_COMPLETE_NONE,
	LT_COMPLETE_FILE,
	LT_COMPLETE_PID,
	LT_COMPLETE_SUBJECT, /* a PID or a file */
	LT_COMPLETE_COMMAND,
	LT_COMPLETE_PROGRAM /* behind --: a program and what it takes */
};

struct lt_option {
	const char *name;  /* long name without its dashes */
	const char *alias; /* second long name, NULL for none */
	char letter;       /* short name, 0 for none */
	bool hidden;
	const char *argument;       /* name of its argument in the help, NULL: it takes none */
	const char *const *choices; /* NULL-terminated; NULL: any argument */
	uint64_t least, most;       /* bounds of a number; both 0: not a number */
	enum lt_completion completion;
	const char *help; /* one sentence without its full stop */
};

struct lt_command {
	const char *name;
	const char *operand; /* "PID", "PID|FILE TYPE", "[COMMAND]"; NULL: none */
	unsigned operands_least, operands_most; /* 0 and 0: one when `operand` is not NULL */
	enum lt_completion completion;          /* of the first operand */
	unsigned options;                       /* LT_OPT_BIT()s */
	unsigned formats; /* LT_FORMAT_BIT()s that -o and --format may ask for; 0: text and JSON */
	unsigned
		beside; /* those of them that -o writes beside the report, which goes to standard output */
	bool writes_file; /* -o is the command's own business, its report goes to standard output */
	const char *summary;         /* one line for the list, no full stop */
	const char *description;     /* paragraphs, a blank line between two */
	const char *const *examples; /* NULL-terminated pairs: command line, what it does */
	enum lt_status (*run)(struct lt_run *run); /* NULL: help */
};

extern const struct lt_option lt_options[LT_OPT_COUNT];
extern const struct lt_command lt_commands[];
extern const size_t lt_command_count;

/* The exit codes of the program, for help and man page. */
struct lt_exit_code {
	int code;
	const char *meaning;
};
extern const struct lt_exit_code lt_exit_codes[];
extern const size_t lt_exit_code_count;

/* NULL: no such command. */
const struct lt_command *lt_command_find(const char *name);

#endif
