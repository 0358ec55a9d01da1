/* Options as --help shows them, in 80 columns: see option.h. */
#include <string.h>

#include "cli/option.h"

#define LINE_COLUMNS 80
#define HELP_COLUMN  26

void option_add_wrapped(struct strbuf *out, const char *text, size_t indent, size_t column)
{
	const char *blank = "";

	while (*text) {
		size_t len = strcspn(text, " ");

		if (*blank && column + 1 + len >= LINE_COLUMNS) {
			strbuf_addf(out, "\n%*s", (int)indent, "");
			column = indent;
			blank = "";
		}
		strbuf_addf(out, "%s%.*s", blank, (int)len, text);
		column += strlen(blank) + len;
		blank = " ";
		text += len;
		text += strspn(text, " ");
	}
	strbuf_addstr(out, "\n");
}

void option_add_argument(struct strbuf *out, const struct option *option)
{
	const struct option_table *table;
	size_t i;

	if (option->kind != OPTION_LIST) {
		strbuf_addstr(out, option->argument ? option->argument : "");
		return;
	}
	table = option->list->table;
	strbuf_addstr(out, table->options[0].argument);
	for (i = 1; i < table->count; i++) {
		const struct option *setting = &table->options[i];

		if (setting->argument)
			strbuf_addf(out, "[,%s=%s]", setting->name, setting->argument);
		else
			strbuf_addf(out, "[,%s]", setting->name);
	}
}

/* The left side, padded to the column where help texts start, which is also returned. */
static size_t add_left(struct strbuf *out, const char *left)
{
	size_t len = strlen(left);

	strbuf_addstr(out, left);
	if (len + 2 > HELP_COLUMN) {
		strbuf_addstr(out, "\n");
		len = 0;
	}
	strbuf_addf(out, "%*s", (int)(HELP_COLUMN - len), "");
	return HELP_COLUMN;
}

static void add_settings(struct strbuf *out, const struct option_table *table)
{
	size_t i;

	for (i = 1; i < table->count; i++) {
		const struct option *setting = &table->options[i];
		struct strbuf line = {0};

		strbuf_addf(&line, "%s%s%s: %s", setting->name, setting->argument ? "=" : "",
			    setting->argument ? setting->argument : "", setting->help);
		strbuf_addf(out, "%*s", HELP_COLUMN + 2, "");
		option_add_wrapped(out, line.data, HELP_COLUMN + 2, HELP_COLUMN + 2);
		strbuf_free(&line);
	}
}

/* A list whose settings do not fit the line names them below only. */
static void add_argument(struct strbuf *left, const struct option *option)
{
	struct strbuf argument = {0};

	option_add_argument(&argument, option);
	if (left->len + 1 + argument.len < LINE_COLUMNS)
		strbuf_addf(left, " %s", argument.data);
	else
		strbuf_addf(left, " %s[,SETTING...]", option->list->table->options[0].argument);
	strbuf_free(&argument);
}

void option_add_help(struct strbuf *out, const struct option_table *table)
{
	size_t i;

	for (i = 0; i < table->count; i++) {
		const struct option *option = &table->options[i];
		struct strbuf left = {0};

		if (option->letter)
			strbuf_addf(&left, "  -%c, --%s", option->letter, option->name);
		else
			strbuf_addf(&left, "      --%s", option->name);
		if (option_has_argument(option))
			add_argument(&left, option);
		option_add_wrapped(out, option->help, HELP_COLUMN, add_left(out, left.data));
		if (option->kind == OPTION_LIST)
			add_settings(out, option->list->table);
		strbuf_free(&left);
	}
}
