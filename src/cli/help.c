#include "cli/help.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, HELP_COLUMN = 25 };

void lt_option_spelling(const struct lt_option *option, struct lt_text *out)
{
	if (option->letter != 0)
		lt_text_addf(out, "-%c, ", option->letter);
	else
		lt_text_add(out, "    ");
	lt_text_addf(out, "--%s", option->name);
	if (option->argument != NULL)
		lt_text_addf(out, " %s", option->argument);
}

/* Words from `column` on, wrapped at WIDTH, later lines from `hang` on; a blank line between paragraphs. */
static void add_wrapped(struct lt_text *out, const char *words, size_t column, size_t hang)
{
	bool first = true;
	while (*words != '\0') {
		size_t length = strcspn(words, " \n");
		if (!first && column + 1 + length > WIDTH) {
			lt_text_addf(out, "\n%*s", (int)hang, "");
			column = hang;
		} else if (!first) {
			lt_text_add(out, " ");
			column++;
		}
		lt_text_add_bytes(out, words, length);
		column += length;
		words += length;
		first = false;
		if (strncmp(words, "\n\n", 2) == 0) {
			lt_text_addf(out, "\n\n%*s", (int)hang, "");
			column = hang;
			first = true;
		}
		words += strspn(words, " \n");
	}
	lt_text_add(out, "\n");
}

static void add_entry(struct lt_text *out, const char *name, const char *meaning)
{
	lt_text_addf(out, "  %-*s", HELP_COLUMN - 2, name);
	size_t column = strlen(name) + 2 > HELP_COLUMN ? strlen(name) + 2 : HELP_COLUMN;
	if (column > HELP_COLUMN || strlen(name) + 2 == HELP_COLUMN)
		lt_text_addf(out, "\n%*s", HELP_COLUMN, "");
	add_wrapped(out, meaning, HELP_COLUMN, HELP_COLUMN);
}

static void add_options(struct lt_text *out, uint64_t options)
{
	for (size_t i = 0; i < LT_OPT_COUNT; i++) {
		const struct lt_option *option = &lt_options[i];
		if ((options & LT_OPT_BIT(i)) == 0 || option->hidden)
			continue;
		struct lt_text spelling = {0};
		lt_option_spelling(option, &spelling);
		add_entry(out, lt_text_get(&spelling), option->help);
		lt_text_deinit(&spelling);
	}
}

static void command_help(const struct lt_command *command, struct lt_text *out)
{
	lt_text_addf(out, "Usage: lowtide %s [OPTIONS]%s%s\n\n", command->name,
		     command->operand != NULL ? " " : "",
		     command->operand != NULL ? command->operand : "");
	add_wrapped(out, command->description, 0, 0);
	lt_text_add(out, "\nOptions:\n");
	add_options(out, command->options);
	lt_text_add(out, "\nExamples:\n");
	for (size_t i = 0; command->examples[i] != NULL; i += 2)
		lt_text_addf(out, "  %s\n      %s\n", command->examples[i],
			     command->examples[i + 1]);
}

static void program_help(struct lt_text *out)
{
	lt_text_add(out, "Usage: lowtide COMMAND [OPTIONS] [PID]\n\n"
			 "See, explain and fix the memory and garbage collection of live CPython "
			 "services.\n\n"
			 "Commands:\n");
	uint64_t options = LT_OPT_BIT(LT_OPT_VERSION);
	for (size_t i = 0; i < lt_command_count; i++) {
		add_entry(out, lt_commands[i].name, lt_commands[i].summary);
		options |= lt_commands[i].options;
	}
	lt_text_add(out, "\nOptions (lowtide help COMMAND says which a command has):\n");
	add_options(out, options);
	lt_text_add(out, "\nExit codes:\n");
	for (size_t i = 0; i < lt_exit_code_count; i++) {
		char code[8];
		snprintf(code, sizeof(code), "%d", lt_exit_codes[i].code);
		lt_text_addf(out, "  %-4s", code);
		add_wrapped(out, lt_exit_codes[i].meaning, 6, 6);
	}
}

void lt_help(const struct lt_command *topic, struct lt_text *out)
{
	if (topic != NULL)
		command_help(topic, out);
	else
		program_help(out);
}
