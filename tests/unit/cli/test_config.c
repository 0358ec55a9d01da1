/* machine_config_finish on configurations that no command line can make. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "suite.h"

START_TEST(defaults_are_those_of_the_manual)
{
	struct machine_config config;

	memset(&config, 0xaa, sizeof(config));
	machine_config_init(&config);
	ck_assert_uint_eq(config.cpus, 1);
	ck_assert_uint_eq(config.memory_bytes, MIB(512));
	ck_assert_int_eq(config.console.kind, CHR_STDIO);
	ck_assert_uint_eq(config.disk_count, 0);
	ck_assert_uint_eq(config.timeout_ns, 0);
	ck_assert_ptr_null(config.name);
	ck_assert_int_eq(machine_config_finish(&config, NULL), -EINVAL);
	machine_config_free(&config);
	machine_config_free(&config);
}
END_TEST

START_TEST(finishing_twice_changes_nothing)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	config.kernel = strdup("/boot/vmlinuz");
	config.memory_bytes = MIB(5) + 1;
	ck_assert_int_eq(machine_config_finish(&config, &e), 0);
	ck_assert_str_eq(config.name, "vmlinuz");
	ck_assert_uint_eq(config.memory_bytes, MIB(5) + KIB(64));
	ck_assert_int_eq(machine_config_finish(&config, &e), 0);
	ck_assert_str_eq(config.name, "vmlinuz");
	ck_assert_uint_eq(config.memory_bytes, MIB(5) + KIB(64));
	machine_config_free(&config);
}
END_TEST

START_TEST(settings_without_their_path_are_refused)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	config.kernel = strdup("k");
	config.console.kind = CHR_FILE;
	ck_assert_int_eq(machine_config_finish(&config, &e), -EINVAL);
	check_sentence(&e);
	config.console.kind = CHR_UNIX;
	ck_assert_int_eq(machine_config_finish(&config, &e), -EINVAL);
	config.console.kind = CHR_NONE;
	config.disk_count = 1;
	ck_assert_int_eq(machine_config_finish(&config, &e), -EINVAL);
	ck_assert_str_eq(e.text, "a disk has no file: use --disk FILE");
	machine_config_free(&config);
}
END_TEST

/* A console's log must not replace a disk or a kernel, whatever other names these have. */
START_TEST(links_do_not_hide_that_a_file_is_written)
{
	static const char *const others[] = {"link", "hard", "sub/../disk"};
	char folder[] = "/tmp/sarang-config-XXXXXX";
	struct machine_config config;
	struct err e = {0};
	size_t i;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	close(open("disk", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ck_assert_int_eq(symlink("disk", "link"), 0);
	ck_assert_int_eq(link("disk", "hard"), 0);
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		machine_config_init(&config);
		config.kernel = strdup("k");
		config.disk_count = 1;
		config.disks[0].path = strdup("disk");
		config.console.kind = CHR_FILE;
		config.console.path = strdup(others[i]);
		ck_assert_int_eq(machine_config_finish(&config, &e), -EINVAL);
		check_sentence(&e);
		ck_assert_ptr_nonnull(strstr(e.text, "the same file"));
		/* The guest writes to neither of the two. */
		config.disks[0].read_only = true;
		config.initrd = config.console.path;
		config.console.path = NULL;
		config.console.kind = CHR_NONE;
		ck_assert_int_eq(machine_config_finish(&config, &e), 0);
		machine_config_free(&config);
	}
	unlink("disk");
	unlink("link");
	unlink("hard");
	rmdir("sub");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(folder);
}
END_TEST

/* The settings themselves are a file that must not be replaced. */
static const struct {
	const char *settings; /* in the file "vm", which has the name "hard" too */
	const char *says;     /* NULL: nothing */
} own_files[] = {
	{"{\"kernel\": \"k\", \"console\": \"file=vm\"}",
	 "--config and --console are the same file"},
	{"{\"kernel\": \"k\", \"hvc\": \"file=hard\"}",
	 "--config vm and --hvc hard are the same file"},
	{"{\"kernel\": \"k\", \"dump-dtb\": \"./vm\"}",
	 "--config and --dump-dtb are the same file"},
	{"{\"kernel\": \"k\", \"net\": \"user\", \"pcap\": \"hard\"}",
	 "--config vm and --pcap hard"},
	{"{\"kernel\": \"k\", \"disk\": \"vm\"}", "--config and --disk are the same file"},
	{"{\"kernel\": \"k\", \"disk\": \"vm,ro\", \"console\": \"file=log\"}", NULL},
};

START_TEST(settings_are_not_written_over)
{
	const char *settings = own_files[_i].settings;
	char folder[] = "/tmp/sarang-config-XXXXXX";
	struct machine_config config;
	struct err e = {0};
	int fd, ret;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	fd = open("vm", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, settings, strlen(settings)), (ssize_t)strlen(settings));
	close(fd);
	ck_assert_int_eq(link("vm", "hard"), 0);
	machine_config_init(&config);
	ret = parse_line("--config vm", &config, &e);
	if (own_files[_i].says) {
		ck_assert_int_eq(ret, -EINVAL);
		check_sentence(&e);
		ck_assert_msg(strstr(e.text, own_files[_i].says) != NULL, "%s", e.text);
	} else {
		ck_assert_msg(!ret, "%s", e.text);
	}
	machine_config_free(&config);
	ck_assert(!unlink("vm") && !unlink("hard") && !chdir("/") && !rmdir(folder));
}
END_TEST

/* Whatever a file is called, its guest gets a name that is allowed. */
START_TEST(made_names_are_valid_names)
{
	uint64_t state = unit_seed();
	int i;

	for (i = 0; i < 20000; i++) {
		struct machine_config config;
		struct err e = {0};
		char path[100];
		size_t n = 1 + unit_random(&state) % (sizeof(path) - 1), j;

		for (j = 0; j < n; j++)
			path[j] = unit_random(&state) % 3 ? (char)(1 + unit_random(&state) % 255)
							  : "a./-_"[unit_random(&state) % 5];
		path[n] = '\0';
		machine_config_init(&config);
		config.kernel = strdup(path);
		ck_assert_msg(!machine_config_finish(&config, &e), "%s", e.text);
		/* Now it is checked as if the user had given it. */
		ck_assert_msg(!machine_config_finish(&config, &e), "%s", e.text);
		ck_assert_uint_le(strlen(config.name), MACHINE_NAME_MAX);
		machine_config_free(&config);
	}
}
END_TEST

TCase *case_config(void)
{
	TCase *c = tcase_create("config");

	tcase_add_test(c, defaults_are_those_of_the_manual);
	tcase_add_test(c, finishing_twice_changes_nothing);
	tcase_add_test(c, settings_without_their_path_are_refused);
	tcase_add_test(c, links_do_not_hide_that_a_file_is_written);
	tcase_add_loop_test(c, settings_are_not_written_over, 0, ARRAY_SIZE(own_files));
	tcase_add_test(c, made_names_are_valid_names);
	return c;
}
