#include "cli/help.h"

#include <string.h>

/* Text as man(7) takes it: no line starts a request, a dash is a dash, a blank line a paragraph. */
static void add_roff(struct lt_text *out, const char *text)
{
	bool start = true;
	for (; *text != '\0'; text++) {
		if (strncmp(text, "\n\n", 2) == 0) {
			lt_text_add(out, "\n.PP\n");
			start = true;
			text++;
			continue;
		}
		if (start && (*text == '.' || *text == '\''))
			lt_text_add(out, "\\&");
		if (*text == '-')
			lt_text_add(out, "\\-");
		else if (*text == '\\')
			lt_text_add(out, "\\e");
		else
			lt_text_add_bytes(out, text, 1);
		start = *text == '\n';
	}
}

static void add_option(struct lt_text *out, const struct lt_option *option)
{
	lt_text_add(out, ".TP\n");
	if (option->letter != 0)
		lt_text_addf(out, "\\fB\\-%c\\fR, ", option->letter);
	lt_text_add(out, "\\fB\\-\\-");
	add_roff(out, option->name);
	lt_text_add(out, "\\fR");
	if (option->alias != NULL) {
		lt_text_add(out, ", \\fB\\-\\-");
		add_roff(out, option->alias);
		lt_text_add(out, "\\fR");
	}
	if (option->argument != NULL)
		lt_text_addf(out, " \\fI%s\\fR", option->argument);
	lt_text_add(out, "\n");
	add_roff(out, option->help);
	lt_text_add(out, ".\n");
}

static void add_options(struct lt_text *out, uint64_t options)
{
	for (size_t i = 0; i < LT_OPT_COUNT; i++)
		if ((options & LT_OPT_BIT(i)) != 0 && !lt_options[i].hidden)
			add_option(out, &lt_options[i]);
}

static void add_command(struct lt_text *out, const struct lt_command *command, uint64_t common)
{
	lt_text_addf(out, ".SS lowtide %s [OPTIONS] %s\n", command->name,
		     command->operand != NULL ? command->operand : "");
	add_roff(out, command->description);
	lt_text_add(out, "\n");
	add_options(out, command->options & ~common);
	for (size_t i = 0; command->examples[i] != NULL; i += 2) {
		lt_text_add(out, ".PP\n");
		add_roff(out, command->examples[i + 1]);
		lt_text_add(out, ":\n.RS\n.nf\n");
		add_roff(out, command->examples[i]);
		lt_text_add(out, "\n.fi\n.RE\n");
	}
}

void lt_man_page(struct lt_text *out)
{
	uint64_t common = LT_OPT_BIT(LT_OPT_HELP);
	for (size_t i = 0; i < lt_command_count; i++)
		if (lt_commands[i].run != NULL)
			common = common == LT_OPT_BIT(LT_OPT_HELP)
					 ? lt_commands[i].options
					 : common & lt_commands[i].options;
	lt_text_addf(
		out,
		".TH LOWTIDE 1 \"\" \"lowtide %s\" \"User Commands\"\n"
		".SH NAME\nlowtide \\- memory and garbage collection of live CPython services\n"
		".SH SYNOPSIS\n.B lowtide\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIPID\\fR]\n"
		".SH DESCRIPTION\n",
		LT_VERSION);
	add_roff(out, "lowtide looks into a running CPython process from outside, given its PID. "
		      "It names what "
		      "fills the memory in terms of the service's own code, with the figures that "
		      "this rests "
		      "on and the change to make. Nothing is installed in the process; it stands "
		      "still for about "
		      "as long as a fork(2) takes.\n\n"
		      "Options stand anywhere on the command line, and are never abbreviated; "
		      "after -- nothing is "
		      "an option.\n");
	lt_text_add(out, ".SH COMMANDS\n");
	for (size_t i = 0; i < lt_command_count; i++)
		add_command(out, &lt_commands[i], common);
	lt_text_add(out, ".SH COMMON OPTIONS\n");
	add_options(out, common | LT_OPT_BIT(LT_OPT_VERSION));
	lt_text_add(out, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < lt_exit_code_count; i++) {
		lt_text_addf(out, ".TP\n.B %d\n", lt_exit_codes[i].code);
		add_roff(out, lt_exit_codes[i].meaning);
		lt_text_add(out, "\n");
	}
	lt_text_add(out, ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\n");
	add_roff(out, "When set and not empty, --color=auto is never.\n");
	lt_text_add(out, ".SH PERMISSIONS\n");
	add_roff(out, "Looking at a process takes what ptrace(2) takes: the same user and a "
		      "kernel.yama.ptrace_scope of 0, or CAP_SYS_PTRACE, which root has. In a "
		      "container the "
		      "capability has to be given to it.\n");
	lt_text_add(out, ".SH SEE ALSO\n");
	add_roff(out, "ptrace(2), proc(5), gc in the Python library reference.\n");
}
