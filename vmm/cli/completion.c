/*
 * Shell completion: see completion.h.
 *
 * bash gets one function that looks at the word before the cursor: an option that takes a file, a
 * folder or one of a few words decides; otherwise the options of the sub-command are offered. zsh
 * gets an _arguments call for each sub-command.
 */
#include "cli/completion.h"

#include <string.h>

/* Calls @add for each option of @command, its own and the common ones. */
static void each_option(struct strbuf *out, const struct command *command,
			void (*add)(struct strbuf *out, const struct option *option))
{
	const struct option_table *tables[COMMAND_TABLES_MAX + 1];
	size_t count = 0, i, t;

	for (t = 0; t < COMMAND_TABLES_MAX && command->options[t]; t++)
		tables[count++] = command->options[t];
	tables[count++] = &common_options;
	for (t = 0; t < count; t++)
		for (i = 0; i < tables[t]->count; i++)
			add(out, &tables[t]->options[i]);
}

/* The option that says what an argument is: for a list that of the first setting. */
static const struct option *argument_of(const struct option *option)
{
	return option->kind == OPTION_LIST ? &option->list->table->options[0] : option;
}

static void add_words(struct strbuf *out, const char *const *words)
{
	for (; words && *words; words++)
		strbuf_addf(out, "%s%s", *words, words[1] ? " " : "");
}

static void add_names(struct strbuf *out, const struct command_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		strbuf_addf(out, "%s%s", i ? " " : "", set->commands[i]->name);
}

static void bash_name(struct strbuf *out, const struct option *option)
{
	strbuf_addf(out, " --%s", option->name);
}

/* "-k|--kernel) COMPREPLY=(...) ;;" for an option that takes an argument. */
static void bash_case(struct strbuf *out, const struct option *option)
{
	const struct option *argument = argument_of(option);

	if (!option_has_argument(option))
		return;
	strbuf_addstr(out, "\t\t");
	if (option->letter)
		strbuf_addf(out, "-%c|", option->letter);
	strbuf_addf(out, "--%s) ", option->name);
	if (argument->flags & OPTION_IS_FILE)
		strbuf_addstr(out, "COMPREPLY=($(compgen -f -- \"$cur\")); ");
	else if (argument->flags & OPTION_IS_FOLDER)
		strbuf_addstr(out, "COMPREPLY=($(compgen -d -- \"$cur\")); ");
	else if (argument->choices) {
		strbuf_addstr(out, "COMPREPLY=($(compgen -W '");
		add_words(out, argument->choices);
		strbuf_addstr(out, "' -- \"$cur\")); ");
		/* What ends in "=" wants more, no blank before it, and no quotes. */
		strbuf_addstr(out, "[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace "
				   "+o filenames 2>/dev/null; ");
	}
	strbuf_addstr(out, "return ;;\n");
}

static void bash_command(struct strbuf *out, const struct command *command,
			 const struct command_set *set)
{
	strbuf_addf(out, "\t%s)\n\t\tcase $prev in\n", command->name);
	each_option(out, command, bash_case);
	strbuf_addstr(out, "\t\tesac\n\t\twords='");
	if (command->operands)
		add_words(out, command->operands);
	else if (command->operands_max)
		add_names(out, set);
	each_option(out, command, bash_name);
	strbuf_addstr(out, "' ;;\n");
}

void completion_add_bash(struct strbuf *out, const struct command_set *set)
{
	size_t i;

	strbuf_addstr(out,
		      "# bash completion of sarang: source <(sarang completion bash)\n"
		      "_sarang()\n{\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		      "\tlocal command='' words='' assigned='' i\n\n"
		      "\tCOMPREPLY=()\n"
		      /* bash takes "=" for a word of its own; in WHERE=PATH a file follows it */
		      "\t[[ $cur == = ]] && cur='' assigned=1\n"
		      "\t[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]} assigned=1\n"
		      "\tif [[ -n $assigned && $prev != -* ]]; then\n"
		      "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
		      "\t\treturn\n"
		      "\tfi\n"
		      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		      "\t\tcase ${COMP_WORDS[i]} in\n"
		      "\t\t--) return ;;\n"
		      "\t\t-*) ;;\n"
		      "\t\t*) [[ -n $command ]] || command=${COMP_WORDS[i]} ;;\n"
		      "\t\tesac\n"
		      "\tdone\n"
		      "\tcase $command in\n");
	for (i = 0; i < set->count; i++)
		bash_command(out, set->commands[i], set);
	strbuf_addstr(out, "\t'') words='");
	add_names(out, set);
	for (i = 0; i < global_options.count; i++)
		bash_name(out, &global_options.options[i]);
	strbuf_addstr(out, "' ;;\n\tesac\n"
			   "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
			   "}\n"
			   "complete -o filenames -o bashdefault -F _sarang sarang\n");
}

/* @text inside single quotes and a description of _arguments, where ' [ ] : mean something. */
static void zsh_text(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			strbuf_addstr(out, "'\\''");
		else if (strchr("[]:\\", *text))
			strbuf_addf(out, "\\%c", *text);
		else
			strbuf_add(out, text, 1);
	}
}

static void zsh_argument(struct strbuf *out, const struct option *option)
{
	const struct option *argument = argument_of(option);

	strbuf_addf(out, ":%s:", argument->argument);
	if (argument->flags & OPTION_IS_FILE) {
		strbuf_addstr(out, "_files");
	} else if (argument->flags & OPTION_IS_FOLDER) {
		strbuf_addstr(out, "_files -/");
	} else if (argument->choices) {
		strbuf_addstr(out, "(");
		add_words(out, argument->choices);
		strbuf_addstr(out, ")");
	}
}

static void zsh_option(struct strbuf *out, const struct option *option)
{
	bool repeats = option->kind == OPTION_LIST || option->kind == OPTION_MORE ||
		       option->kind == OPTION_CONFIG || (option->flags & OPTION_JOINS);

	strbuf_addstr(out, " \\\n\t\t\t");
	if (option->letter && repeats)
		strbuf_addf(out, "'*'{-%c,--%s}'", option->letter, option->name);
	else if (option->letter)
		strbuf_addf(out, "'(-%c --%s)'{-%c,--%s}'", option->letter, option->name,
			    option->letter, option->name);
	else
		strbuf_addf(out, "'%s--%s", repeats ? "*" : "", option->name);
	strbuf_addstr(out, "[");
	zsh_text(out, option->help);
	strbuf_addstr(out, "]");
	if (option_has_argument(option))
		zsh_argument(out, option);
	strbuf_addstr(out, "'");
}

void completion_add_zsh(struct strbuf *out, const struct command_set *set)
{
	size_t i;

	strbuf_addstr(out,
		      "#compdef sarang\n"
		      "# zsh completion of sarang: sarang completion zsh > DIR-ON-FPATH/_sarang\n"
		      "_sarang()\n{\n"
		      "\tlocal -a commands\n\n"
		      "\tcommands=(\n");
	for (i = 0; i < set->count; i++) {
		strbuf_addf(out, "\t\t'%s:", set->commands[i]->name);
		zsh_text(out, set->commands[i]->summary);
		strbuf_addstr(out, "'\n");
	}
	strbuf_addstr(out, "\t)\n"
			   "\tif ((CURRENT == 2)); then\n"
			   "\t\t_describe command commands\n\t\treturn\n\tfi\n"
			   "\tcase $words[2] in\n");
	for (i = 0; i < set->count; i++) {
		const struct command *command = set->commands[i];

		strbuf_addf(out, "\t%s)\n\t\t_arguments -s", command->name);
		each_option(out, command, zsh_option);
		if (command->operands_max) {
			strbuf_addstr(out, " \\\n\t\t\t'2:word:(");
			if (command->operands)
				add_words(out, command->operands);
			else
				add_names(out, set);
			strbuf_addstr(out, ")'");
		}
		strbuf_addstr(out, "\n\t\t;;\n");
	}
	strbuf_addstr(out, "\tesac\n}\n_sarang \"$@\"\n");
}
