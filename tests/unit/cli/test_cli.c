/* The command line: tables of what is accepted and refused, and random ones. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "machine/network.h"
#include "suite.h"

int parse_words(char *const *words, struct machine_config *config, struct err *e)
{
	const struct option_table *const tables[] = {&machine_options, NULL};
	struct option_args args;
	int argc = 0, ret;

	while (words[argc])
		argc++;
	ret = option_scan(tables, argc, words, &args, e);
	if (ret < 0)
		return ret;
	ret = machine_options_apply(&args, config, e);
	option_args_free(&args);
	return ret;
}

int parse_line(const char *line, struct machine_config *config, struct err *e)
{
	char *copy = strdup(line), *words[64], *save = NULL, *word, *p;
	int count = 0, ret;

	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		for (p = word; *p; p++)
			if (*p == '~')
				*p = ' ';
		ck_assert_int_lt(count, 63);
		words[count++] = word;
	}
	words[count] = NULL;
	ret = parse_words(words, config, e);
	free(copy);
	return ret;
}

void check_sentence(const struct err *e)
{
	const char *p;

	ck_assert_int_lt(e->code, 0);
	ck_assert_uint_gt(strlen(e->text), 8);
	for (p = e->text; *p; p++)
		ck_assert((unsigned char)*p >= 0x20 && *p != 0x7f);
}

/* What a line gives, as the JSON of the settings it made without blanks between tokens. */
static char *settings_of(const struct machine_config *config)
{
	struct strbuf text = {0};
	size_t from, to;

	ck_assert_int_eq(option_save_text(&machine_options, config, &text, NULL), 0);
	for (from = to = 0; from < text.len; from++)
		if (text.data[from] != '\n' &&
		    !(text.data[from] == ' ' &&
		      (!to || strchr("{,:[}", text.data[to - 1]) || text.data[from + 1] == ' ' ||
		       strchr("}]", text.data[from + 1]))))
			text.data[to++] = text.data[from];
	text.data[to] = '\0';
	return text.data;
}

/* The line, and what must stand in its settings. */
static const struct {
	const char *line;
	const char *holds;
} accepted[] = {
	{"-k vmlinuz",
	 "\"kernel\":\"vmlinuz\",\"cpus\":1,\"memory\":\"512M\",\"hardware\":\"auto\""},
	{"-kvmlinuz", "\"kernel\":\"vmlinuz\""},
	{"--kernel=vmlinuz", "\"kernel\":\"vmlinuz\""},
	{"--kernel vmlinuz", "\"kernel\":\"vmlinuz\""},
	{"--kernel=a=b", "\"kernel\":\"a=b\""},
	{"-k --initrd", "\"kernel\":\"--initrd\""},
	{"-k a -k b", "\"kernel\":\"b\""},
	{"-k k -c 4", "\"cpus\":4"},
	{"-k k -c4 --cpus=007", "\"cpus\":7"},
	{"-k k -m 512", "\"memory\":\"512M\""},
	{"-k k -m 4G", "\"memory\":\"4G\""},
	{"-k k -m 1.5g", "\"memory\":\"1536M\""},
	{"-k k -m 64T", "\"memory\":\"64T\""},
	{"-k k -m 5000001B", "\"memory\":\"4928K\""},
	{"-k k -a a~b -a c", "\"append\":\"a b c\""},
	{"-k k -a a -- b c=d -e", "\"append\":\"a b c=d -e\""},
	{"-k k -- b", "\"append\":\"b\""},
	{"-k k -d r", "[{\"file\":\"r\",\"ro\":false,\"direct\":false,\"ephemeral\":false}"},
	{"-k k -d r,ro,serial=a~b,direct,format=raw",
	 "[{\"file\":\"r\",\"format\":\"raw\",\"ro\":true,\"serial\":\"a "
	 "b\",\"direct\":true,\"ephemeral\":false}"},
	{"-k k -d r,ro=on,ro=off", "\"ro\":false"},
	{"-k k -d a,,b.raw,serial=x,,y", "\"file\":\"a,b.raw\",\"ro\":false,\"serial\":\"x,y\""},
	{"-k k -d a,,,ro", "\"file\":\"a,\",\"ro\":true"},
	{"-k k -d a=b.raw", "\"file\":\"a=b.raw\""},
	{"-k k -d a,ro -d a,ro", "\"ephemeral\":false},{\"file\":\"a\""},
	{"-k k -d a,iops=500,iops-max=2000,bps=20M,bps-max=1G",
	 "\"iops\":500,\"iops-max\":2000,\"bps\":\"20M\",\"bps-max\":\"1G\""},
	{"-k k --console pty", "\"console\":\"pty\""},
	{"-k k --console file=/x", "\"console\":\"file=/x\""},
	{"-k k --console unix=a=b", "\"console\":\"unix=a=b\""},
	{"-k k --console unix=a --console none", "\"console\":\"none\""},
	{"-k k --hardware fdt", "\"hardware\":\"fdt\""},
	{"-k k --hardware acpi", "\"hardware\":\"acpi\""},
	{"-k k --hardware=acpi --hardware=auto", "\"hardware\":\"auto\""},
	{"-k k --timeout 5", "\"timeout\":\"5.000000000\""},
	{"-k k --timeout 0.25", "\"timeout\":\"0.250000000\""},
	{"-k k --timeout 0.0000000019", "\"timeout\":\"0.000000001\""},
	{"-k k --name a.b_c-1", "\"name\":\"a.b_c-1\""},
	{"-k /boot/vmlinuz-6.1.0-9", "\"name\":\"vmlinuz-6.1.0-9\""},
	{"-k k -d /i/debian~12.raw", "\"name\":\"debian-12\""},
	{"-k k -d /i/.hidden.img", "\"name\":\"hidden\""},
	{"-k /-/--", "\"name\":\"guest\""},
	{"-k k --dump-acpi d --dump-dtb f", "\"dump-acpi\":\"d\",\"dump-dtb\":\"f\""},
	{"-k k --console file=/dev/null --dump-dtb /dev/null", "/dev/null"},
};

START_TEST(lines_that_are_accepted)
{
	const char *line = accepted[_i].line;
	struct machine_config config;
	struct err e = {0};
	char *settings;

	machine_config_init(&config);
	ck_assert_msg(!parse_line(line, &config, &e), "%s: %s", line, e.text);
	settings = settings_of(&config);
	ck_assert_msg(strstr(settings, accepted[_i].holds) != NULL, "%s: %s", line, settings);
	free(settings);
	machine_config_free(&config);
}
END_TEST

/* The line, and what the sentence must say. */
static const struct {
	const char *line;
	const char *says;
} refused[] = {
	{"", "no kernel given: use --kernel FILE"},
	{"--memroy 1G", "unknown option --memroy; did you mean --memory?"},
	{"--mem 1G", "unknown option --mem"},
	{"--memory", "option --memory needs an argument: --memory SIZE"},
	{"-m", "option --memory needs an argument: --memory SIZE"},
	{"-d", "--disk FILE[,format=raw|qcow2][,ro]"},
	{"-z", "unknown option -z"},
	{"--xyzzy", "unknown option --xyzzy"},
	{"--=x", "unknown option --"},
	{"-k k -c 0", "--cpus is from 1 to 4096"},
	{"-k k -c 100000", "a guest cannot have 100000 vCPUs"},
	{"-k k -c -1", "--cpus takes a whole number, not \"-1\""},
	{"-k k -c 1.5", "--cpus takes a whole number, not \"1.5\""},
	{"-k k -c 4294967296", "--cpus 4294967296 is too large"},
	{"-k k -c 99999999999999999999999", "is too large"},
	{"-k k --cpus=", "--cpus takes a whole number, not \"\""},
	{"-k k -m 0", "a guest cannot have 0B of memory: --memory is at least 4M"},
	{"-k k -m 1M", "a guest cannot have 1M of memory: --memory is at least 4M"},
	{"-k k -m 4194303B", "--memory is at least 4M"},
	{"-k k -m 1P", "a guest cannot have 1P of memory: --memory is at most 64T"},
	{"-k k -m 99999P", "--memory 99999P is too large a size"},
	{"-k k -m lots", "--memory takes a size such as 512M or 4G, not \"lots\""},
	{"-k k --timeout 0", "--timeout 0 is no time"},
	{"-k k --timeout 0.0000000001", "is no time"},
	{"-k k --timeout -5", "--timeout takes seconds"},
	{"-k k --timeout 1e3", "--timeout takes seconds"},
	{"-k k --timeout 5.", "--timeout takes seconds"},
	{"-k k --timeout 99999999999", "too long"},
	{"-k k --hardware dtb", "--hardware \"dtb\" is none of auto, acpi and fdt"},
	{"-k k --hardware=", "--hardware \"\" is none of auto, acpi and fdt"},
	{"-k k --console tty", "none of stdio, none, pty, file=PATH and unix=PATH"},
	{"-k k --console stdoi", "did you mean stdio?"},
	{"-k k --console file", "--console file needs a path: file=PATH"},
	{"-k k --console unix=", "--console unix needs a path: unix=PATH"},
	{"-k k --console pty=x", "--console pty takes no path"},
	{"-k k -d r,formt=raw", "--disk r,formt=raw: unknown setting formt; did you mean format?"},
	{"-k k -d r,format=qcow3", "disk r: unknown format qcow3; known: raw, qcow2"},
	{"-k k -d r,backing=yes", "disk r: backing=yes means nothing; there is backing=ok"},
	{"-k k -d r,format", "--disk r,format: format needs a value: format=raw"},
	{"-k k -d r,ro=maybe", "ro is on or off, not maybe"},
	{"-k k -d r,", "a comma in a name is written as two"},
	{"-k k -d r,,", NULL}, /* a file called "r," */
	{"-k k -d r,b.raw", "a comma in a name is written as two"},
	{"-k k -d ,ro", "the file is missing"},
	{"-k k -d r,serial=", "a serial number has 1 to 20 characters"},
	{"-k k -d r,serial=123456789012345678901", "has 21"},
	{"-k k -d r,serial=\xc3\xa4", "not printable ASCII"},
	{"-k k -d r -d ./r", "--disk r is given twice"},
	{"-k k -d r -d r,ro", "--disk r is given twice"},
	{"-k k -d r -d r,ephemeral", "--disk r is given twice"},
	{"-k k -d r,on-error=stop", "disk r: on-error=stop means nothing; known: report, pause"},
	{"-k k -d r,iops-max=5", "disk r: iops-max says nothing without iops"},
	{"-k k -d r,bps=1M,bps-max=512K", "disk r: bps-max=524288 is less than bps=1048576"},
	{"-k k -d r,bps=2T", "--disk r,bps=2T: bps is from 1B to 1T, not 2T"},
	{"-k k -d r,bps=0", "bps is from 1B to 1T, not 0"},
	{"-k k -d r,bps=1,bps-max=0", "bps-max is from 1B to 1T, not 0"},
	{"-k k -d r,iops=0", "iops is from 1 to 4294967295, not 0"},
	{"-k k -d r,iops=1,iops-max=0", "iops-max is from 1 to 4294967295, not 0"},
	{"-k k -d r,ro,ephemeral", "ro and ephemeral contradict each other"},
	{"-k k -d r --console file=.//r", "--console and --disk are the same file, .//r"},
	{"-k k --dump-dtb k", "--kernel and --dump-dtb are the same file, k"},
	{"-k k -i /a/b --dump-dtb /a/./b", "--initrd and --dump-dtb are the same file"},
	{"-k k --console file=o --dump-dtb o", "--console and --dump-dtb are the same file"},
	{"-k k --kernel=", "--kernel needs a file, not an empty name"},
	{"-k k --dump-acpi=", "--dump-acpi needs a folder, not an empty name"},
	{"-k k --name -x", "a name starts with a letter or a digit"},
	{"-k k --name a/b", "a name starts with a letter or a digit"},
	{"-k k --name=", "--name has 1 to 63 characters, not 0"},
	{"-k k -a a\nb", "control character 0x0a at byte 1"},
	{"-k k -- a b\x01", "control character 0x01 at byte 3"},
	{"-k k -n usr", "--net usr: unknown kind of network; known: user, tap, passt, none"},
	{"-k k -n user,hostfd=x", "unknown setting hostfd; did you mean hostfwd?"},
	{"-k k --net=", "the kind is missing"},
	{"-k k -n mtu", "mtu needs a value: mtu=BYTES"},
	{"-k k -n mtu=5", "--net mtu=5: mtu is from 1280 to 65521, not 5"},
	{"-k k -n passt,mtu=65522", "mtu is from 1280 to 65521, not 65522"},
	{"-k k -n mtu=0", "mtu is from 1280 to 65521, not 0"},
	{"-k k -n pps=0", "pps is from 1 to 4294967295, not 0"},
	{"-k k -n bps=0", "bps=0 is not a number of bits a second, from 1k to 10T"},
	{"-k k -n tap,ifname=t,queues=0", "queues is from 1 to 4, not 0"},
	{"-k k -n tap,ifname=t,queues=5", "queues is from 1 to 4, not 5"},
	{"-k k -n user,hostfwd=", "--net user: hostfwd= is empty"},
	{"-k k -n tap,ifname=", "--net tap: ifname= is empty"},
	{"-k k -n passt,path=", "--net passt: path= is empty"},
	{"-k k -n user,mac=", "--net user: mac= is empty"},
	{"-k k -n none,bps=1M", "--net none: bps= means nothing"},
	{"-k k -n none,pps=1", "--net none: pps= means nothing"},
	{"-k k -n user,hostfwd=tcp::1-192.168.1.5:22", "leads to 192.168.1.5:22, but the guest's"},
	{"-k k -n user,hostfwd=tcp::1-:1,hostfwd=tcp:0.0.0.0:1-:2", "TCP port 0.0.0.0:1 of the"},
	{"-k k -n user,hostfwd=udp::1-:1 -n user,hostfwd=udp::1-:2",
	 "--net: hostfwd= asks for UDP port 127.0.0.1:1 of the host twice"},
	{"-k k -n tap,ifname=a -n tap,ifname=a", "--net: two cards have ifname=a"},
	{"-k k -n passt,path=p -n passt,path=p", "--net: two cards have path=p"},
	{"-k k -n tap,fd=3 -n user -n tap,fd=03", "--net: two cards have fd=03"},
	{"-k k -n user,mac=52:54:00:00:00:0a -n user,mac=52:54:00:00:00:0A",
	 "--net: two cards have the MAC address 52:54:00:00:00:0A"},
	{"-k k -n user,hostfwd=tcp::1-10.0.2.99:1,hostfwd=udp::1-:1,hostfwd=tcp::2-:1 -n user",
	 NULL},
	{"-k k -d r -n user --pcap ./r", "--pcap and --disk are the same file"},
	{"--config /nowhere/x.json", "cannot open the config file /nowhere/x.json: No such file"},
	{"--config /", "cannot read the config file /: Is a directory"},
};

START_TEST(lines_that_are_refused)
{
	struct machine_config config;
	struct err e = {0};
	int ret;

	machine_config_init(&config);
	ret = parse_line(refused[_i].line, &config, &e);
	if (refused[_i].says) {
		ck_assert_msg(ret < 0, "%s was accepted", refused[_i].line);
		check_sentence(&e);
		ck_assert_msg(strstr(e.text, refused[_i].says) != NULL, "%s: %s", refused[_i].line,
			      e.text);
	} else {
		ck_assert_int_eq(ret, 0);
	}
	machine_config_free(&config);
}
END_TEST

/* What `inspect` says of a card. */
static const struct {
	const char *net, *says;
} described[] = {
	{"user", "user, @"},
	{"user,restrict,mtu=1500,bps=2.5G,pps=100",
	 "user, @, restricted, mtu 1500, 2.5G bit/s, 100 frames/s"},
	{"tap,ifname=tap0,queues=4,vhost", "tap tap0, @, 4 queues, vhost"},
	{"tap,fd=7,queues=1", "tap descriptor 7, @"},
	{"restrict", "user, @, restricted"},
	{"mtu=1500,restrict=off", "user, @, mtu 1500"},
	{"kind=passt", "passt, @"},
	{"passt", "passt, @"},
	{"passt,path=/run/p", "passt /run/p, @"},
};

START_TEST(cards_are_described)
{
	char line[128], text[MACHINE_NET_DETAIL_MAX];
	const char *says = described[_i].says, *at = strchr(says, '@');
	struct machine_config config;
	struct strbuf wanted = {0};
	struct err e = {0};

	snprintf(line, sizeof(line), "-k k -n %s,mac=52:54:00:00:00:01", described[_i].net);
	machine_config_init(&config);
	ck_assert_msg(!parse_line(line, &config, &e), "%s: %s", line, e.text);
	strbuf_addf(&wanted, "%.*s52:54:00:00:00:01%s", (int)(at - says), says, at + 1);
	ck_assert_str_eq(machine_net_detail(&config, 0, text), wanted.data);
	strbuf_free(&wanted);
	machine_config_free(&config);
}
END_TEST

START_TEST(as_many_disks_as_there_are_places)
{
	char line[1024] = "-k k";
	struct machine_config config;
	struct err e = {0};
	int i;

	for (i = 0; i < MACHINE_DISKS_MAX; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " -d d%d", i);
	machine_config_init(&config);
	ck_assert_int_eq(parse_line(line, &config, &e), 0);
	ck_assert_uint_eq(config.disk_count, MACHINE_DISKS_MAX);
	machine_config_free(&config);
	strcat(line, " -d more");
	machine_config_init(&config);
	ck_assert_int_lt(parse_line(line, &config, &e), 0);
	ck_assert_str_eq(e.text, "--disk is given too often: at most 12 times");
	machine_config_free(&config);
}
END_TEST

START_TEST(socket_paths_fit_their_address)
{
	char line[256], path[128];
	struct machine_config config;
	struct err e = {0};
	size_t len;

	for (len = 107; len <= 108; len++) {
		memset(path, 'p', len);
		path[len] = '\0';
		snprintf(line, sizeof(line), "-k k --console unix=%s", path);
		machine_config_init(&config);
		ck_assert_int_eq(parse_line(line, &config, &e), len == 107 ? 0 : -EINVAL);
		machine_config_free(&config);
	}
	ck_assert_ptr_nonnull(strstr(e.text, "at most 107 bytes"));
}
END_TEST

/* Doubles the commas, as the page on the command line says. */
static void add_escaped(struct strbuf *out, const char *text)
{
	for (; *text; text++)
		strbuf_add(out, *text == ',' ? ",," : text, *text == ',' ? 2 : 1);
}

START_TEST(any_file_name_can_be_written)
{
	static const char letters[] = "ab,=,./ ";
	uint64_t state = unit_seed();
	int i;

	for (i = 0; i < 5000; i++) {
		char file[12], serial[12], kernel[] = "-kk", disk[] = "-d";
		char *words[] = {kernel, disk, NULL, NULL};
		struct machine_config config;
		struct strbuf text = {0};
		struct err e = {0};
		size_t n = 1 + unit_random(&state) % 10, j;

		for (j = 0; j < n; j++) {
			file[j] = letters[unit_random(&state) % (sizeof(letters) - 1)];
			serial[j] = letters[unit_random(&state) % (sizeof(letters) - 1)];
		}
		file[n] = serial[n] = '\0';
		add_escaped(&text, file);
		strbuf_addstr(&text, ",serial=");
		add_escaped(&text, serial);
		words[2] = text.data;
		machine_config_init(&config);
		ck_assert_msg(!parse_words(words, &config, &e), "%s: %s", text.data, e.text);
		ck_assert_str_eq(config.disks[0].path, file);
		ck_assert_str_eq(config.disks[0].serial, serial);
		machine_config_free(&config);
		strbuf_free(&text);
	}
}
END_TEST

/* Words that look like options, with some of their letters changed. */
static void random_word(uint64_t *state, char word[64])
{
	static const char *const stems[] = {
		"-k",     "--kernel", "--memory=1G", "-m",     "512M",      "-d",
		"a,ro",   "--disk=",  "x,serial=y",  "--",     "--config",  "/dev/null",
		"-c2",    "--name",   "--console",   "file=o", "--timeout", "0.5",
		"-a",     "--append", "\xff\xfe",    "",       "-",         "--dump-acpi",
		"\n\x1b", "--=",      "a,,,b=c",     "-c",     "unix=s",    "--dump-dtb=f",
	};
	size_t changes = unit_random(state) % 3, len;

	snprintf(word, 64, "%s", stems[unit_random(state) % ARRAY_SIZE(stems)]);
	while (changes-- && (len = strlen(word)))
		word[unit_random(state) % len] = (char)(1 + unit_random(state) % 255);
}

START_TEST(random_lines_are_taken_or_refused_with_a_sentence)
{
	uint64_t state = unit_seed();
	char words[12][64], *argv[13];
	unsigned taken = 0;
	int i;

	for (i = 0; i < 30000; i++) {
		size_t count = unit_random(&state) % ARRAY_SIZE(words), j;
		struct machine_config config;
		struct err e = {0};

		for (j = 0; j < count; j++) {
			random_word(&state, words[j]);
			argv[j] = words[j];
		}
		argv[count] = NULL;
		machine_config_init(&config);
		if (parse_words(argv, &config, &e) < 0)
			check_sentence(&e);
		else
			taken++;
		machine_config_free(&config);
	}
	ck_assert_uint_gt(taken, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("cli");
	TCase *c = tcase_create("line");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, lines_that_are_accepted, 0, ARRAY_SIZE(accepted));
	tcase_add_loop_test(c, lines_that_are_refused, 0, ARRAY_SIZE(refused));
	tcase_add_loop_test(c, cards_are_described, 0, ARRAY_SIZE(described));
	tcase_add_test(c, as_many_disks_as_there_are_places);
	tcase_add_test(c, socket_paths_fit_their_address);
	tcase_add_test(c, any_file_name_can_be_written);
	tcase_add_test(c, random_lines_are_taken_or_refused_with_a_sentence);
	suite_add_tcase(suite, c);
	suite_add_tcase(suite, case_json());
	suite_add_tcase(suite, case_config());
	suite_add_tcase(suite, case_command());
	suite_add_tcase(suite, case_suggest());
	return suite;
}
