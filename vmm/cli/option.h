/*
 * Options: one table gives parsing, --help, the config file and shell completion.
 *
 * A table lists what can be set in one struct: each option's long name (which is also its key in a
 * config file), its letter, what its argument is called, its kind, and the offset of its field.
 * Text from the command line and values from JSON take the same way into the field, so that both
 * accept the same things and fail with the same sentences.
 *
 * The command line follows GNU conventions: `--name=value`, `--name value`, `-nvalue`, `-n value`,
 * `--` ends the options. Names are exact: an abbreviation that works today would be ambiguous
 * tomorrow.
 *
 * Settings of an option (`--disk FILE,ro,serial=TEXT`) are described by a table too: its first
 * option is the one without a key, and a comma inside a value is written as two.
 *
 * Plain functions on the caller's data, on any thread.
 */
#ifndef SARANG_CLI_OPTION_H
#define SARANG_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

/* What an option's value is, and the C type of its field. */
enum option_kind {
	OPTION_FLAG, /* bool; no argument */
	OPTION_MORE, /* unsigned; no argument, counts how often it is given; not in config files */
	OPTION_TEXT, /* char *, owned by the struct */
	OPTION_NUMBER,  /* unsigned */
	OPTION_SIZE,    /* uint64_t, bytes */
	OPTION_SECONDS, /* uint64_t, nanoseconds, never 0 when given */
	OPTION_LIST,    /* array of structs in the struct; may be repeated */
	OPTION_CUSTOM,  /* whatever option->custom makes of it */
	OPTION_CONFIG,  /* no field: names a file with the options of this table as JSON */
};

enum option_flags {
	OPTION_IS_FILE = 1 << 0,   /* the text is a file: relative to the folder of a config file */
	OPTION_IS_FOLDER = 1 << 1, /* the same for a folder */
	OPTION_JOINS = 1 << 2,     /* text given again is added after a space */
	OPTION_IS_NUMBER = 1 << 3, /* the text is one: JSON may have it as a number too */
};

struct option_table;

/* Where a value came from: for messages, and for relative paths. */
struct option_origin {
	const char
		*prefix; /* what stands before the option's name in a message: "--", "vm.json: " */
	const char *folder; /* what relative paths are relative to, ending in "/"; NULL: the cwd */
};

struct option_custom {
	/* Takes @text into the field at the option's offset; 0 or -errno with a sentence that names
	 * @label, the option as the user knows it. */
	int (*set)(void *into, const char *text, const char *label,
		   const struct option_origin *origin, struct err *e);
	/* The text that @set would take; the caller frees it. NULL: not set. */
	char *(*get)(const void *from);
};

struct option_list {
	const struct option_table *table; /* of one element */
	size_t count_offset;              /* an unsigned: how many there are */
	size_t element_bytes;
	unsigned max;
	/* What the table's first option is where an element says only others; NULL: it must say. */
	const char *first;
};

struct option {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* "FILE"; NULL for flags, and for lists, whose table tells */
	const char *help;
	enum option_kind kind;
	unsigned flags;
	size_t offset;
	uint64_t unit_bytes; /* OPTION_SIZE: what a number without a unit counts */
	/* OPTION_NUMBER, OPTION_SIZE: the range; @max 0: any. Where @min is not 0, a field of 0 is
	 * one that is not given. */
	uint64_t min, max;
	const char *const *choices;         /* NULL-ended, for completion; NULL: no list */
	const struct option_custom *custom; /* OPTION_CUSTOM */
	const struct option_list *list;     /* OPTION_LIST */
};

struct option_table {
	const struct option *options;
	size_t count;
};

/* One option as it stood on the command line. */
struct option_item {
	const struct option_table *table;
	const struct option *option;
	const char *text; /* NULL for flags; points into argv */
};

/* A command line taken apart, not yet applied. Points into argv; freed with option_args_free. */
struct option_args {
	struct option_item *items;
	size_t item_count;
	char **operands; /* what is no option */
	size_t operand_count;
	char *const *rest; /* what follows "--" */
	size_t rest_count;
};

/*
 * Takes @argv[0 .. @argc) apart by the options of @tables (NULL-ended). Returns 0, or -EINVAL with
 * a sentence: an unknown option (with the nearest name there is), an argument missing or too much.
 */
int option_scan(const struct option_table *const *tables, int argc, char *const *argv,
		struct option_args *args, struct err *e);
void option_args_free(struct option_args *args);

/*
 * Puts the items of @table into the struct @into: first the config files, then the rest, so that
 * the command line wins whatever the order. A list or joined text given there replaces the file's.
 * 0 or -errno with a sentence; @into is then to be freed like a filled one.
 */
int option_apply(const struct option_args *args, const struct option_table *table, void *into,
		 struct err *e);

/* Sets one option from text, as from a command line. 0 or -errno with a sentence. */
int option_set_text(const struct option *option, void *into, const char *text,
		    const struct option_origin *origin, struct err *e);

/*
 * Adds a zeroed element to the list @option of the struct @into. NULL with a sentence that names
 * @label when there are as many as can be.
 */
void *option_list_add(const struct option *option, void *into, const char *label, struct err *e);

/* Sees to it that an element has what its table's first option sets. 0 or -EINVAL with a sentence.
 */
int option_list_finish(const struct option *option, void *element,
		       const struct option_origin *origin, struct err *e);

/* Frees the texts and empties the lists of the struct @into; other fields stay. */
void option_free_fields(const struct option_table *table, void *into);

/* The option of that name, or NULL; and the name nearest to a misspelt one, or NULL. */
const struct option *option_find(const struct option_table *table, const char *name, size_t len);
const char *option_suggest(const struct option_table *table, const char *name);

/* Whether it takes an argument. */
bool option_has_argument(const struct option *option);

/* Whether it can stand in a config file. */
bool option_in_config(const struct option *option);

/* @path as seen from where it was written: itself, or below @origin->folder. The caller frees it.
 */
char *option_resolve_path(const char *path, const struct option_origin *origin);

/* Adds how a list's argument is written ("FILE[,ro][,serial=TEXT]"), or the argument's name. */
void option_add_argument(struct strbuf *out, const struct option *option);

/* Adds the options of @table as --help shows them, in 80 columns. */
void option_add_help(struct strbuf *out, const struct option_table *table);

/* Adds @text wrapped at 80 columns, each line after @indent blanks, the first from @column on. */
void option_add_wrapped(struct strbuf *out, const char *text, size_t indent, size_t column);

/*
 * Reads the JSON file @path into the struct @into. Keys are the options' names. 0 or -errno with a
 * sentence that names the file, and the line or the key that is wrong.
 */
int option_load_file(const struct option_table *table, void *into, const char *path, struct err *e);

/* The same from text: @name is what messages call it, @folder as in struct option_origin. */
int option_load_text(const struct option_table *table, void *into, const char *text, size_t len,
		     const struct option_origin *origin, struct err *e);

/*
 * Adds the settings of the struct @from as JSON that option_load_text reads back into an equal
 * struct. Fields that are not set are left out. 0, or -EINVAL where a text is not UTF-8.
 */
int option_save_text(const struct option_table *table, const void *from, struct strbuf *out,
		     struct err *e);

#endif
