/* Who may have an image open together with whom: in one process, in two, and with QEMU's tools. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "image_case.h"

static int try_open(struct image_case *c, bool read_only, struct err *e)
{
	struct blk_options options = {.path = c->path, .read_only = read_only};
	struct blk *blk;
	int ret = blk_open(&options, c->loop, &blk, e);

	if (!ret)
		blk_close(blk);
	return ret;
}

/* A child that has the image open until it is killed; returns when it has. */
static pid_t start_holder(struct image_case *c, bool read_only, bool busy)
{
	struct blk_options options = {.path = c->path, .read_only = read_only};
	static unsigned char buf[65536];
	struct loop *loop;
	struct blk *blk;
	int ready[2];
	struct err e;
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (loop_new(&loop, &e) < 0 || blk_open(&options, loop, &blk, &e) < 0 ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		while (busy)
			blk_pwrite(blk, 0, buf, sizeof(buf));
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_holder(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(a_second_writer_is_refused_and_told_who_holds_it)
{
	char words[96], comm[32] = "";
	struct blk_info info;
	struct image_case c;
	struct err e = {0};
	FILE *f;
	pid_t pid;

	image_make(&c, MIB(1));
	pid = start_holder(&c, false, false);
	f = fopen("/proc/self/comm", "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(comm, sizeof(comm), f));
	fclose(f);
	comm[strcspn(comm, "\n")] = '\0';
	snprintf(words, sizeof(words), "process %d (%s) has it open for writing", (int)pid, comm);
	ck_assert_int_eq(try_open(&c, false, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, words) != NULL, "%s", e.text);
	ck_assert_int_eq(try_open(&c, true, &e), -EBUSY);
	ck_assert_int_eq(blk_probe(&(struct blk_options){.path = c.path}, &info, &e), -EBUSY);
	end_holder(pid);
	ck_assert_msg(try_open(&c, false, &e) == 0, "%s", e.text);
	image_free(&c);
}
END_TEST

START_TEST(readers_share_and_keep_writers_out)
{
	struct image_case c;
	struct err e = {0};
	pid_t pid;

	image_make(&c, MIB(1));
	pid = start_holder(&c, true, false);
	ck_assert_msg(try_open(&c, true, &e) == 0, "%s", e.text);
	ck_assert_int_eq(try_open(&c, false, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, "has it open") != NULL, "%s", e.text);
	ck_assert_msg(strstr(e.text, "for writing") == NULL, "%s", e.text);
	end_holder(pid);
	ck_assert_msg(try_open(&c, false, &e) == 0, "%s", e.text);
	image_free(&c);
}
END_TEST

START_TEST(an_image_given_twice_is_refused)
{
	struct image_case c;
	struct err e = {0};

	image_make(&c, MIB(1));
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(try_open(&c, false, &e), -EBUSY);
	ck_assert_msg(strstr(e.text, "given twice") != NULL, "%s", e.text);
	/* Closing what was refused has not taken the lock from the one that has it. */
	ck_assert_int_eq(try_open(&c, false, &e), -EBUSY);
	ck_assert_int_eq(blk_flush(c.blk), 0);
	image_close(&c);
	ck_assert_msg(try_open(&c, false, &e) == 0, "%s", e.text);
	image_free(&c);
}
END_TEST

START_TEST(a_probe_leaves_no_lock)
{
	struct blk_info info;
	struct image_case c;
	struct err e = {0};

	image_make(&c, MIB(1));
	ck_assert_int_eq(blk_probe(&(struct blk_options){.path = c.path}, &info, &e), 0);
	ck_assert_int_eq(try_open(&c, false, &e), 0);
	image_free(&c);
}
END_TEST

START_TEST(a_killed_writer_leaves_no_lock)
{
	struct image_case c;
	struct err e = {0};
	int i;

	image_make(&c, MIB(1));
	for (i = 0; i < 20; i++) {
		end_holder(start_holder(&c, false, true));
		ck_assert_msg(try_open(&c, false, &e) == 0, "round %d: %s", i, e.text);
	}
	image_free(&c);
}
END_TEST

static int qemu_write(struct image_case *c)
{
	char line[256];

	snprintf(line, sizeof(line), "qemu-io -f raw -c 'write 0 512' %s >/dev/null 2>&1", c->path);
	return system(line);
}

/* Reads all of it, and does not tolerate a writer meanwhile. */
static int qemu_copy(struct image_case *c)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "qemu-img convert -O raw -f raw %s %s.copy >/dev/null 2>&1 && rm %s.copy", c->path,
		 c->path, c->path);
	return system(line);
}

static bool have_qemu(void)
{
	return system("command -v qemu-io >/dev/null 2>&1") == 0;
}

START_TEST(qemu_refuses_what_is_open_here)
{
	struct image_case c;

	if (!have_qemu())
		return;
	image_make(&c, MIB(1));
	ck_assert_int_eq(qemu_write(&c), 0);
	ck_assert(image_open(&c, IMAGE_URING));
	ck_assert_int_ne(qemu_write(&c), 0);
	ck_assert_int_ne(qemu_copy(&c), 0);
	image_close(&c);
	ck_assert_int_eq(qemu_write(&c), 0);
	ck_assert_int_eq(qemu_copy(&c), 0);
	image_free(&c);
}
END_TEST

START_TEST(what_qemu_has_open_is_refused_here)
{
	struct image_case c;
	struct err e = {0};
	char line[128];
	FILE *qemu;
	int tries;

	if (!have_qemu())
		return;
	image_make(&c, MIB(1));
	snprintf(line, sizeof(line), "exec qemu-io -f raw %s >/dev/null 2>&1", c.path);
	qemu = popen(line, "we");
	ck_assert_ptr_nonnull(qemu);
	/* It is open as soon as it refuses; the time-out of the test ends the waiting. */
	for (tries = 0; try_open(&c, false, &e) == 0; tries++)
		usleep(10000);
	ck_assert_msg(strstr(e.text, "(qemu-io) has it open for writing") != NULL, "%s", e.text);
	ck_assert_int_eq(try_open(&c, true, &e), -EBUSY);
	pclose(qemu);
	ck_assert_msg(try_open(&c, false, &e) == 0, "%s", e.text);
	image_free(&c);
}
END_TEST

TCase *lock_case(void)
{
	TCase *tc = tcase_create("lock");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_second_writer_is_refused_and_told_who_holds_it);
	tcase_add_test(tc, readers_share_and_keep_writers_out);
	tcase_add_loop_test(tc, an_image_given_twice_is_refused, 0, 2);
	tcase_add_test(tc, a_probe_leaves_no_lock);
	tcase_add_test(tc, a_killed_writer_leaves_no_lock);
	tcase_add_test(tc, qemu_refuses_what_is_open_here);
	tcase_add_test(tc, what_qemu_has_open_is_refused_here);
	return tc;
}
