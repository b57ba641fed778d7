/*
 * help.h: everything that is written out of the table of commands: help, man page, shell completions.
 */
#ifndef LT_CLI_HELP_H
#define LT_CLI_HELP_H

#include "base/text.h"
#include "cli/table.h"

/* On one command; NULL: on the program. */
void lt_help(const struct lt_command *topic, struct lt_text *out);

/* The man page lowtide(1), in man(7) markup. */
void lt_man_page(struct lt_text *out);

/* `shell`: "bash", "zsh" or "fish". */
void lt_completion_script(const char *shell, struct lt_text *out);

/* The options as they are written, "-o, --output FILE". */
void lt_option_spelling(const struct lt_option *option, struct lt_text *out);

#endif
