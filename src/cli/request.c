#include "cli/request.h"

#include "analysis/trim.h"
#include "base/text.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	PID_MOST = 4194304, /* PID_MAX_LIMIT of 64-bit Linux */
	EDITS_MOST = 2,     /* a suggestion is at most this far from what was typed */
	WORD_MOST = 31,
};

struct parser {
	struct lt_session *session;
	struct lt_request *request;
	uint64_t seen;                              /* LT_OPT_BIT()s */
	const char *operands[LT_OPERANDS_MOST + 2]; /* the command, its operands, one too many */
	size_t operand_count;
	enum lt_status status; /* of a failed find_command() */
};

static void keep_nearest(const char *typed, const char *candidate, unsigned *best,
			 const char **ret_name)
{
	unsigned edits = lt_text_slips(typed, candidate, false);
	if (edits > EDITS_MOST || edits >= strlen(candidate))
		edits = strlen(typed) >= 2 && strncmp(typed, candidate, strlen(typed)) == 0
				? EDITS_MOST
				: UINT32_MAX;
	if (edits < *best) {
		*best = edits;
		*ret_name = candidate;
	}
}

static bool is_number(const char *text)
{
	if (*text == '\0')
		return false;
	return text[strspn(text, "0123456789")] == '\0';
}

/* False: not a plain decimal number between the bounds. */
static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
	if (!is_number(text))
		return false;
	errno = 0;
	unsigned long long number = strtoull(text, NULL, 10);
	if (errno != 0 || number < least || number > most)
		return false;
	*ret_number = number;
	return true;
}

static size_t choice_index(const char *const *choices, const char *argument)
{
	size_t i = 0;
	while (choices[i] != NULL && strcmp(choices[i], argument) != 0)
		i++;
	return i;
}

static enum lt_status bad_argument(struct parser *parser, const struct lt_option *option,
				   const char *argument)
{
	enum lt_status status =
		lt_fail(parser->session, LT_E_USAGE, "'%s' is not an argument that --%s takes",
			argument, option->name);
	if (option->choices == NULL) {
		lt_remedy(parser->session, "Give a whole number from %llu to %llu.",
			  (unsigned long long)option->least, (unsigned long long)option->most);
		return status;
	}
	char list[128] = "";
	for (size_t i = 0; option->choices[i] != NULL; i++) {
		strncat(list,
			i == 0                           ? ""
			: option->choices[i + 1] != NULL ? ", "
							 : " or ",
			sizeof(list) - strlen(list) - 1);
		strncat(list, option->choices[i], sizeof(list) - strlen(list) - 1);
	}
	lt_remedy(parser->session, "Give %s.", list);
	return status;
}

/* "1200", or "60/s". */
static bool parse_request_count(const char *text, size_t length, uint64_t *ret_number,
				bool *ret_a_second)
{
	char number[24];
	bool a_second = length > 2 && strncmp(text + length - 2, "/s", 2) == 0;
	length -= a_second ? 2 : 0;
	if (length >= sizeof(number))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)length, text);
	*ret_a_second = a_second;
	return parse_number(number, 1, INT64_MAX, ret_number);
}

/* One for both, or two with a comma between. */
static bool parse_requests(const char *argument, struct lt_request *request)
{
	const char *comma = strchr(argument, ','), *second = comma != NULL ? comma + 1 : argument;
	size_t length = comma != NULL ? (size_t)(comma - argument) : strlen(argument);
	return parse_request_count(argument, length, &request->requests[0],
				   &request->requests_a_second[0]) &&
	       parse_request_count(second, strlen(second), &request->requests[1],
				   &request->requests_a_second[1]);
}

static enum lt_status add_setting(struct parser *parser, const char *argument)
{
	struct lt_gc_question *question = &parser->request->question;
	if (question->asked_count == LT_GC_ASKED_MOST)
		return lt_fail(parser->session, LT_E_USAGE, "--what-if is given more than %d times",
			       LT_GC_ASKED_MOST);
	if (lt_gc_setting_parse(argument, &question->asked[question->asked_count])) {
		question->asked_count++;
		return LT_OK;
	}
	lt_remedy(parser->session, "Give thresholds (--what-if=10000,10,10), freeze, both with a "
				   "comma between, or bound=64M.");
	return lt_fail(parser->session, LT_E_USAGE,
		       "'%.100s' is not a setting that --what-if takes", argument);
}

static enum lt_status apply(struct parser *parser, enum lt_option_id id, const char *argument)
{
	const struct lt_option *option = &lt_options[id];
	struct lt_request *request = parser->request;
	uint64_t number = 0;
	size_t choice = 0;
	if (option->choices != NULL) {
		choice = choice_index(option->choices, argument);
		if (option->choices[choice] == NULL)
			return bad_argument(parser, option, argument);
	} else if (option->most != 0 &&
		   !parse_number(argument, option->least, option->most, &number)) {
		return bad_argument(parser, option, argument);
	}
	parser->seen |= LT_OPT_BIT(id);
	switch (id) {
	case LT_OPT_JSON:
		request->json = true;
		break;
	case LT_OPT_OUTPUT:
		if (*argument == '\0') {
			lt_remedy(parser->session, "Give the name of a file to --output.");
			return lt_fail(parser->session, LT_E_USAGE,
				       "the file name of --output is empty");
		}
		request->output = argument;
		break;
	case LT_OPT_FORMAT:
		request->format = (enum lt_format)choice;
		break;
	case LT_OPT_COLOR:
		request->color = (enum lt_color)choice;
		break;
	case LT_OPT_QUIET:
		request->verbosity = -1;
		break;
	case LT_OPT_VERBOSE:
		request->verbosity = request->verbosity < 0 ? 1 : request->verbosity + 1;
		break;
	case LT_OPT_MODE:
		request->mode = (enum lt_mode)choice;
		break;
	case LT_OPT_IGNORE_HEADROOM:
		request->ignore_headroom = true;
		break;
	case LT_OPT_REDACT:
		request->redact = true;
		break;
	case LT_OPT_ALL:
		request->all = true;
		break;
	case LT_OPT_TOP:
		request->top = number;
		break;
	case LT_OPT_FAIL_ON:
		request->has_fail_on = true;
		request->fail_on = (enum lt_severity)choice;
		break;
	case LT_OPT_DURATION:
		request->seconds = (unsigned)number;
		break;
	case LT_OPT_SOURCE:
		request->has_source = true;
		request->source = (enum lt_watch_source)choice;
		break;
	case LT_OPT_HZ:
		request->hz = (unsigned)number;
		break;
	case LT_OPT_REQUESTS:
		if (!parse_requests(argument, request)) {
			lt_remedy(parser->session,
				  "Give how many requests were served in each recording: "
				  "--requests=1200,4800, or a second: --requests=20/s,80/s; one "
				  "number for both.");
			return lt_fail(parser->session, LT_E_USAGE,
				       "'%.100s' is not an argument that --requests takes",
				       argument);
		}
		break;
	case LT_OPT_WHAT_IF:
		return add_setting(parser, argument);
	case LT_OPT_ADVISE:
		request->question.advise = true;
		break;
	case LT_OPT_GC_SHARE:
		request->question.goal.share = (double)number / 100;
		break;
	case LT_OPT_GC_PAUSE:
		request->question.goal.pause_ms = (double)number;
		break;
	case LT_OPT_SNAPSHOTS:
		request->snapshots = (unsigned)number;
		break;
	case LT_OPT_DEPTH:
		request->depth = number;
		break;
	case LT_OPT_RETAINED:
		request->retained = true;
		break;
	case LT_OPT_RUNS:
		request->runs = (unsigned)number;
		break;
	case LT_OPT_TIMEOUT:
		request->timeout = (unsigned)number;
		break;
	case LT_OPT_ONLY:
		request->only = argument;
		break;
	case LT_OPT_SVG:
		request->svg = argument;
		break;
	case LT_OPT_WATCH:
		request->watch = true;
		break;
	case LT_OPT_INTERVAL:
		request->interval = (unsigned)number;
		break;
	case LT_OPT_AT_LEAST:
		if (!lt_trim_amount(argument, &request->at_least)) {
			lt_remedy(parser->session, "Give bytes, or a number with K, M or G: "
						   "--at-least=64M.");
			return lt_fail(parser->session, LT_E_USAGE,
				       "'%.100s' is not an amount that --at-least takes", argument);
		}
		request->has_at_least = true;
		break;
	case LT_OPT_FROM:
		request->from = argument;
		break;
	case LT_OPT_HELP:
		request->help = true;
		break;
	case LT_OPT_VERSION:
		request->version = true;
		break;
	case LT_OPT_GENERATE:
		request->generate = option->choices[choice];
		break;
	case LT_OPT_COUNT:
		break;
	}
	return LT_OK;
}

static bool name_is(const char *name, const char *typed, size_t length)
{
	return name != NULL && strlen(name) == length && memcmp(name, typed, length) == 0;
}

static enum lt_status unknown_option(struct parser *parser, const char *typed, size_t length)
{
	char word[WORD_MOST + 1] = "";
	unsigned best = UINT32_MAX;
	const char *nearest = NULL;
	if (length <= WORD_MOST) {
		memcpy(word, typed, length);
		for (size_t i = 0; i < LT_OPT_COUNT; i++)
			if (!lt_options[i].hidden)
				keep_nearest(word, lt_options[i].name, &best, &nearest);
	}
	if (nearest != NULL)
		lt_remedy(parser->session, "Did you mean --%s?", nearest);
	else
		lt_remedy(parser->session, "Run 'lowtide --help' for all commands and options.");
	return lt_fail(parser->session, LT_E_USAGE, "there is no option --%.*s", (int)length,
		       typed);
}

static enum lt_status missing_argument(struct parser *parser, const struct lt_option *option)
{
	lt_remedy(parser->session, "Write --%s=%s.", option->name, option->argument);
	return lt_fail(parser->session, LT_E_USAGE, "the option --%s takes an argument",
		       option->name);
}

/* `typed` is what follows "--"; `next` the argument after it, NULL for none. */
static enum lt_status parse_long(struct parser *parser, const char *typed, const char *next,
				 bool *ret_took_next)
{
	const char *equals = strchr(typed, '=');
	size_t length = equals != NULL ? (size_t)(equals - typed) : strlen(typed);
	for (size_t i = 0; i < LT_OPT_COUNT; i++) {
		const struct lt_option *option = &lt_options[i];
		if (!name_is(option->name, typed, length) && !name_is(option->alias, typed, length))
			continue;
		if (option->argument == NULL) {
			if (equals == NULL)
				return apply(parser, (enum lt_option_id)i, "");
			lt_remedy(parser->session, "Write --%s alone.", option->name);
			return lt_fail(parser->session, LT_E_USAGE,
				       "the option --%s takes no argument", option->name);
		}
		if (equals != NULL)
			return apply(parser, (enum lt_option_id)i, equals + 1);
		if (next == NULL)
			return missing_argument(parser, option);
		*ret_took_next = true;
		return apply(parser, (enum lt_option_id)i, next);
	}
	return unknown_option(parser, typed, length);
}

/* `typed` is what follows "-": letters, the last of which may take the rest or `next` as its argument. */
static enum lt_status parse_short(struct parser *parser, const char *typed, const char *next,
				  bool *ret_took_next)
{
	if (is_number(typed)) {
		lt_remedy(parser->session,
			  "A PID is a number from 1 to %d; 'lowtide ps' lists them.", PID_MOST);
		return lt_fail(parser->session, LT_E_USAGE, "-%s is not a process ID", typed);
	}
	for (const char *letter = typed; *letter != '\0'; letter++) {
		size_t i = 0;
		while (i < LT_OPT_COUNT && lt_options[i].letter != *letter)
			i++;
		if (i == LT_OPT_COUNT) {
			lt_remedy(parser->session,
				  "Run 'lowtide --help' for all commands and options.");
			return lt_fail(parser->session, LT_E_USAGE, "there is no option -%c",
				       *letter);
		}
		const struct lt_option *option = &lt_options[i];
		if (option->argument == NULL) {
			LT_TRY(apply(parser, (enum lt_option_id)i, ""));
			continue;
		}
		if (letter[1] != '\0')
			return apply(parser, (enum lt_option_id)i, letter + 1);
		if (next == NULL)
			return missing_argument(parser, option);
		*ret_took_next = true;
		return apply(parser, (enum lt_option_id)i, next);
	}
	return LT_OK;
}

/* NULL: no such command; then the session says so. */
static const struct lt_command *find_command(struct parser *parser, const char *name)
{
	const struct lt_command *command = lt_command_find(name);
	if (command != NULL)
		return command;
	if (is_number(name)) {
		lt_remedy(parser->session, "Run 'lowtide doctor %.20s' to examine that process.",
			  name);
		parser->status = lt_fail(parser->session, LT_E_USAGE,
					 "a command comes before the process ID %.20s", name);
		return NULL;
	}
	unsigned best = UINT32_MAX;
	const char *nearest = NULL;
	for (size_t i = 0; i < lt_command_count; i++)
		keep_nearest(name, lt_commands[i].name, &best, &nearest);
	if (nearest != NULL)
		lt_remedy(parser->session, "Did you mean 'lowtide %s'?", nearest);
	else
		lt_remedy(parser->session, "Run 'lowtide --help' for all commands.");
	parser->status = lt_fail(parser->session, LT_E_USAGE, "there is no command '%.100s'", name);
	return NULL;
}

static enum lt_status check_options(struct parser *parser, const struct lt_command *command)
{
	for (size_t i = 0; i < LT_OPT_COUNT; i++) {
		if ((parser->seen & ~command->options & LT_OPT_BIT(i)) == 0)
			continue;
		lt_remedy(parser->session, "Run 'lowtide help %s' for its options.", command->name);
		return lt_fail(parser->session, LT_E_USAGE, "the command %s has no option --%s",
			       command->name, lt_options[i].name);
	}
	return LT_OK;
}

/* --format, else --json where the command's result can be that, else the ending of -o, else its first one. */
static enum lt_status choose_format(struct parser *parser, const struct lt_command *command)
{
	struct lt_request *request = parser->request;
	unsigned formats = command->formats != 0
				   ? command->formats
				   : LT_FORMAT_BIT(LT_FORMAT_TEXT) | LT_FORMAT_BIT(LT_FORMAT_JSON);
	bool chosen = (parser->seen & LT_OPT_BIT(LT_OPT_FORMAT)) != 0;
	bool can_json = (formats & LT_FORMAT_BIT(LT_FORMAT_JSON)) != 0;
	enum lt_format named;
	bool beside = !chosen && lt_format_of_file(request->output, &named) &&
		      (command->beside & LT_FORMAT_BIT(named)) != 0;
	if (!chosen && request->json && can_json && !beside)
		request->format = LT_FORMAT_JSON;
	else if (!chosen && !lt_format_of_file(request->output, &request->format))
		request->format = (enum lt_format)__builtin_ctz(formats);
	const char *name = lt_format_names[request->format];
	if ((formats & LT_FORMAT_BIT(request->format)) == 0) {
		char list[128] = "";
		for (size_t i = 0; i < LT_FORMAT_COUNT; i++) {
			if ((formats & LT_FORMAT_BIT(i)) == 0)
				continue;
			bool last = formats >> (i + 1) == 0;
			strncat(list,
				*list == '\0' ? ""
				: last        ? " or "
					      : ", ",
				sizeof(list) - strlen(list) - 1);
			strncat(list, lt_format_names[i], sizeof(list) - strlen(list) - 1);
		}
		lt_remedy(parser->session, "It can write %s: give another ending or --format.",
			  list);
		return lt_fail(parser->session, LT_E_USAGE, "the command %s cannot write %s",
			       command->name, name);
	}
	beside = request->output != NULL && (command->beside & LT_FORMAT_BIT(request->format)) != 0;
	request->file_is_own = command->writes_file || beside;
	if (request->json && can_json && request->format != LT_FORMAT_JSON && !beside) {
		lt_remedy(parser->session, "Give one of the two.");
		return lt_fail(parser->session, LT_E_USAGE,
			       "--json and --format %s are two formats", name);
	}
	request->json |= request->format == LT_FORMAT_JSON;
	return LT_OK;
}

/* Of a command that runs a program: all of that stands behind --. */
static enum lt_status parse_program(struct parser *parser, const struct lt_command *command)
{
	struct lt_session *session = parser->session;
	if (parser->operand_count == 1 && parser->request->command_line != NULL)
		return LT_OK;
	lt_remedy(session, "Write 'lowtide %s %s'.", command->name, command->operand);
	if (parser->operand_count > 1)
		return lt_fail(session, LT_E_USAGE, "'%.100s' stands before the -- of %s",
			       parser->operands[1], command->name);
	return lt_fail(session, LT_E_USAGE, "the command %s takes -- and a command to run",
		       command->name);
}

static enum lt_status parse_operands(struct parser *parser)
{
	struct lt_request *request = parser->request;
	struct lt_session *session = parser->session;
	const struct lt_command *command = find_command(parser, parser->operands[0]);
	if (command == NULL)
		return parser->status;
	request->command = command;
	const char *operand = parser->operand_count > 1 ? parser->operands[1] : NULL;
	if (request->help) {
		request->topic = command;
		return LT_OK;
	}
	LT_TRY(check_options(parser, command));
	LT_TRY(choose_format(parser, command));
	if (command->completion == LT_COMPLETE_PROGRAM)
		return parse_program(parser, command);
	size_t most = command->operands_most != 0 ? command->operands_most + 1
		      : command->operand != NULL  ? 2
						  : 1;
	if (parser->operand_count > most) {
		lt_remedy(session, "Write 'lowtide %s%s%s'.", command->name,
			  command->operand != NULL ? " " : "",
			  command->operand != NULL ? command->operand : "");
		return lt_fail(session, LT_E_USAGE, "'%.100s' is one argument too many for %s",
			       parser->operands[most], command->name);
	}
	if (command->completion == LT_COMPLETE_COMMAND) {
		request->help = true;
		if (operand != NULL)
			request->topic = find_command(parser, operand);
		return parser->status;
	}
	if (command->completion != LT_COMPLETE_PID && command->completion != LT_COMPLETE_SUBJECT)
		return LT_OK;
	bool file_too = command->completion == LT_COMPLETE_SUBJECT;
	size_t least = command->operands_least != 0 ? command->operands_least : 1;
	if (parser->operand_count - 1 < least) {
		lt_remedy(session, "Write 'lowtide %s %s'; 'lowtide ps' lists the processes.",
			  command->name, command->operand);
		return lt_fail(session, LT_E_USAGE, "the command %s takes %s", command->name,
			       command->operands_most > 1 ? command->operand
			       : file_too                 ? "a process ID or a snapshot file"
							  : "a process ID");
	}
	uint64_t pid = 0;
	if (!file_too && !is_number(operand) && access(operand, F_OK) == 0) {
		lt_remedy(session, "Give the PID of a live process; 'lowtide ps' lists them.");
		return lt_fail(session, LT_E_USAGE, "'%.100s' is a file, and %s takes a process ID",
			       operand, command->name);
	}
	bool is_pid = parse_number(operand, 1, PID_MOST, &pid);
	/* A name that looks like that of a file is one, missing as it may be. */
	bool looks_like_file = strpbrk(operand, "./") != NULL;
	if (!is_pid && file_too && !is_number(operand) && !looks_like_file &&
	    access(operand, F_OK) != 0) {
		lt_remedy(session, "Give the PID of a live process ('lowtide ps' lists them) or a "
				   "file that 'lowtide snapshot' wrote.");
		return lt_fail(session, LT_E_USAGE, "'%.100s' is neither a process ID nor a file",
			       operand);
	}
	if (!is_pid && (!file_too || is_number(operand))) {
		lt_remedy(session, "A PID is a number from 1 to %d; 'lowtide ps' lists them.",
			  PID_MOST);
		return lt_fail(session, LT_E_USAGE, "'%.100s' is not a process ID", operand);
	}
	request->pid = (pid_t)pid;
	request->operand = operand;
	request->operand_count = parser->operand_count - 1;
	memcpy(request->operands, parser->operands + 1,
	       request->operand_count * sizeof(*request->operands));
	return LT_OK;
}

static enum lt_status parse(struct parser *parser, int argc, char **argv)
{
	bool only_operands = false;
	for (int i = 1; i < argc; i++) {
		const char *argument = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		bool took_next = false;
		if (!only_operands && strcmp(argument, "--") == 0) {
			const struct lt_command *command =
				parser->operand_count > 0 ? lt_command_find(parser->operands[0])
							  : NULL;
			if (command != NULL && command->completion == LT_COMPLETE_PROGRAM) {
				if (next != NULL)
					parser->request->command_line = &argv[i + 1];
				break;
			}
			only_operands = true;
		} else if (!only_operands && argument[0] == '-' && argument[1] == '-') {
			LT_TRY(parse_long(parser, argument + 2, next, &took_next));
		} else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
			LT_TRY(parse_short(parser, argument + 1, next, &took_next));
		} else if (parser->operand_count <
			   sizeof(parser->operands) / sizeof(parser->operands[0])) {
			parser->operands[parser->operand_count++] = argument;
		}
		i += took_next;
	}
	if (parser->request->generate != NULL || parser->request->version)
		return LT_OK;
	if (parser->operand_count > 0)
		return parse_operands(parser);
	if (parser->request->help)
		return LT_OK;
	lt_remedy(parser->session,
		  "Run 'lowtide ps' to see the CPython processes here, 'lowtide --help' for "
		  "all commands.");
	return lt_fail(parser->session, LT_E_USAGE, "no command is given");
}

enum lt_status lt_request_parse(struct lt_session *session, int argc, char **argv,
				struct lt_request *ret_request)
{
	*ret_request = (struct lt_request){0};
	struct parser parser = {.session = session, .request = ret_request};
	enum lt_status status = parse(&parser, argc, argv);
	/* An error is wanted as JSON wherever --json stands, also after the argument that is wrong. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		ret_request->json |= strcmp(argv[i], "--json") == 0;
	return status;
}
