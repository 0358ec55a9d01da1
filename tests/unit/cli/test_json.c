/* Config files: what they may hold, how they yield to the command line, and the way back to JSON.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "suite.h"

static const struct option_origin file_origin = {.prefix = "vm.json: ", .folder = "/vms/"};

static int load(const char *text, struct machine_config *config, struct err *e)
{
	return option_load_text(&machine_options, config, text, strlen(text), &file_origin, e);
}

static char *save(const struct machine_config *config)
{
	struct strbuf text = {0};

	ck_assert_int_eq(option_save_text(&machine_options, config, &text, NULL), 0);
	return strbuf_take(&text);
}

START_TEST(a_file_says_what_the_command_line_would)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_int_eq(
		load("{\"kernel\": \"boot/k\", \"initrd\": \"/i\", \"append\": \"quiet\","
		     " \"cpus\": 2, \"memory\": 1024, \"timeout\": 1.5, \"name\": \"n\","
		     " \"hardware\": \"fdt\", \"console\": \"file=log\", \"dump-dtb\": \"dtb\","
		     " \"disk\": [{\"file\": \"root.raw\", \"ro\": true, \"serial\": \"s\"},"
		     " \"data,,1.raw,direct\"]}",
		     &config, &e),
		0);
	ck_assert_str_eq(config.kernel, "/vms/boot/k");
	ck_assert_str_eq(config.initrd, "/i");
	ck_assert_str_eq(config.append, "quiet");
	ck_assert_uint_eq(config.cpus, 2);
	ck_assert_uint_eq(config.memory_bytes, GIB(1));
	ck_assert_uint_eq(config.timeout_ns, 1500000000);
	ck_assert_int_eq(config.console.kind, CHR_FILE);
	ck_assert_str_eq(config.console.path, "/vms/log");
	ck_assert_str_eq(config.dump_dtb, "/vms/dtb");
	ck_assert_int_eq(config.hardware, HARDWARE_FDT);
	ck_assert_uint_eq(config.disk_count, 2);
	ck_assert_str_eq(config.disks[0].path, "/vms/root.raw");
	ck_assert_str_eq(config.disks[0].serial, "s");
	ck_assert(config.disks[0].read_only);
	ck_assert_str_eq(config.disks[1].path, "/vms/data,1.raw");
	ck_assert(config.disks[1].direct);
	machine_config_free(&config);
}
END_TEST

START_TEST(numbers_may_be_texts_and_one_disk_needs_no_array)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_int_eq(load("{\"cpus\": \"3\", \"memory\": \"2G\", \"timeout\": 10,"
			      " \"disk\": {\"file\": \"r\", \"format\": \"raw\"}}",
			      &config, &e),
			 0);
	ck_assert_uint_eq(config.cpus, 3);
	ck_assert_uint_eq(config.memory_bytes, GIB(2));
	ck_assert_uint_eq(config.timeout_ns, 10000000000ull);
	ck_assert_uint_eq(config.disk_count, 1);
	ck_assert_str_eq(config.disks[0].format, "raw");
	/* Of two files the later one wins. */
	ck_assert_int_eq(load("{\"disk\": \"s,ro\", \"cpus\": 4}", &config, &e), 0);
	ck_assert_uint_eq(config.disk_count, 1);
	ck_assert_str_eq(config.disks[0].path, "/vms/s");
	ck_assert_uint_eq(config.cpus, 4);
	ck_assert_uint_eq(config.memory_bytes, GIB(2));
	machine_config_free(&config);
}
END_TEST

static const struct {
	const char *text;
	const char *says;
} refused[] = {
	{"", "vm.json: line 1: "},
	{"[]", "vm.json: the settings must be one JSON object, not an array"},
	{"\"x\"", "vm.json: line 1: "},
	{"{\"cpus\": 2,}", "vm.json: line 1: "},
	{"{\n\"cpus\": 2\n\"memory\": 1}", "vm.json: line 3: "},
	{"{\"cpus\": 2} {}", "vm.json: line 1: "},
	{"{\"cpus\": 2} x", "vm.json: line 1: "},
	{"{\"cpus\": 2, \"cpus\": 3}", "duplicate object key"},
	{"{\"memroy\": 1}", "vm.json: unknown setting \"memroy\"; did you mean \"memory\"?"},
	{"{\"xyzzy\": 1}", "vm.json: unknown setting \"xyzzy\""},
	{"{\"m\": 1}", "vm.json: unknown setting \"m\""},
	{"{\"config\": \"x\"}", "vm.json: a config file cannot set \"config\""},
	{"{\"cpus\": []}", "vm.json: cpus must be a whole number, not an array"},
	{"{\"cpus\": 1.5}", "vm.json: cpus must be a whole number, not a fraction"},
	{"{\"cpus\": -1}", "vm.json: cpus takes a whole number, not \"-1\""},
	{"{\"cpus\": null}", "not null"},
	{"{\"cpus\": true}", "not true or false"},
	{"{\"cpus\": 99999999999999999999}", "vm.json: line 1: "},
	{"{\"memory\": {}}", "vm.json: memory must be a size such as \"512M\", not an object"},
	{"{\"memory\": \"lots\"}", "vm.json: memory takes a size such as 512M or 4G"},
	{"{\"kernel\": 5}", "vm.json: kernel must be a string, not a number"},
	{"{\"kernel\": \"a\\u0000b\"}", "vm.json: line 1: "},
	{"{\"kernel\": \"\xff\"}", "vm.json: line 1: "},
	{"{\"kernel\": {\"kernel\": \"x\"}}", "vm.json: kernel must be a string, not an object"},
	{"{\"timeout\": 1e300}", "vm.json: timeout "},
	{"{\"timeout\": -0.0}", "vm.json: timeout "},
	{"{\"hardware\": \"dtb\"}", "vm.json: hardware \"dtb\" is none of auto, acpi and fdt"},
	{"{\"hardware\": 1}", "vm.json: hardware must be a string, not a number"},
	{"{\"console\": \"tty\"}", "vm.json: console \"tty\" is none of"},
	{"{\"console\": {}}", "vm.json: console must be a string, not an object"},
	{"{\"append\": [5]}", "vm.json: append must be a string, not a number"},
	{"{\"append\": [{}]}", "vm.json: append must be a string, not an object"},
	{"{\"kernel\": [\"a\"]}", "vm.json: kernel must be a string, not an array"},
	{"{\"disk\": 5}", "vm.json: disk must be an array of objects, not a number"},
	{"{\"disk\": [5]}", "vm.json: disk must be an array of objects, not a number"},
	{"{\"disk\": [[]]}", "vm.json: disk must be an array of objects, not an array"},
	{"{\"disk\": [{\"file\": \"a\"}, {\"ro\": true}]}",
	 "vm.json: disk[1]: the file is missing"},
	{"{\"disk\": [{\"file\": \"a\", \"ro\": 1}]}",
	 "vm.json: disk[0]: ro must be true or false, not a number"},
	{"{\"disk\": [{\"file\": \"a\", \"serail\": \"x\"}]}",
	 "vm.json: disk[0]: unknown setting \"serail\"; did you mean \"serial\"?"},
	{"{\"net\": {\"mtu\": 0}}", "vm.json: net[0]: mtu is from 1280 to 65521, not 0"},
	{"{\"net\": {\"kind\": \"tap\", \"fd\": 7.5}}",
	 "vm.json: net[0]: fd must be a number or a string, not a fraction"},
	{"{\"net\": {\"bps\": true}}", "bps must be a number or a string, not true or false"},
	{"{\"disk\": [\"a,serail=x\"]}", "unknown setting serail; did you mean serial?"},
	{"{\"disk\": [0,1,2,3,4,5,6,7,8,9,10,11,12]}", "disk must be an array of objects"},
	{"{\"disk\": [\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
	 "\"12\"]}",
	 "vm.json: disk is given too often: at most 12 times"},
};

/* Also where the command line's text is more than a number can be ("10M"), or the field a text. */
START_TEST(numbers_may_be_numbers)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_msg(!load("{\"net\": [{\"kind\": \"tap\", \"fd\": 7, \"bps\": 10000000},"
			    " {\"kind\": \"tap\", \"fd\": \"8\", \"bps\": \"10M\"}]}",
			    &config, &e),
		      "%s", e.text);
	ck_assert_str_eq(config.nets[0].fd, "7");
	ck_assert_str_eq(config.nets[0].bps, "10000000");
	ck_assert_str_eq(config.nets[1].fd, "8");
	ck_assert_str_eq(config.nets[1].bps, "10M");
	machine_config_free(&config);
}
END_TEST

START_TEST(what_may_be_repeated_may_be_an_array)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_int_eq(load("{\"net\": {\"kind\": \"user\", \"hostfwd\": [\"tcp::1-:2\","
			      " \"udp::3-:4\"]}, \"append\": [\"a\", \"b\"]}",
			      &config, &e),
			 0);
	ck_assert_str_eq(config.nets[0].forwards, "tcp::1-:2 udp::3-:4");
	ck_assert_str_eq(config.append, "a b");
	machine_config_free(&config);
}
END_TEST

START_TEST(a_network_of_no_kind_is_the_users_own)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_int_eq(load("{\"net\": [{}, {\"mtu\": 1500}, \"restrict\"]}", &config, &e), 0);
	ck_assert_uint_eq(config.net_count, 3);
	ck_assert_str_eq(config.nets[0].kind, "user");
	ck_assert_str_eq(config.nets[1].kind, "user");
	ck_assert_str_eq(config.nets[2].kind, "user");
	machine_config_free(&config);
}
END_TEST

START_TEST(files_that_are_refused)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_msg(load(refused[_i].text, &config, &e) < 0, "%s", refused[_i].text);
	check_sentence(&e);
	ck_assert_msg(strstr(e.text, refused[_i].says) != NULL, "%s: %s", refused[_i].text, e.text);
	machine_config_free(&config);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	static char text[200001];
	struct machine_config config;
	struct err e = {0};

	memset(text, '[', sizeof(text) - 1);
	memcpy(text, "{\"disk\":", 8);
	machine_config_init(&config);
	ck_assert_int_eq(load(text, &config, &e), -EINVAL);
	check_sentence(&e);
	machine_config_free(&config);
}
END_TEST

START_TEST(the_command_line_wins_whatever_the_order)
{
	static const char mine[] = "-c 4 -d mine -a mine";
	static const char text[] = "{\"kernel\": \"/k\", \"cpus\": 2, \"memory\": \"1G\","
				   " \"append\": \"theirs\", \"disk\": [\"/a\", \"/b\"]}";
	size_t i;

	for (i = 0; i < 2; i++) {
		struct machine_config config;
		struct err e = {0};
		char line[128];
		int fds[2];

		/* A pipe: a config file may come from a process. */
		ck_assert_int_eq(pipe(fds), 0);
		ck_assert_int_eq(fd_write_full(fds[1], text, strlen(text)), 0);
		fd_close(&fds[1]);
		snprintf(line, sizeof(line), "%s --config /proc/self/fd/%d %s", i ? mine : "",
			 fds[0], i ? "" : mine);
		machine_config_init(&config);
		ck_assert_msg(!parse_line(line, &config, &e), "%s", e.text);
		ck_assert_str_eq(config.kernel, "/k");
		ck_assert_uint_eq(config.cpus, 4);
		ck_assert_uint_eq(config.memory_bytes, GIB(1));
		ck_assert_str_eq(config.append, "mine");
		ck_assert_uint_eq(config.disk_count, 1);
		ck_assert_str_eq(config.disks[0].path, "mine");
		machine_config_free(&config);
		fd_close(&fds[0]);
	}
}
END_TEST

START_TEST(what_follows_the_dashes_is_added_to_the_file)
{
	static const char text[] = "{\"kernel\": \"/k\", \"append\": \"theirs\"}";
	struct machine_config config;
	struct err e = {0};
	char line[128];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fd_write_full(fds[1], text, strlen(text)), 0);
	fd_close(&fds[1]);
	snprintf(line, sizeof(line), "--config /dev/fd/%d -- mine", fds[0]);
	machine_config_init(&config);
	ck_assert_msg(!parse_line(line, &config, &e), "%s", e.text);
	ck_assert_str_eq(config.append, "theirs mine");
	machine_config_free(&config);
	fd_close(&fds[0]);
}
END_TEST

START_TEST(endless_files_are_refused)
{
	struct machine_config config;
	struct err e = {0};

	machine_config_init(&config);
	ck_assert_int_eq(option_load_file(&machine_options, &config, "/dev/zero", &e), -EFBIG);
	ck_assert_str_eq(e.text, "the config file /dev/zero is longer than 1 MiB");
	machine_config_free(&config);
}
END_TEST

/* A text of letters that JSON, commas and UTF-8 make interesting; never empty. */
static void random_text(uint64_t *state, char text[24])
{
	static const char *const letters[] = {"a", ",",        "\"", "\\", "/",           "=",
					      " ", "\xc3\xa9", "{",  "0",  "\xe2\x82\xac"};
	size_t n = 1 + unit_random(state) % 6;

	text[0] = '\0';
	while (n--)
		strcat(text, letters[unit_random(state) % ARRAY_SIZE(letters)]);
}

static char *random_string(uint64_t *state)
{
	/* An absolute path, so that it means the same from every folder. */
	char text[32] = "/";

	random_text(state, text + 1);
	return strdup(text);
}

static void random_config(uint64_t *state, struct machine_config *config)
{
	unsigned i;

	machine_config_init(config);
	config->kernel = random_string(state);
	if (unit_random(state) % 2)
		config->append = random_string(state);
	config->cpus = (unsigned)unit_random(state);
	config->memory_bytes = unit_random(state) >> (unit_random(state) % 64);
	config->timeout_ns =
		unit_random(state) % 3 ? unit_random(state) % 1000000000000000000ull : 0;
	config->hardware = (enum hardware)(unit_random(state) % 3);
	config->console.kind = unit_random(state) % 2 ? CHR_UNIX : CHR_PTY;
	if (config->console.kind == CHR_UNIX)
		config->console.path = random_string(state);
	config->disk_count = (unsigned)(unit_random(state) % (MACHINE_DISKS_MAX + 1));
	for (i = 0; i < config->disk_count; i++) {
		config->disks[i].path = random_string(state);
		config->disks[i].read_only = unit_random(state) % 2;
		config->disks[i].direct = unit_random(state) % 2;
		if (unit_random(state) % 2)
			config->disks[i].serial = random_string(state);
	}
}

START_TEST(settings_to_json_and_back_are_the_same)
{
	uint64_t state = unit_seed();
	int i;

	for (i = 0; i < 1000; i++) {
		struct machine_config config, back;
		char *text, *again;
		struct err e = {0};
		unsigned d;

		random_config(&state, &config);
		text = save(&config);
		machine_config_init(&back);
		ck_assert_msg(!load(text, &back, &e), "%s\n%s", e.text, text);
		ck_assert_str_eq(back.kernel, config.kernel);
		ck_assert_uint_eq(back.cpus, config.cpus);
		ck_assert_uint_eq(back.memory_bytes, config.memory_bytes);
		ck_assert_uint_eq(back.timeout_ns, config.timeout_ns);
		ck_assert_int_eq(back.hardware, config.hardware);
		ck_assert_int_eq(back.console.kind, config.console.kind);
		ck_assert_uint_eq(back.disk_count, config.disk_count);
		for (d = 0; d < config.disk_count; d++) {
			ck_assert_str_eq(back.disks[d].path, config.disks[d].path);
			ck_assert_int_eq(back.disks[d].read_only, config.disks[d].read_only);
			ck_assert_int_eq(back.disks[d].direct, config.disks[d].direct);
			ck_assert_int_eq(!back.disks[d].serial, !config.disks[d].serial);
		}
		again = save(&back);
		ck_assert_str_eq(again, text);
		free(text);
		free(again);
		machine_config_free(&config);
		machine_config_free(&back);
	}
}
END_TEST

START_TEST(texts_that_json_cannot_hold_are_an_error)
{
	struct machine_config config;
	struct strbuf text = {0};
	struct err e = {0};

	machine_config_init(&config);
	config.kernel = strdup("a\xff");
	ck_assert_int_eq(option_save_text(&machine_options, &config, &text, &e), -EINVAL);
	check_sentence(&e);
	strbuf_free(&text);
	machine_config_free(&config);
}
END_TEST

START_TEST(random_bytes_are_refused_with_a_sentence)
{
	static const char seed_text[] = "{\"kernel\": \"k\", \"cpus\": 2, \"disk\": [{\"file\": "
					"\"a\", \"ro\": true}], \"memory\": \"1G\"}";
	uint64_t state = unit_seed();
	int i;

	for (i = 0; i < 20000; i++) {
		char text[sizeof(seed_text)];
		size_t changes = 1 + unit_random(&state) % 4, len = strlen(seed_text);
		struct machine_config config;
		struct err e = {0};

		memcpy(text, seed_text, sizeof(text));
		while (changes--)
			text[unit_random(&state) % len] = (char)unit_random(&state);
		machine_config_init(&config);
		if (option_load_text(&machine_options, &config, text, len, &file_origin, &e) < 0)
			check_sentence(&e);
		machine_config_free(&config);
	}
}
END_TEST

TCase *case_json(void)
{
	TCase *c = tcase_create("json");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_file_says_what_the_command_line_would);
	tcase_add_test(c, numbers_may_be_texts_and_one_disk_needs_no_array);
	tcase_add_test(c, numbers_may_be_numbers);
	tcase_add_test(c, what_may_be_repeated_may_be_an_array);
	tcase_add_test(c, a_network_of_no_kind_is_the_users_own);
	tcase_add_loop_test(c, files_that_are_refused, 0, ARRAY_SIZE(refused));
	tcase_add_test(c, deep_nesting_is_refused);
	tcase_add_test(c, the_command_line_wins_whatever_the_order);
	tcase_add_test(c, what_follows_the_dashes_is_added_to_the_file);
	tcase_add_test(c, endless_files_are_refused);
	tcase_add_test(c, settings_to_json_and_back_are_the_same);
	tcase_add_test(c, texts_that_json_cannot_hold_are_an_error);
	tcase_add_test(c, random_bytes_are_refused_with_a_sentence);
	return c;
}
