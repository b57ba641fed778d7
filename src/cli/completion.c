#include "cli/help.h"

#include <string.h>

/*
 * One script for each shell, all written from the table. In each of them the PIDs offered are those
 * of processes whose program name starts with python, which pgrep knows without a look into them.
 */
#define PIDS "pgrep '^python' 2>/dev/null"

static bool has(const struct lt_command *command, size_t option)
{
	return (command->options & LT_OPT_BIT(option)) != 0 && !lt_options[option].hidden;
}

static void add_words(struct lt_text *out, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++)
		lt_text_addf(out, "%s%s", i == 0 ? "" : " ", words[i]);
}

static void add_command_names(struct lt_text *out)
{
	for (size_t i = 0; i < lt_command_count; i++)
		lt_text_addf(out, "%s%s", i == 0 ? "" : " ", lt_commands[i].name);
}

static void bash(struct lt_text *out)
{
	lt_text_add(out, "# bash completion of lowtide\n"
			 "_lowtide()\n{\n"
			 "\tlocal word=${COMP_WORDS[COMP_CWORD]} "
			 "before=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
			 "\tCOMPREPLY=()\n"
			 "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			 "\t\tcase ${COMP_WORDS[i]} in\n\t\t");
	for (size_t i = 0; i < lt_command_count; i++)
		lt_text_addf(out, "%s%s", i == 0 ? "" : "|", lt_commands[i].name);
	lt_text_add(out, ") command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n\tdone\n");
	/* What stands behind -- belongs to the program that is run. */
	for (size_t i = 0; i < lt_command_count; i++)
		if (lt_commands[i].completion == LT_COMPLETE_PROGRAM)
			lt_text_addf(out,
				     "\tif [[ $command == %s && \" ${COMP_WORDS[*]:0:COMP_CWORD} "
				     "\" == *' -- '* ]]; then\n"
				     "\t\tCOMPREPLY=($(compgen -c -f -- \"$word\"))\n"
				     "\t\treturn\n\tfi\n",
				     lt_commands[i].name);
	lt_text_add(out, "\tcase $before in\n");
	for (size_t i = 0; i < LT_OPT_COUNT; i++) {
		const struct lt_option *option = &lt_options[i];
		if (option->hidden || option->argument == NULL)
			continue;
		lt_text_add(out, "\t");
		if (option->letter != 0)
			lt_text_addf(out, "-%c|", option->letter);
		if (option->alias != NULL)
			lt_text_addf(out, "--%s|", option->alias);
		lt_text_addf(out, "--%s) ", option->name);
		if (option->choices != NULL) {
			lt_text_add(out, "COMPREPLY=($(compgen -W '");
			add_words(out, option->choices);
			lt_text_add(out, "' -- \"$word\")); ");
		} else if (option->completion == LT_COMPLETE_FILE) {
			lt_text_add(out, "COMPREPLY=($(compgen -f -- \"$word\")); ");
		}
		lt_text_add(out, "return ;;\n");
	}
	lt_text_add(out, "\tesac\n\tcase $command:$word in\n");
	for (size_t i = 0; i < lt_command_count; i++) {
		const struct lt_command *command = &lt_commands[i];
		lt_text_addf(out, "\t%s:-*) COMPREPLY=($(compgen -W '", command->name);
		for (size_t j = 0; j < LT_OPT_COUNT; j++)
			if (has(command, j))
				lt_text_addf(out, "--%s ", lt_options[j].name);
		lt_text_add(out, "' -- \"$word\")) ;;\n");
		if (command->completion == LT_COMPLETE_PID)
			lt_text_addf(out,
				     "\t%s:*) COMPREPLY=($(compgen -W \"$(" PIDS
				     ")\" -- \"$word\")) ;;\n",
				     command->name);
		if (command->completion == LT_COMPLETE_SUBJECT)
			lt_text_addf(out,
				     "\t%s:*) COMPREPLY=($(compgen -f -W \"$(" PIDS
				     ")\" -- \"$word\")) ;;\n",
				     command->name);
		if (command->completion == LT_COMPLETE_PROGRAM)
			lt_text_addf(out, "\t%s:*) COMPREPLY=(--) ;;\n", command->name);
		if (command->completion == LT_COMPLETE_COMMAND) {
			lt_text_addf(out, "\t%s:*) COMPREPLY=($(compgen -W '", command->name);
			add_command_names(out);
			lt_text_add(out, "' -- \"$word\")) ;;\n");
		}
	}
	lt_text_add(out, "\t:-*) COMPREPLY=($(compgen -W '--help --version' -- \"$word\")) ;;\n"
			 "\t:*) COMPREPLY=($(compgen -W '");
	add_command_names(out);
	lt_text_add(out, "' -- \"$word\")) ;;\n\tesac\n}\ncomplete -F _lowtide lowtide\n");
}

/* Text inside a single-quoted word of zsh's _arguments: brackets and colons are signs there. */
static void add_zsh(struct lt_text *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("[]:", *text) != NULL)
			lt_text_add(out, "\\");
		lt_text_add(out, *text == '\'' ? "'\\'" : "");
		lt_text_add_bytes(out, text, 1);
	}
}

static void zsh_option(struct lt_text *out, const struct lt_option *option)
{
	const char *equals = option->argument != NULL ? "=" : "";
	const char *names[] = {option->name, option->alias};
	for (size_t i = 0; i < 3; i++) {
		if (i < 2 && names[i] != NULL)
			lt_text_addf(out, " \\\n\t\t\t'--%s%s[", names[i], equals);
		else if (i == 2 && option->letter != 0)
			lt_text_addf(out, " \\\n\t\t\t'-%c%s[", option->letter,
				     option->argument != NULL ? "+" : "");
		else
			continue;
		add_zsh(out, option->help);
		lt_text_add(out, "]");
		if (option->argument != NULL)
			lt_text_addf(out, ":%s:", option->argument);
		if (option->choices != NULL) {
			lt_text_add(out, "(");
			add_words(out, option->choices);
			lt_text_add(out, ")");
		} else if (option->completion == LT_COMPLETE_FILE) {
			lt_text_add(out, "_files");
		}
		lt_text_add(out, "'");
	}
}

static void zsh(struct lt_text *out)
{
	lt_text_add(out, "#compdef lowtide\n"
			 "# zsh completion of lowtide\n"
			 "_lowtide_commands() {\n\tlocal -a commands=(\n");
	for (size_t i = 0; i < lt_command_count; i++) {
		lt_text_addf(out, "\t\t'%s:", lt_commands[i].name);
		add_zsh(out, lt_commands[i].summary);
		lt_text_add(out, "'\n");
	}
	lt_text_add(out, "\t)\n\t_describe command commands\n}\n"
			 "_lowtide_pids() {\n\tlocal -a pids=(${(f)\"$(" PIDS
			 ")\"})\n\t_describe PID pids\n}\n"
			 "_lowtide() {\n\tlocal context state line\n\ttypeset -A opt_args\n"
			 "\t_arguments -C '--help[Show help and exit]' '--version[Show the version "
			 "and exit]' \\\n"
			 "\t\t'1:command:_lowtide_commands' '*::argument:->arguments'\n"
			 "\t[[ $state == arguments ]] || return\n\tcase $line[1] in\n");
	for (size_t i = 0; i < lt_command_count; i++) {
		const struct lt_command *command = &lt_commands[i];
		lt_text_addf(out, "\t%s)\n\t\t_arguments", command->name);
		for (size_t j = 0; j < LT_OPT_COUNT; j++)
			if (has(command, j))
				zsh_option(out, &lt_options[j]);
		if (command->completion == LT_COMPLETE_PID)
			lt_text_add(out, " \\\n\t\t\t'1:PID:_lowtide_pids'");
		else if (command->completion == LT_COMPLETE_SUBJECT)
			lt_text_add(out, " \\\n\t\t\t'*:PID or file:{_lowtide_pids; _files}'");
		else if (command->completion == LT_COMPLETE_PROGRAM)
			lt_text_add(out, " \\\n\t\t\t'*::command:_normal'");
		else if (command->completion == LT_COMPLETE_COMMAND)
			lt_text_add(out, " \\\n\t\t\t'1:command:_lowtide_commands'");
		lt_text_add(out, "\n\t\t;;\n");
	}
	lt_text_add(out,
		    "\tesac\n}\nif [[ $funcstack[1] == _lowtide ]]; then\n\t_lowtide \"$@\"\nelse\n"
		    "\tcompdef _lowtide lowtide\nfi\n");
}

/* Text inside single quotes of fish, where a backslash escapes the quote. */
static void add_fish(struct lt_text *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			lt_text_add(out, "\\");
		lt_text_add_bytes(out, text, 1);
	}
}

static void fish(struct lt_text *out)
{
	lt_text_add(out, "# fish completion of lowtide\ncomplete -c lowtide -f\n");
	for (size_t i = 0; i < lt_command_count; i++) {
		const struct lt_command *command = &lt_commands[i];
		lt_text_addf(out, "complete -c lowtide -n __fish_use_subcommand -a %s -d '",
			     command->name);
		add_fish(out, command->summary);
		lt_text_add(out, "'\n");
		if (command->completion == LT_COMPLETE_PID)
			lt_text_addf(out,
				     "complete -c lowtide -n '__fish_seen_subcommand_from %s' -a "
				     "'(__fish_complete_pids)'\n",
				     command->name);
		if (command->completion == LT_COMPLETE_SUBJECT)
			lt_text_addf(
				out,
				"complete -c lowtide -n '__fish_seen_subcommand_from %s' -F -a "
				"'(__fish_complete_pids)'\n",
				command->name);
		if (command->completion == LT_COMPLETE_PROGRAM)
			lt_text_addf(
				out,
				"complete -c lowtide -n '__fish_seen_subcommand_from %s' -F -a "
				"'(__fish_complete_command)'\n",
				command->name);
		if (command->completion == LT_COMPLETE_COMMAND) {
			lt_text_addf(out,
				     "complete -c lowtide -n '__fish_seen_subcommand_from %s' -a '",
				     command->name);
			add_command_names(out);
			lt_text_add(out, "'\n");
		}
	}
	for (size_t j = 0; j < LT_OPT_COUNT; j++) {
		const struct lt_option *option = &lt_options[j];
		if (option->hidden)
			continue;
		bool global = j == LT_OPT_HELP || j == LT_OPT_VERSION;
		lt_text_add(out, "complete -c lowtide");
		if (!global) {
			lt_text_add(out, " -n '__fish_seen_subcommand_from");
			for (size_t i = 0; i < lt_command_count; i++)
				if (has(&lt_commands[i], j))
					lt_text_addf(out, " %s", lt_commands[i].name);
			lt_text_add(out, "'");
		}
		lt_text_addf(out, " -l %s", option->name);
		if (option->alias != NULL)
			lt_text_addf(out, " -l %s", option->alias);
		if (option->letter != 0)
			lt_text_addf(out, " -s %c", option->letter);
		if (option->argument != NULL)
			lt_text_add(out, option->completion == LT_COMPLETE_FILE ? " -r -F" : " -x");
		if (option->choices != NULL) {
			lt_text_add(out, " -a '");
			add_words(out, option->choices);
			lt_text_add(out, "'");
		}
		lt_text_add(out, " -d '");
		add_fish(out, option->help);
		lt_text_add(out, "'\n");
	}
}

void lt_completion_script(const char *shell, struct lt_text *out)
{
	if (strcmp(shell, "bash") == 0)
		bash(out);
	else if (strcmp(shell, "zsh") == 0)
		zsh(out);
	else
		fish(out);
}
