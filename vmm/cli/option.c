/* Taking a command line apart and applying it: see option.h. */
#include "cli/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/suggest.h"

static const struct option_origin command_line = {.prefix = "--"};

bool option_has_argument(const struct option *option)
{
	return option->kind != OPTION_FLAG && option->kind != OPTION_MORE;
}

bool option_in_config(const struct option *option)
{
	return option->kind != OPTION_MORE && option->kind != OPTION_CONFIG;
}

const struct option *option_find(const struct option_table *table, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < table->count; i++) {
		const struct option *option = &table->options[i];

		if (!strncmp(option->name, name, len) && !option->name[len])
			return option;
	}
	return NULL;
}

static const char *suggest_from(const struct option_table *table, const char *name,
				const char *best)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		best = suggest_better(name, best, table->options[i].name);
	return best;
}

const char *option_suggest(const struct option_table *table, const char *name)
{
	return suggest_from(table, name, NULL);
}

/* Finds by letter (when @len is 0) or by name in all tables. */
static bool find_item(const struct option_table *const *tables, const char *name, size_t len,
		      struct option_item *item)
{
	size_t i;

	*item = (struct option_item){0};
	for (; *tables && !item->option; tables++) {
		item->table = *tables;
		if (len) {
			item->option = option_find(*tables, name, len);
			continue;
		}
		for (i = 0; i < (*tables)->count; i++)
			if ((*tables)->options[i].letter && (*tables)->options[i].letter == *name)
				item->option = &(*tables)->options[i];
	}
	return item->option != NULL;
}

static int add_item(struct option_args *args, const struct option_item *item, struct err *e)
{
	struct option_item *grown =
		realloc(args->items, (args->item_count + 1) * sizeof(*args->items));

	if (!grown)
		return err_set(e, ENOMEM, "out of memory");
	args->items = grown;
	args->items[args->item_count++] = *item;
	return 0;
}

static int missing_argument(const struct option *option, struct err *e)
{
	struct strbuf argument = {0};

	option_add_argument(&argument, option);
	err_set(e, EINVAL, "option --%s needs an argument: --%s %s", option->name, option->name,
		argument.data);
	strbuf_free(&argument);
	return -EINVAL;
}

static int unknown_name(const struct option_table *const *tables, const char *name, size_t len,
			struct err *e)
{
	const char *best = NULL;
	char *copy = strndup(name, len);

	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	for (; *tables; tables++)
		best = suggest_from(*tables, copy, best);
	if (best)
		err_set(e, EINVAL, "unknown option --%s; did you mean --%s?", copy, best);
	else
		err_set(e, EINVAL, "unknown option --%s", copy);
	free(copy);
	return -EINVAL;
}

/* "--name", "--name=value", "--name value": *@i is moved past what was used. */
static int scan_long(const struct option_table *const *tables, int argc, char *const *argv, int *i,
		     struct option_args *args, struct err *e)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	struct option_item item;

	(*i)++;
	if (!len || !find_item(tables, name, len, &item))
		return unknown_name(tables, name, len, e);
	if (name[len] == '=') {
		if (!option_has_argument(item.option))
			return err_set(e, EINVAL, "option --%s takes no argument",
				       item.option->name);
		item.text = name + len + 1;
	} else if (option_has_argument(item.option)) {
		if (*i == argc)
			return missing_argument(item.option, e);
		item.text = argv[(*i)++];
	}
	return add_item(args, &item, e);
}

/* "-n", "-nvalue", "-n value", and several letters at once where they take no argument. */
static int scan_letters(const struct option_table *const *tables, int argc, char *const *argv,
			int *i, struct option_args *args, struct err *e)
{
	const char *letter = argv[*i] + 1;
	struct option_item item;
	int ret = 0;

	(*i)++;
	for (; !ret && *letter; letter++) {
		if (!find_item(tables, letter, 0, &item))
			return err_set(e, EINVAL, "unknown option -%c", *letter);
		if (option_has_argument(item.option)) {
			if (!letter[1] && *i == argc)
				return missing_argument(item.option, e);
			item.text = letter[1] ? letter + 1 : argv[(*i)++];
			return add_item(args, &item, e);
		}
		ret = add_item(args, &item, e);
	}
	return ret;
}

int option_scan(const struct option_table *const *tables, int argc, char *const *argv,
		struct option_args *args, struct err *e)
{
	int i = 0, ret = 0;

	memset(args, 0, sizeof(*args));
	args->operands = calloc((size_t)argc + 1, sizeof(*args->operands));
	if (!args->operands)
		return err_set(e, ENOMEM, "out of memory");
	while (!ret && i < argc) {
		if (!strcmp(argv[i], "--")) {
			args->rest = argv + i + 1;
			args->rest_count = (size_t)(argc - i - 1);
			break;
		}
		if (!strncmp(argv[i], "--", 2))
			ret = scan_long(tables, argc, argv, &i, args, e);
		/* No letter is a digit: "-1G" is a number, such as a size to shrink by. */
		else if (argv[i][0] == '-' && argv[i][1] && !isdigit((unsigned char)argv[i][1]))
			ret = scan_letters(tables, argc, argv, &i, args, e);
		else
			args->operands[args->operand_count++] = argv[i++];
	}
	if (ret < 0)
		option_args_free(args);
	return ret;
}

void option_args_free(struct option_args *args)
{
	free(args->items);
	free(args->operands);
	memset(args, 0, sizeof(*args));
}

/* Whether an earlier item of the command line set the same option. */
static bool set_before(const struct option_args *args, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++)
		if (args->items[i].option == args->items[index].option)
			return true;
	return false;
}

int option_apply(const struct option_args *args, const struct option_table *table, void *into,
		 struct err *e)
{
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < args->item_count; i++)
		if (args->items[i].table == table && args->items[i].option->kind == OPTION_CONFIG)
			ret = option_load_file(table, into, args->items[i].text, e);
	for (i = 0; !ret && i < args->item_count; i++) {
		const struct option_item *item = &args->items[i];

		if (item->table != table || item->option->kind == OPTION_CONFIG)
			continue;
		if (!set_before(args, i)) {
			/* What a config file said is replaced, not added to. */
			const struct option_table one = {.options = item->option, .count = 1};

			option_free_fields(&one, into);
		}
		ret = option_set_text(item->option, into, item->text, &command_line, e);
	}
	return ret;
}
