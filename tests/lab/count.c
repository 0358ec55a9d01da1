/*
 * Counts the instructions that an emulated machine executes, all processors and, nested in it, all
 * guests together: a plugin of QEMU's (7.2: docs/devel/tcg-plugins.rst, version 1 of the interface;
 * Debian has no header for it, so what is used of it is declared here).
 *
 *	-plugin count.so,out=FILE
 *
 * The program mark (mark.c), wherever in the machine it runs, executes an instruction that does
 * nothing and that nobody else uses. Each time, FILE gets a line with the count until then.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mark.h"

#define EXPORT   __attribute__((visibility("default")))
#define CPUS_MAX 64

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*translated)(uint64_t id,
							      struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*executes)(unsigned cpu, void *opaque), int flags,
					  void *opaque);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*executes)(unsigned cpu, void *opaque), int flags,
					    void *opaque);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

extern EXPORT int qemu_plugin_version;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv);

EXPORT int qemu_plugin_version = 1;

/* Each processor has a thread of its own, and writes its own line. */
static struct {
	uint64_t executed;
	uint8_t pad[56];
} cpus[CPUS_MAX];
static FILE *out;

static void block_executes(unsigned cpu, void *opaque)
{
	cpus[cpu % CPUS_MAX].executed += (uintptr_t)opaque;
}

static void mark_executes(unsigned cpu, void *opaque)
{
	uint64_t sum = 0;
	unsigned i;

	(void)cpu;
	(void)opaque;
	for (i = 0; i < CPUS_MAX; i++)
		sum += cpus[i].executed;
	fprintf(out, "%" PRIu64 "\n", sum);
	fflush(out);
}

static void block_translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	static const uint8_t mark[] = {MARK};
	size_t count = qemu_plugin_tb_n_insns(tb), i;

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_executes, 0, (void *)(uintptr_t)count);
	for (i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_size(insn) == sizeof(mark) &&
		    !memcmp(qemu_plugin_insn_data(insn), mark, sizeof(mark)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_executes, 0, NULL);
	}
}

int qemu_plugin_install(uint64_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	return 0;
}
