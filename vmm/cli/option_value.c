/* From an option's text to the field of a struct: see option.h. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/util.h"
#include "cli/option.h"

#define NS_PER_SECOND 1000000000ull
/* Longer than any guest runs, and far from overflowing a clock. */
#define SECONDS_MAX 1000000000ull

/* What a user would call the option in a message; the caller frees it. */
static char *make_label(const struct option *option, const struct option_origin *origin)
{
	struct strbuf label = {0};

	strbuf_addf(&label, "%s%s", origin->prefix, option->name);
	return strbuf_take(&label);
}

char *option_resolve_path(const char *path, const struct option_origin *origin)
{
	struct strbuf full = {0};

	if (origin->folder && *path && *path != '/')
		strbuf_addstr(&full, origin->folder);
	strbuf_addstr(&full, path);
	return strbuf_take(&full);
}

static int set_plain_text(const struct option *option, char **field, const char *text,
			  const struct option_origin *origin)
{
	struct strbuf joined = {0};

	if (option->flags & (OPTION_IS_FILE | OPTION_IS_FOLDER)) {
		free(*field);
		*field = option_resolve_path(text, origin);
		return 0;
	}
	if (option->flags & OPTION_JOINS && *field && **field)
		strbuf_addf(&joined, "%s ", *field);
	strbuf_addstr(&joined, text);
	free(*field);
	*field = strbuf_take(&joined);
	return 0;
}

static int set_flag(bool *field, const char *text, const char *label, struct err *e)
{
	if (!text || !strcmp(text, "on")) {
		*field = true;
		return 0;
	}
	if (!strcmp(text, "off")) {
		*field = false;
		return 0;
	}
	return err_set(e, EINVAL, "%s is on or off, not %s", label, text);
}

static int check_range(const struct option *option, uint64_t value, const char *text,
		       const char *label, struct err *e)
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

	if (!option->max || (value >= option->min && value <= option->max))
		return 0;
	if (option->kind == OPTION_SIZE)
		return err_set(e, ERANGE, "%s is from %s to %s, not %s", label,
			       size_format(option->min, min), size_format(option->max, max), text);
	return err_set(e, ERANGE, "%s is from %llu to %llu, not %s", label,
		       (unsigned long long)option->min, (unsigned long long)option->max, text);
}

static int set_number(const struct option *option, unsigned *field, const char *text,
		      const char *label, struct err *e)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value = 0;
	const char *p;
	int ret;

	if (!digits || text[digits])
		return err_set(e, EINVAL, "%s takes a whole number, not \"%s\"", label, text);
	for (p = text; *p; p++) {
		value = value * 10 + (unsigned)(*p - '0');
		if (value > UINT_MAX)
			return err_set(e, ERANGE, "%s %s is too large a number", label, text);
	}
	ret = check_range(option, value, text, label, e);
	if (!ret)
		*field = (unsigned)value;
	return ret;
}

static int set_size(const struct option *option, uint64_t *field, const char *text,
		    const char *label, struct err *e)
{
	uint64_t value;
	int ret = size_parse(text, option->unit_bytes, &value);

	if (ret == -ERANGE)
		return err_set(e, ERANGE, "%s %s is too large a size", label, text);
	if (ret < 0)
		return err_set(e, EINVAL, "%s takes a size such as 512M or 4G, not \"%s\"", label,
			       text);
	ret = check_range(option, value, text, label, e);
	if (!ret)
		*field = value;
	return ret;
}

/* Decimal seconds, exact to the nanosecond; further digits are cut. */
static int parse_seconds(const char *text, uint64_t *ns)
{
	size_t whole_len = strspn(text, "0123456789"), fraction_len = 0, i;
	const char *fraction = text + whole_len;
	uint64_t seconds = 0, digit_ns = NS_PER_SECOND;

	if (*fraction == '.') {
		fraction++;
		fraction_len = strspn(fraction, "0123456789");
		if (!fraction_len)
			return -EINVAL;
	}
	if (!whole_len || fraction[fraction_len])
		return -EINVAL;
	for (i = 0; i < whole_len; i++) {
		seconds = seconds * 10 + (unsigned)(text[i] - '0');
		if (seconds > SECONDS_MAX)
			return -ERANGE;
	}
	*ns = seconds * NS_PER_SECOND;
	for (i = 0; i < fraction_len && digit_ns > 1; i++) {
		digit_ns /= 10;
		*ns += digit_ns * (unsigned)(fraction[i] - '0');
	}
	return *ns ? 0 : -EDOM;
}

static int set_seconds(uint64_t *field, const char *text, const char *label, struct err *e)
{
	uint64_t ns;

	switch (parse_seconds(text, &ns)) {
	case 0:
		*field = ns;
		return 0;
	case -EDOM:
		return err_set(e, EINVAL, "%s %s is no time: it must be more than 0 seconds", label,
			       text);
	case -ERANGE:
		return err_set(e, ERANGE, "%s %s is too long: at most %llu seconds", label, text,
			       SECONDS_MAX);
	default:
		return err_set(e, EINVAL, "%s takes seconds such as 60 or 0.5, not \"%s\"", label,
			       text);
	}
}

/*
 * Takes the next piece of a comma-separated list into @piece ("," stands for the doubled one) and
 * returns what follows its comma, or NULL when it was the last.
 */
static const char *next_piece(const char *text, struct strbuf *piece)
{
	for (;;) {
		size_t run = strcspn(text, ",");

		strbuf_add(piece, text, run);
		text += run;
		if (!*text)
			return NULL;
		if (text[1] != ',')
			return text + 1;
		strbuf_add(piece, ",", 1);
		text += 2;
	}
}

/* One "key" or "key=value" of a list's element. */
static int set_piece(const struct option_table *table, void *element, const char *piece,
		     const struct option_origin *origin, struct err *e)
{
	size_t len = strcspn(piece, "=");
	const struct option *option = option_find(table, piece, len);
	const char *best;
	char *key;

	if (!*piece)
		return err_set(e, EINVAL,
			       "%snothing stands between or after the commas; a comma in a name is "
			       "written as two",
			       origin->prefix);
	if (option && !piece[len] && option_has_argument(option))
		return err_set(e, EINVAL, "%s%s needs a value: %s=%s", origin->prefix, option->name,
			       option->name, option->argument);
	if (option)
		return option_set_text(option, element, piece[len] ? piece + len + 1 : NULL, origin,
				       e);
	key = strndup(piece, len);
	if (!key)
		return err_set(e, ENOMEM, "out of memory");
	best = option_suggest(table, key);
	if (best)
		err_set(e, EINVAL, "%sunknown setting %s; did you mean %s?", origin->prefix, key,
			best);
	else
		err_set(e, EINVAL, "%sunknown setting %s; a comma in a name is written as two",
			origin->prefix, key);
	free(key);
	return -EINVAL;
}

/* "FILE,key=value,...": the first piece is the value of the table's first option, unless that may
 * be left out and it is another's. */
static int set_element(const struct option_list *list, void *element, const char *text,
		       const struct option_origin *origin, struct err *e)
{
	const struct option_table *table = list->table;
	struct strbuf piece = {0};
	int ret;

	strbuf_addstr(&piece, "");
	text = next_piece(text, &piece);
	if (list->first && option_find(table, piece.data, strcspn(piece.data, "=")))
		ret = set_piece(table, element, piece.data, origin, e);
	else
		ret = option_set_text(&table->options[0], element, piece.data, origin, e);
	while (!ret && text) {
		strbuf_free(&piece);
		strbuf_addstr(&piece, "");
		text = next_piece(text, &piece);
		ret = set_piece(table, element, piece.data, origin, e);
	}
	strbuf_free(&piece);
	return ret;
}

void *option_list_add(const struct option *option, void *into, const char *label, struct err *e)
{
	const struct option_list *list = option->list;
	unsigned *count = (unsigned *)(void *)((char *)into + list->count_offset);
	char *element;

	if (*count == list->max) {
		err_set(e, EINVAL, "%s is given too often: at most %u times", label, list->max);
		return NULL;
	}
	element = (char *)into + option->offset + *count * list->element_bytes;
	memset(element, 0, list->element_bytes);
	(*count)++;
	return element;
}

int option_list_finish(const struct option *option, void *element,
		       const struct option_origin *origin, struct err *e)
{
	const struct option_list *list = option->list;
	const struct option *first = &list->table->options[0];
	char **text = (char **)(void *)((char *)element + first->offset);

	if (!*text && list->first)
		*text = strdup(list->first);
	if (*text && **text)
		return 0;
	return err_set(e, EINVAL, "%sthe %s is missing", origin->prefix, first->name);
}

static int set_list(const struct option *option, void *into, const char *text,
		    const struct option_origin *origin, struct err *e)
{
	struct option_origin inner = {.folder = origin->folder};
	struct strbuf prefix = {0};
	char *label = make_label(option, origin);
	void *element = option_list_add(option, into, label, e);
	int ret = -EINVAL;

	strbuf_addf(&prefix, "%s %s: ", label, text);
	inner.prefix = prefix.data;
	if (element)
		ret = set_element(option->list, element, text, &inner, e);
	if (!ret)
		ret = option_list_finish(option, element, &inner, e);
	strbuf_free(&prefix);
	free(label);
	return ret;
}

int option_set_text(const struct option *option, void *into, const char *text,
		    const struct option_origin *origin, struct err *e)
{
	void *field = (char *)into + option->offset;
	char *label = make_label(option, origin);
	int ret = -EINVAL;

	switch (option->kind) {
	case OPTION_FLAG:
		ret = set_flag(field, text, label, e);
		break;
	case OPTION_MORE:
		(*(unsigned *)field)++;
		ret = 0;
		break;
	case OPTION_TEXT:
		ret = set_plain_text(option, field, text, origin);
		break;
	case OPTION_NUMBER:
		ret = set_number(option, field, text, label, e);
		break;
	case OPTION_SIZE:
		ret = set_size(option, field, text, label, e);
		break;
	case OPTION_SECONDS:
		ret = set_seconds(field, text, label, e);
		break;
	case OPTION_LIST:
		ret = set_list(option, into, text, origin, e);
		break;
	case OPTION_CUSTOM:
		ret = option->custom->set(field, text, label, origin, e);
		break;
	case OPTION_CONFIG:
		err_set(e, EINVAL, "%s cannot stand here", label);
		break;
	}
	free(label);
	return ret;
}

static void free_list(const struct option *option, void *into)
{
	const struct option_list *list = option->list;
	unsigned *count = (unsigned *)(void *)((char *)into + list->count_offset);
	unsigned i;

	for (i = 0; i < *count; i++)
		option_free_fields(list->table,
				   (char *)into + option->offset + i * list->element_bytes);
	*count = 0;
}

void option_free_fields(const struct option_table *table, void *into)
{
	size_t i;

	for (i = 0; i < table->count; i++) {
		const struct option *option = &table->options[i];
		char **text = (char **)(void *)((char *)into + option->offset);

		if (option->kind == OPTION_LIST) {
			free_list(option, into);
		} else if (option->kind == OPTION_TEXT) {
			free(*text);
			*text = NULL;
		}
	}
}
