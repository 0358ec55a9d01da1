/*
 * The memory and registers that the x86_64 measurements start with: page tables, GDT, IDT and TSS
 * for 64-bit mode at CPL 0 and 3, and real mode. Intel SDM volume 3, chapters 3 to 6; AMD APM
 * volume 2.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "x86_64.h"

#define PTE_TABLE 0x27u /* present, writable, user, accessed */
#define PTE_LARGE 0xe7u /* the same, dirty, 2 MiB */

#define CR0_PE          (1u << 0)
#define CR0_MP          (1u << 1)
#define CR0_NE          (1u << 5)
#define CR0_PG          (1u << 31)
#define CR4_PAE         (1u << 5)
#define CR4_OSFXSR      (1u << 9)
#define CR4_OSXSAVE     (1u << 18)
#define EFER_SCE        (1u << 0)
#define EFER_LME        (1u << 8)
#define EFER_LMA        (1u << 10)
#define RFLAGS_FIXED    (1u << 1)
#define RFLAGS_IF       (1u << 9)
#define RFLAGS_IOPL     (3u << 12)
#define LEAF1_ECX_XSAVE (1u << 26)

#define TSS_BYTES     0x68u
#define TSS_IOBASE    0x66u
#define TSS_ALL_BYTES (TSS_BYTES + X86_OPEN_PORTS / 8 + 1)
#define IDT_VECTORS   32u
#define BREAKPOINT    3u

static_assert(X86_MMIO_BASE == TRIAL_MMIO_BASE && X86_END == TRIAL_END,
	      "told twice, once for assembly");
static_assert(X86_STACK3 <= TRIAL_MEMORY_BYTES, "the stacks lie in memory");

static void fill_page_tables(uint8_t *memory)
{
	put_le64(memory + X86_PML4, X86_PDPT | PTE_TABLE);
	put_le64(memory + X86_PDPT, X86_PD | PTE_TABLE);
	put_le64(memory + X86_PD, PTE_LARGE);
	put_le64(memory + X86_PD + 8, TRIAL_MMIO_BASE | PTE_LARGE);
}

static void fill_gate(uint8_t *memory, unsigned vector, const uint8_t *handler)
{
	uint64_t address = X86_CODE + (uint64_t)(handler - probe_code_begin);

	put_le64(memory + X86_IDT + vector * 16,
		 (address & 0xffff) | X86_KCODE << 16 | 0x8e00ull << 32 | (address >> 16) << 48);
}

static void fill_tss(uint8_t *memory)
{
	put_le64(memory + X86_TSS + 4, X86_STACK0);
	put_le16(memory + X86_TSS + TSS_IOBASE, TSS_BYTES);
	memory[X86_TSS + TSS_ALL_BYTES - 1] = 0xff;
	put_le64(memory + X86_GDT + X86_TR,
		 (TSS_ALL_BYTES - 1) | (uint64_t)X86_TSS << 16 | 0x89ull << 40);
}

void x86_fill_memory(const struct trial *t)
{
	uint8_t *memory = t->memory;

	fill_page_tables(memory);
	put_le64(memory + X86_GDT + X86_KCODE, 0x00af9b000000ffff);
	put_le64(memory + X86_GDT + X86_KDATA, 0x00cf93000000ffff);
	put_le64(memory + X86_GDT + X86_UBASE, 0x00cffb000000ffff);
	put_le64(memory + X86_GDT + X86_UDATA, 0x00cff3000000ffff);
	put_le64(memory + X86_GDT + X86_UCODE, 0x00affb000000ffff);
	fill_tss(memory);
	for (unsigned vector = 0; vector < IDT_VECTORS; vector++)
		fill_gate(memory, vector,
			  vector == BREAKPOINT ? probe_breakpoint : probe_exception);
	/* cppcheck-suppress comparePointers ; two labels of one piece of code */
	memcpy(memory + X86_CODE, probe_code_begin, (size_t)(probe_code_end - probe_code_begin));
}

uint32_t x86_cpuid_reg(const struct kvm_cpuid2 *cpuid, uint32_t leaf, unsigned reg)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
		const uint32_t regs[] = {entry->eax, entry->ebx, entry->ecx, entry->edx};

		if (entry->function == leaf && entry->index == 0)
			return regs[reg];
	}
	return 0;
}

static void set_real(struct kvm_sregs *s)
{
	s->cs.base = 0;
	s->cs.selector = 0;
}

static void set_long(struct kvm_sregs *s, unsigned cpl, bool has_xsave)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = cpl ? X86_UCODE | 3 : X86_KCODE,
		.type = 11,
		.present = 1,
		.dpl = (uint8_t)cpl,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = code;

	data.selector = cpl ? X86_UDATA | 3 : X86_KDATA;
	data.type = 3;
	data.l = 0;
	data.db = 1;
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = (struct kvm_segment){.base = X86_TSS,
				     .limit = TSS_ALL_BYTES - 1,
				     .selector = X86_TR,
				     .type = 11,
				     .present = 1};
	s->gdt = (struct kvm_dtable){.base = X86_GDT, .limit = X86_TR + 16 - 1};
	s->idt = (struct kvm_dtable){.base = X86_IDT, .limit = IDT_VECTORS * 16 - 1};
	s->cr0 = CR0_PE | CR0_MP | CR0_NE | CR0_PG;
	s->cr3 = X86_PML4;
	s->cr4 = CR4_PAE | CR4_OSFXSR | (has_xsave ? CR4_OSXSAVE : 0);
	s->efer = EFER_SCE | EFER_LME | EFER_LMA;
}

int x86_start(const struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid,
	      const struct x86_program *program)
{
	bool has_xsave = x86_cpuid_reg(cpuid, 1, 2) & LEAF1_ECX_XSAVE;
	struct kvm_sregs s;
	struct kvm_regs regs = {
		.rip = X86_CODE + (uint64_t)(program->code - probe_code_begin),
		.rcx = program->rcx,
		.rdx = program->rdx,
		.rsp = program->mode == X86_CPL3 ? X86_STACK3 : X86_STACK0,
		.rflags = RFLAGS_FIXED,
	};
	int ret = vcpu_ioctl(vcpu, KVM_GET_SREGS, &s);

	if (ret < 0)
		return ret;
	/* Back-ends that run CPL 3 natively do so only with interrupts enabled. */
	if (program->mode == X86_CPL3)
		regs.rflags |= RFLAGS_IF | RFLAGS_IOPL;
	if (program->mode == X86_REAL)
		set_real(&s);
	else
		set_long(&s, program->mode == X86_CPL3 ? 3 : 0, has_xsave);
	ret = vcpu_ioctl(vcpu, KVM_SET_SREGS, &s);
	return ret < 0 ? ret : vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
}
