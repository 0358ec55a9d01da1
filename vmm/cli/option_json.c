/*
 * Options as JSON (RFC 8259), read and written with jansson: see option.h.
 *
 * A scalar is turned into the text that the command line would carry and set from that: "memory":
 * 512 and "memory": "512M" mean what -m 512 and -m 512M mean. A list is an array, or one element
 * where there is one; an element is an object or a text as on the command line. Text that may be
 * given again is a text or an array of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"
#include "cli/option.h"
#include "cli/suggest.h"

/* Nobody writes as much by hand; /dev/zero is longer. */
#define CONFIG_BYTES_MAX MIB(1)

static int load_object(const struct option_table *table, void *into, json_t *object,
		       const struct option_origin *origin, struct err *e);

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a number";
	case JSON_REAL:
		return "a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

/* What a config file may say for a kind, in words and as a test. */
static const char *wanted(const struct option *option, const json_t *value, bool *fits)
{
	switch (option->kind) {
	case OPTION_FLAG:
		*fits = json_is_boolean(value);
		return "true or false";
	case OPTION_NUMBER:
		*fits = json_is_integer(value) || json_is_string(value);
		return "a whole number";
	case OPTION_SIZE:
		*fits = json_is_integer(value) || json_is_string(value);
		return "a size such as \"512M\"";
	case OPTION_SECONDS:
		*fits = json_is_number(value) || json_is_string(value);
		return "a number of seconds";
	case OPTION_LIST:
		*fits = json_is_object(value) || json_is_string(value);
		return "an array of objects";
	default:
		*fits = json_is_string(value) ||
			(option->flags & OPTION_IS_NUMBER && json_is_integer(value));
		return option->flags & OPTION_IS_NUMBER ? "a number or a string" : "a string";
	}
}

/* The text the command line would carry for a scalar. */
static void scalar_text(const json_t *value, struct strbuf *text)
{
	char *dumped;

	if (json_is_string(value)) {
		strbuf_addstr(text, json_string_value(value));
	} else if (json_is_boolean(value)) {
		strbuf_addstr(text, json_is_true(value) ? "on" : "off");
	} else if (json_is_integer(value)) {
		strbuf_addf(text, "%lld", (long long)json_integer_value(value));
	} else {
		dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
		strbuf_addstr(text, dumped ? dumped : "");
		free(dumped);
	}
}

static int load_element(const struct option *option, void *into, json_t *value, size_t index,
			const struct option_origin *origin, struct err *e)
{
	struct option_origin inner = {.folder = origin->folder};
	struct strbuf prefix = {0};
	void *element;
	int ret = -EINVAL;

	strbuf_addf(&prefix, "%s%s[%zu]", origin->prefix, option->name, index);
	element = option_list_add(option, into, prefix.data, e);
	strbuf_addstr(&prefix, ": ");
	inner.prefix = prefix.data;
	if (element)
		ret = load_object(option->list->table, element, value, &inner, e);
	if (!ret)
		ret = option_list_finish(option, element, &inner, e);
	strbuf_free(&prefix);
	return ret;
}

static int load_value(const struct option *option, void *into, json_t *value,
		      const struct option_origin *origin, struct err *e)
{
	struct strbuf text = {0};
	const char *want;
	bool fits;
	int ret;

	want = wanted(option, value, &fits);
	if (!fits)
		return err_set(e, EINVAL, "%s%s must be %s, not %s", origin->prefix, option->name,
			       want, type_name(value));
	if (json_is_object(value))
		return load_element(option, into, value, 0, origin, e);
	scalar_text(value, &text);
	ret = option_set_text(option, into, text.data ? text.data : "", origin, e);
	strbuf_free(&text);
	return ret;
}

static int load_array(const struct option *option, void *into, json_t *array,
		      const struct option_origin *origin, struct err *e)
{
	size_t index;
	json_t *value;
	int ret;

	json_array_foreach(array, index, value)
	{
		if (json_is_object(value) && option->list)
			ret = load_element(option, into, value, index, origin, e);
		else
			ret = load_value(option, into, value, origin, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int unknown_key(const struct option_table *table, const char *key,
		       const struct option_origin *origin, struct err *e)
{
	const char *best = option_suggest(table, key);

	if (best)
		return err_set(e, EINVAL, "%sunknown setting \"%s\"; did you mean \"%s\"?",
			       origin->prefix, key, best);
	return err_set(e, EINVAL, "%sunknown setting \"%s\"", origin->prefix, key);
}

static int load_object(const struct option_table *table, void *into, json_t *object,
		       const struct option_origin *origin, struct err *e)
{
	const char *key;
	json_t *value;
	int ret = 0;

	json_object_foreach(object, key, value)
	{
		const struct option *option = option_find(table, key, strlen(key));
		const struct option_table one = {.options = option, .count = 1};

		if (!option || option->kind == OPTION_MORE)
			return unknown_key(table, key, origin, e);
		if (!option_in_config(option))
			return err_set(e, EINVAL, "%sa config file cannot set \"%s\"",
				       origin->prefix, key);
		/* A later file replaces what an earlier one said. */
		option_free_fields(&one, into);
		if ((option->kind == OPTION_LIST || option->flags & OPTION_JOINS) &&
		    json_is_array(value))
			ret = load_array(option, into, value, origin, e);
		else
			ret = load_value(option, into, value, origin, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int option_load_text(const struct option_table *table, void *into, const char *text, size_t len,
		     const struct option_origin *origin, struct err *e)
{
	json_error_t why;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	int ret;

	if (!root)
		return err_set(e, EINVAL, "%sline %d: %s", origin->prefix, why.line, why.text);
	if (json_is_object(root))
		ret = load_object(table, into, root, origin, e);
	else
		ret = err_set(e, EINVAL, "%sthe settings must be one JSON object, not %s",
			      origin->prefix, type_name(root));
	json_decref(root);
	return ret;
}

/* Reads all of @path, which may be a pipe, into @text. */
static int read_config(const char *path, struct strbuf *text, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char chunk[4096];
	ssize_t n = -1;

	if (fd < 0)
		return err_errno(e, errno, "cannot open the config file %s", path);
	do {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			strbuf_add(text, chunk, (size_t)n);
	} while ((n > 0 && text->len <= CONFIG_BYTES_MAX) || (n < 0 && errno == EINTR));
	if (n < 0)
		err_errno(e, errno, "cannot read the config file %s", path);
	fd_close(&fd);
	if (n < 0)
		return -EIO;
	if (text->len > CONFIG_BYTES_MAX)
		return err_set(e, EFBIG, "the config file %s is longer than 1 MiB", path);
	return 0;
}

int option_load_file(const struct option_table *table, void *into, const char *path, struct err *e)
{
	struct strbuf text = {0}, prefix = {0}, folder = {0};
	struct option_origin origin = {0};
	const char *slash = strrchr(path, '/');
	int ret = read_config(path, &text, e);

	if (!ret) {
		strbuf_addf(&prefix, "%s: ", path);
		if (slash)
			strbuf_add(&folder, path, (size_t)(slash + 1 - path));
		origin = (struct option_origin){.prefix = prefix.data, .folder = folder.data};
		ret = option_load_text(table, into, text.data ? text.data : "", text.len, &origin,
				       e);
	}
	strbuf_free(&text);
	strbuf_free(&prefix);
	strbuf_free(&folder);
	return ret;
}

static json_t *save_object(const struct option_table *table, const void *from);

static json_t *save_list(const struct option *option, const void *from)
{
	const struct option_list *list = option->list;
	const char *elements = (const char *)from + option->offset;
	unsigned count = *(const unsigned *)(const void *)((const char *)from + list->count_offset);
	json_t *array = json_array();
	unsigned i;

	for (i = 0; array && i < count; i++) {
		json_t *element = save_object(list->table, elements + i * list->element_bytes);

		if (json_array_append_new(array, element) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *save_seconds(uint64_t ns)
{
	return json_sprintf("%llu.%09llu", (unsigned long long)(ns / 1000000000u),
			    (unsigned long long)(ns % 1000000000u));
}

/* The value of one option; *@unset instead where it has none. NULL when it cannot be written. */
static json_t *save_value(const struct option *option, const void *from, bool *unset)
{
	const void *field = (const char *)from + option->offset;
	char size[SIZE_TEXT_MAX], *text;
	json_t *value;

	*unset = false;
	switch (option->kind) {
	case OPTION_FLAG:
		return json_boolean(*(const bool *)field);
	case OPTION_NUMBER:
		*unset = option->min && !*(const unsigned *)field;
		return *unset ? NULL : json_integer(*(const unsigned *)field);
	case OPTION_SIZE:
		*unset = option->min && !*(const uint64_t *)field;
		return *unset ? NULL : json_string(size_format(*(const uint64_t *)field, size));
	case OPTION_SECONDS:
		*unset = !*(const uint64_t *)field;
		return *unset ? NULL : save_seconds(*(const uint64_t *)field);
	case OPTION_TEXT:
		*unset = !*(char *const *)field;
		return *unset ? NULL : json_string(*(char *const *)field);
	case OPTION_LIST:
		return save_list(option, from);
	case OPTION_CUSTOM:
		text = option->custom->get(field);
		*unset = !text;
		value = text ? json_string(text) : NULL;
		free(text);
		return value;
	default:
		*unset = true;
		return NULL;
	}
}

static json_t *save_object(const struct option_table *table, const void *from)
{
	json_t *object = json_object();
	size_t i;

	for (i = 0; object && i < table->count; i++) {
		const struct option *option = &table->options[i];
		bool unset;
		json_t *value = save_value(option, from, &unset);

		if (unset)
			continue;
		/* Takes a NULL value for what it is, an error. */
		if (json_object_set_new(object, option->name, value) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

int option_save_text(const struct option_table *table, const void *from, struct strbuf *out,
		     struct err *e)
{
	json_t *object = save_object(table, from);
	char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;

	json_decref(object);
	if (!text)
		return err_set(e, EINVAL,
			       "the settings cannot be written as JSON: a text is not UTF-8");
	strbuf_addf(out, "%s\n", text);
	free(text);
	return 0;
}
