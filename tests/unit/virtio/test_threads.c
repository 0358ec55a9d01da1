/*
 * Several vCPUs at a disk whose loop runs on a thread of its own: register accesses, I/O and resets
 * at the same time. What counts is that every thread comes to its end and that TSan and ASan see
 * nothing.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "tests.h"
#include "virtio/blk.h"

#define ROUNDS 60

static struct disk disk; /* the one that several threads access */
static struct guest *const g = &disk.g;

/* Plugs in a disk that polls for @poll_max_ns, on @thread. */
static struct fake_blk *plug(struct loop_thread *thread, uint64_t poll_max_ns)
{
	struct virtio_blk_settings settings = {.id = "disk0",
					       .queues = 2,
					       .poll_max_ns = poll_max_ns};
	struct fake_blk *fake = fake_blk_new(loop_thread_loop(thread), 1u << 20, 512);
	struct device *dev;

	fake->mode = FAKE_LATE;
	settings.blk = &fake->blk;
	ck_assert_int_eq(virtio_blk_new(&g->env, &g->place, &settings, &dev, NULL), 0);
	guest_plug(g, dev);
	return fake;
}

/* The loop's thread outlives the device, the device the guest. */
static void tear_down(struct loop_thread *thread)
{
	device_destroy(g->dev);
	loop_thread_free(thread);
	loop_free(g->loop);
	bus_free(g->bus);
	gmem_free(g->mem);
}

struct vcpu {
	pthread_t thread;
	uint64_t seed;
	_Atomic bool *stop;
};

/* Any access to anything but Status and the rings' addresses. */
static void *meddle(void *opaque)
{
	struct vcpu *cpu = opaque;

	while (!atomic_load(cpu->stop)) {
		uint64_t r = unit_random(&cpu->seed), reg = (r % 0x80) * 4;

		if (r >> 60 < 12)
			guest_reg(g, reg);
		else if (reg == VIRTIO_MMIO_QUEUE_NOTIFY || reg == VIRTIO_MMIO_INTERRUPT_ACK ||
			 reg == VIRTIO_MMIO_DEVICE_FEATURES_SEL)
			guest_set_reg(g, reg, (uint32_t)(r >> 32) % 4);
	}
	return NULL;
}

static void *keep_resetting(void *opaque)
{
	struct vcpu *cpu = opaque;

	while (!atomic_load(cpu->stop))
		guest_set_reg(g, VIRTIO_MMIO_STATUS, 0);
	return NULL;
}

/* Brings the disk up, offers reads, and resets with them in flight, over and over. */
static void io_and_resets(uint64_t *seed)
{
	unsigned round, i;

	for (round = 0; round < ROUNDS; round++) {
		g->brk = 0x1000;
		guest_bring_up(g, DISK_FEATURES, 2, 64);
		for (i = 0; i < unit_random(seed) % 20; i++) {
			struct disk_io io = disk_io_new(&disk, 512);

			disk_offer(&disk, i % 2, &io, VIRTIO_BLK_T_IN, i);
		}
		guest_set_reg(g, VIRTIO_MMIO_STATUS, 0);
		ck_assert_uint_eq(guest_reg(g, VIRTIO_MMIO_STATUS), 0);
	}
}

START_TEST(accesses_and_resets_from_several_threads)
{
	_Atomic bool stop = false;
	struct vcpu cpus[3];
	struct loop_thread *thread;
	uint64_t seed = unit_seed();
	unsigned i;

	guest_init(g);
	ck_assert_int_eq(loop_thread_new(&thread, "disk0", NULL), 0);
	plug(thread, _i ? 50000 : 0);
	for (i = 0; i < 3; i++) {
		cpus[i] = (struct vcpu){.seed = seed + i, .stop = &stop};
		ck_assert_int_eq(pthread_create(&cpus[i].thread, NULL, meddle, &cpus[i]), 0);
	}
	io_and_resets(&seed);
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++)
		pthread_join(cpus[i].thread, NULL);
	tear_down(thread);
}
END_TEST

/* One resets while another sets up: whatever comes of it, both go on. */
START_TEST(resets_against_set_up)
{
	_Atomic bool stop = false;
	struct vcpu cpu = {.seed = 1, .stop = &stop};
	struct loop_thread *thread;
	unsigned round;

	guest_init(g);
	ck_assert_int_eq(loop_thread_new(&thread, "disk0", NULL), 0);
	plug(thread, 0);
	ck_assert_int_eq(pthread_create(&cpu.thread, NULL, keep_resetting, &cpu), 0);
	for (round = 0; round < ROUNDS; round++) {
		guest_negotiate(g, DISK_FEATURES);
		guest_driver_ok(g);
		guest_kick(g, 0);
	}
	atomic_store(&stop, true);
	pthread_join(cpu.thread, NULL);
	guest_set_reg(g, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(guest_reg(g, VIRTIO_MMIO_STATUS), 0);
	tear_down(thread);
}
END_TEST

/* Each request waits for the one before: no notification may be lost on either side. */
START_TEST(no_wake_up_is_lost)
{
	struct loop_thread *thread;
	struct fake_blk *fake;
	struct disk_io io;
	uint32_t len;
	unsigned i;

	guest_init(g);
	ck_assert_int_eq(loop_thread_new(&thread, "disk0", NULL), 0);
	fake = plug(thread, _i ? 50000 : 0);
	fake->mode = FAKE_AT_ONCE;
	guest_bring_up(g, DISK_FEATURES, 2, 64);
	io = disk_io_new(&disk, 512);
	for (i = 0; i < 3000; i++) {
		unsigned irqs;

		guest_set_used_event(g, 0, (uint16_t)i);
		irqs = atomic_load(&g->irq.count);
		disk_offer(&disk, 0, &io, VIRTIO_BLK_T_IN, i % 100);
		while (atomic_load(&g->irq.count) == irqs)
			sched_yield();
		ck_assert_int_ge(guest_reap(g, 0, &len), 0);
		ck_assert_uint_eq(len, 513);
	}
	tear_down(thread);
}
END_TEST

/* The way a machine makes it: a raw image, opened on the disk's own thread. */
START_TEST(image_on_a_thread_of_its_own)
{
	char path[] = "/tmp/sarang-unit-XXXXXX";
	struct blk_options options = {.path = path};
	struct virtio_blk_settings settings = {.id = "disk0",
					       .options = &options,
					       .queues = 1,
					       .poll_max_ns = 20000};
	struct err e = {0};
	struct device *dev;
	struct disk_io io;
	int fd = mkstemp(path);
	char byte = 0;
	unsigned i;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	guest_init(g);
	ck_assert_msg(!virtio_blk_new(&g->env, &g->place, &settings, &dev, &e), "%s", e.text);
	guest_plug(g, dev);
	guest_bring_up(g, 0, 1, 64);
	io = disk_io_new(&disk, 4096);
	for (i = 0; i < 50; i++) {
		unsigned irqs = atomic_load(&g->irq.count);
		uint32_t len;

		memset(guest_at(g, io.data, 4096), (int)i + 1, 4096);
		disk_offer(&disk, 0, &io, VIRTIO_BLK_T_OUT, 8ull * i);
		while (atomic_load(&g->irq.count) == irqs)
			sched_yield();
		ck_assert_int_ge(guest_reap(g, 0, &len), 0);
		ck_assert_uint_eq(*(uint8_t *)guest_at(g, io.status, 1), VIRTIO_BLK_S_OK);
		ck_assert_int_eq(pread(fd, &byte, 1, 4096ll * i + 4095), 1);
		ck_assert_int_eq(byte, (int)i + 1);
	}
	disk_offer(&disk, 0, &io, VIRTIO_BLK_T_OUT, 0);
	guest_free(g);

	options.path = "/nonexistent/disk.raw";
	ck_assert_int_lt(virtio_blk_new(&g->env, &g->place, &settings, &dev, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/disk.raw"));
	close(fd);
	unlink(path);
}
END_TEST

TCase *thread_cases(void)
{
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 100);
	tcase_add_loop_test(tc, accesses_and_resets_from_several_threads, 0, 2);
	tcase_add_test(tc, resets_against_set_up);
	tcase_add_loop_test(tc, no_wake_up_is_lost, 0, 2);
	tcase_add_test(tc, image_on_a_thread_of_its_own);
	return tc;
}
