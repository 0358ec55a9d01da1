/* Dispatch, help and completion, with commands of the test's own in the table beside the real ones.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "suite.h"

static int probe(const struct command *self, const struct command_set *set,
		 const struct option_args *args, struct err *e)
{
	struct machine_config config;
	int ret;

	(void)self;
	(void)set;
	machine_config_init(&config);
	ret = machine_options_apply(args, &config, e);
	machine_config_free(&config);
	if (ret < 0)
		return ret;
	return log_enabled(LOG_DEBUG) ? 42 : 255;
}

static const struct command cmd_probe = {
	.name = "probe",
	.usage = "[options]",
	.summary = "a test's own",
	.text = "First paragraph.\nSecond paragraph.",
	.options = {&machine_options},
	.takes_rest = true,
	.operand_hint = "try something else",
	.run = probe,
};

static const struct command *const commands[] = {&cmd_probe, &cmd_version, &cmd_help,
						 &cmd_completion};
static const struct command_set set = {commands, ARRAY_SIZE(commands)};

/* Runs a line; what it wrote is in @out and @err (each 64 KiB). Each test is a process of its own.
 */
static int run_line(const char *line, char **out, char **err)
{
	char *copy = strdup(line), *argv[32], *save = NULL, *word;
	FILE *files[2] = {tmpfile(), tmpfile()};
	int argc = 0, status, i;
	char **texts[2] = {out, err};

	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	fflush(stdout);
	dup2(fileno(files[0]), STDOUT_FILENO);
	dup2(fileno(files[1]), STDERR_FILENO);
	status = command_main(&set, argc, argv);
	fflush(stdout);
	for (i = 0; i < 2; i++) {
		long len;

		fseek(files[i], 0, SEEK_END);
		len = ftell(files[i]);

		*texts[i] = calloc(1, (size_t)len + 1);
		rewind(files[i]);
		ck_assert_uint_eq(fread(*texts[i], 1, (size_t)len, files[i]), (size_t)len);
		fclose(files[i]);
	}
	free(copy);
	return status;
}

static const struct {
	const char *line;
	int status;
	const char *out, *err; /* what must stand there; "" for nothing at all */
} lines[] = {
	{"sarang", 1, "", "Usage: sarang [options] COMMAND"},
	{"sarang -h", 0, "Usage: sarang [options] COMMAND", ""},
	{"sarang --help", 0, "probe        a test's own", ""},
	{"sarang help", 0, "Usage: sarang [options] COMMAND", ""},
	{"sarang --version", 0, "sarang " SARANG_VERSION "\n", ""},
	{"sarang version", 0, "sarang " SARANG_VERSION "\n", ""},
	{"sarang help probe", 0, "Usage: sarang probe [options]\n\nFirst paragraph.\n\nSecond", ""},
	{"sarang probe -h", 0, "Usage: sarang probe [options]", ""},
	{"sarang probe --kernel k --help", 0, "-k, --kernel FILE", ""},
	{"sarang help prob", 1, "", "sarang: unknown command prob; did you mean probe?\n"},
	{"sarang prboe", 1, "", "sarang: unknown command prboe; did you mean probe?\n"},
	{"sarang xyzzy", 1, "", "sarang: unknown command xyzzy; `sarang help` lists what there is"},
	{"sarang --verison", 1, "", "sarang: unknown option --verison; did you mean --version?\n"},
	{"sarang probe -k k", 255, "", ""},
	{"sarang -v probe -k k", 255, "", ""},
	{"sarang -v probe -k k -v", 42, "", ""},
	{"sarang probe -vv -k k", 42, "", ""},
	{"sarang probe -vkk -v", 42, "", ""},
	{"sarang probe -q -v -k k", 1, "", "sarang probe: --quiet and --verbose contradict"},
	{"sarang probe --memroy 4", 1, "",
	 "sarang probe: unknown option --memroy; did you mean --memory?\n"},
	{"sarang probe --hlep", 1, "",
	 "sarang probe: unknown option --hlep; did you mean --help?\n"},
	{"sarang probe -k k -m 1M", 1, "", "sarang: a guest cannot have 1M of memory"},
	{"sarang probe -k k root.raw", 1, "",
	 "sarang probe: unexpected argument root.raw; try something else\n"},
	{"sarang probe --help=yes", 1, "", "sarang probe: option --help takes no argument\n"},
	{"sarang probe --verbose=2", 1, "", "sarang probe: option --verbose takes no argument\n"},
	{"sarang version now", 1, "", "sarang version: unexpected argument now\n"},
	{"sarang version -- now", 1, "", "sarang version: unexpected argument now after --\n"},
	{"sarang completion", 1, "", "sarang: completion needs the name of a shell: bash or zsh\n"},
	{"sarang completion fish", 1, "", "sarang: there is no completion for fish, only for"},
	{"sarang completion zsh", 0, "#compdef sarang\n", ""},
	{"sarang completion bash", 0, "complete -o filenames", ""},
};

START_TEST(lines_and_their_exit_status)
{
	char *out, *err;
	int status = run_line(lines[_i].line, &out, &err);

	ck_assert_msg(status == lines[_i].status, "%s: %d %s", lines[_i].line, status, err);
	ck_assert_msg(*lines[_i].out ? strstr(out, lines[_i].out) != NULL : !*out, "%s: %s",
		      lines[_i].line, out);
	ck_assert_msg(*lines[_i].err ? strstr(err, lines[_i].err) == err : !*err, "%s: %s",
		      lines[_i].line, err);
	free(out);
	free(err);
}
END_TEST

/* The smallest bzImage that passes for a kernel, in a new file of the name @path. */
static void make_kernel(char *path)
{
	uint8_t image[4096] = {0};
	int fd = mkstemp(path);

	image[0x1f1] = 1; /* sector of setup code */
	put_le16(image + 0x1fe, 0xaa55);
	image[0x201] = 0x6a; /* length of the header */
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x020f);    /* protocol */
	image[0x211] = 1;                   /* loaded high */
	put_le16(image + 0x236, 1);         /* has a 64-bit entry */
	put_le32(image + 0x238, 2047);      /* of the command line, the longest */
	put_le64(image + 0x258, 0x1000000); /* preferred address */
	put_le32(image + 0x260, 0x100000);  /* memory to start in */
	ck_assert_int_eq(fd_write_full(fd, image, sizeof(image)), 0);
	close(fd);
}

/* One sentence, which says why, whatever command it was and however much it had to say. */
START_TEST(output_that_goes_nowhere_is_a_failure)
{
	static const struct command *const all[] = {&cmd_inspect, &cmd_help};
	static const struct command_set both = {all, ARRAY_SIZE(all)};
	char name[] = "sarang", help[] = "help", inspect[] = "inspect", json[] = "--json",
	     kernel_option[] = "--kernel", kernel[] = "/tmp/sarang-kernel-XXXXXX",
	     errors[] = "/tmp/sarang-errors-XXXXXX", text[512] = {0};
	char *lines_of_words[][6] = {
		{name, help, NULL},
		{name, inspect, kernel_option, kernel, NULL},
		{name, inspect, kernel_option, kernel, json, NULL},
	};
	char **argv = lines_of_words[_i];
	int argc = 0, fd = mkstemp(errors);

	make_kernel(kernel);
	while (argv[argc])
		argc++;
	ck_assert_ptr_nonnull(freopen("/dev/full", "w", stdout));
	ck_assert_ptr_nonnull(freopen(errors, "w", stderr));
	ck_assert_int_eq(command_main(&both, argc, argv), 1);
	fflush(stderr);
	ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_str_eq(text,
			 "sarang: cannot write to standard output: No space left on device\n");
	close(fd);
	unlink(errors);
	unlink(kernel);
}
END_TEST

/* inspect refuses what run would refuse for a file that is not there, or a text that is too long.
 */
START_TEST(inspect_opens_what_run_opens)
{
	static const struct command *const all[] = {&cmd_inspect};
	static const struct command_set one = {all, 1};
	char name[] = "sarang", inspect[] = "inspect", k[] = "-k", i[] = "-i", a[] = "-a",
	     missing[] = "/nonexistent/initrd", kernel[] = "/tmp/sarang-kernel-XXXXXX",
	     long_text[3000];
	char *there[] = {name, inspect, k, kernel, i, kernel, NULL};
	char *not_there[] = {name, inspect, k, kernel, i, missing, NULL};
	char *too_long[] = {name, inspect, k, kernel, a, long_text, NULL};

	make_kernel(kernel);
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	ck_assert_int_eq(command_main(&one, 6, there), 0);
	ck_assert_int_eq(command_main(&one, 6, not_there), 1);
	ck_assert_int_eq(command_main(&one, 6, too_long), 1);
	unlink(kernel);
}
END_TEST

START_TEST(no_arguments_at_all_are_survived)
{
	char *argv[] = {NULL};

	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	ck_assert_int_eq(command_main(&set, 0, argv), 1);
}
END_TEST

/* Every line of help fits a terminal, and every option of the table stands in it. */
START_TEST(help_fits_eighty_columns)
{
	static const struct command *const all[] = {&cmd_run,     &cmd_inspect, &cmd_doctor,
						    &cmd_version, &cmd_help,    &cmd_completion};
	struct command_set every = {all, ARRAY_SIZE(all)};
	size_t i, t, o;

	for (i = 0; i <= every.count; i++) {
		struct strbuf text = {0};
		const char *line;
		char name[64];

		if (i == every.count)
			command_add_overview(&text, &every);
		else
			command_add_help(&text, all[i]);
		for (line = text.data; *line; line += strcspn(line, "\n") + 1) {
			size_t len = strcspn(line, "\n");

			ck_assert_msg(len < 80, "%.*s", (int)len, line);
			ck_assert_msg(!len || line[len - 1] != ' ', "%.*s", (int)len, line);
		}
		for (t = 0; i < every.count && t < COMMAND_TABLES_MAX && all[i]->options[t]; t++)
			for (o = 0; o < all[i]->options[t]->count; o++) {
				snprintf(name, sizeof(name), "--%s",
					 all[i]->options[t]->options[o].name);
				ck_assert_ptr_nonnull(strstr(text.data, name));
			}
		strbuf_free(&text);
	}
}
END_TEST

/* No two options that one command line takes share a name or a letter. */
START_TEST(names_and_letters_are_unique)
{
	static const struct command *const all[] = {&cmd_run, &cmd_inspect, &cmd_doctor};
	size_t i, t, o;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		const struct option_table *tables[] = {&common_options, all[i]->options[0],
						       all[i]->options[1]};
		const struct option *seen[64];
		size_t count = 0, s;

		for (t = 0; t < ARRAY_SIZE(tables) && tables[t]; t++)
			for (o = 0; o < tables[t]->count; o++)
				seen[count++] = &tables[t]->options[o];
		for (o = 0; o < count; o++)
			for (s = 0; s < o; s++) {
				ck_assert_str_ne(seen[o]->name, seen[s]->name);
				ck_assert(!seen[o]->letter || seen[o]->letter != seen[s]->letter);
			}
	}
}
END_TEST

/* Asks bash itself what it would offer for the last word. */
static void complete(const char *script, const char *words, const char *expected)
{
	char command[512], offered[1024];
	struct strbuf all = {0};
	FILE *pipe;
	size_t n;

	snprintf(
		command, sizeof(command),
		"cd / && bash -c 'source %s; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); "
		"_sarang; printf \"%%s \" \"${COMPREPLY[@]}\"'",
		script, words);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	while ((n = fread(offered, 1, sizeof(offered), pipe)))
		strbuf_add(&all, offered, n);
	ck_assert_int_eq(pclose(pipe), 0);
	ck_assert_msg(all.data && strstr(all.data, expected), "%s: offered %s", words, all.data);
	strbuf_free(&all);
}

START_TEST(bash_offers_commands_options_words_and_files)
{
	static const struct command *const all[] = {&cmd_run, &cmd_inspect, &cmd_completion,
						    &cmd_help};
	struct command_set every = {all, ARRAY_SIZE(all)};
	char path[] = "/tmp/sarang-completion-XXXXXX";
	struct strbuf text = {0};
	FILE *file = fdopen(mkstemp(path), "w");

	completion_add_bash(&text, &every);
	ck_assert_ptr_nonnull(file);
	fputs(text.data, file);
	fclose(file);
	complete(path, "sarang \"\"", "run inspect completion help ");
	complete(path, "sarang ins", "inspect ");
	complete(path, "sarang run --ker", "--kernel ");
	complete(path, "sarang inspect --js", "--json ");
	complete(path, "sarang run --console p", "pty ");
	complete(path, "sarang run -k vml -d /de", "/dev ");
	/* bash takes "=" for a word of its own. */
	complete(path, "sarang run --kernel = /de", "/dev ");
	complete(path, "sarang run --hardware =", "auto acpi fdt ");
	complete(path, "sarang run --console file = /de", "/dev ");
	complete(path, "sarang run --hvc unix =", "dev ");
	complete(path, "sarang -v completion z", "zsh ");
	complete(path, "sarang help ru", "run ");
	unlink(path);
	strbuf_free(&text);
}
END_TEST

TCase *case_command(void)
{
	TCase *c = tcase_create("command");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, lines_and_their_exit_status, 0, ARRAY_SIZE(lines));
	tcase_add_loop_test(c, output_that_goes_nowhere_is_a_failure, 0, 3);
	tcase_add_test(c, inspect_opens_what_run_opens);
	tcase_add_test(c, no_arguments_at_all_are_survived);
	tcase_add_test(c, help_fits_eighty_columns);
	tcase_add_test(c, names_and_letters_are_unique);
	tcase_add_test(c, bash_offers_commands_options_words_and_files);
	return c;
}
