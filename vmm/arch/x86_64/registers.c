/*
 * The boot vCPU's registers at the kernel's entry; the others wait for INIT and SIPI, as KVM makes
 * them.
 *
 * 64-bit entry (Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol"): long mode, the
 * first 4 GiB mapped one to one, CS = __BOOT_CS (0x10), DS = ES = SS = __BOOT_DS (0x18), RSI = zero
 * page. PVH entry (Xen, docs/misc/pvh.pandoc, "x86/HVM direct boot ABI"): 32-bit protected mode
 * without paging, flat segments, EBX = start info.
 */
#include <assert.h>
#include <string.h>

#include "base/util.h"
#include "boot/x86_layout.h"
#include "x86.h"

#define CR0_PE          0x1u
#define CR0_ET          0x10u
#define CR0_PG          0x80000000u
#define CR4_PAE         0x20u
#define EFER_LME        0x100u
#define EFER_LMA        0x400u
#define RFLAGS_RESERVED 0x2u

#define PTE_PRESENT 0x1u
#define PTE_WRITE   0x2u
#define PTE_HUGE    0x80u

/* One table, one table, four page directories. */
#define PML4_GPA X86_PAGE_TABLES_GPA
#define PDPT_GPA (PML4_GPA + 0x1000)
#define PD_GPA   (PDPT_GPA + 0x1000)
static_assert(PD_GPA + 4 * 0x1000 <= X86_PAGE_TABLES_END, "the page tables fit their place");

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20

#define TYPE_CODE 0xb /* execute, read, accessed */
#define TYPE_DATA 0x3 /* read, write, accessed */
#define TYPE_TSS  0xb /* busy */

#define APIC_LVT0        0x350
#define APIC_LVT1        0x360
#define APIC_MODE_EXTINT 0x700u
#define APIC_MODE_NMI    0x400u

static struct kvm_segment flat_segment(unsigned type, uint16_t selector, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = (uint8_t)type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = long_mode,
		.db = !long_mode,
	};
}

/* A segment descriptor as it stands in the GDT (Intel SDM volume 3A, 3.4.5). */
static uint64_t descriptor(const struct kvm_segment *s)
{
	uint64_t limit = s->g ? s->limit >> 12 : s->limit;
	uint64_t flags = (uint64_t)s->type | (uint64_t)s->s << 4 | (uint64_t)s->dpl << 5 |
			 (uint64_t)s->present << 7 | (uint64_t)s->avl << 12 | (uint64_t)s->l << 13 |
			 (uint64_t)s->db << 14 | (uint64_t)s->g << 15;

	return (limit & 0xffff) | (s->base & 0xffffff) << 16 | flags << 40 |
	       ((limit >> 16) & 0xf) << 48 | (s->base >> 24 & 0xff) << 56;
}

static struct kvm_segment tss_segment(void)
{
	return (struct kvm_segment){
		.limit = 0x67,
		.selector = SELECTOR_TSS,
		.type = TYPE_TSS,
		.present = 1,
	};
}

int x86_write_boot_tables(const struct gmem *mem, struct err *e)
{
	struct kvm_segment code = flat_segment(TYPE_CODE, SELECTOR_CODE, true);
	struct kvm_segment data = flat_segment(TYPE_DATA, SELECTOR_DATA, false);
	struct kvm_segment tss = tss_segment();
	uint64_t gdt[6] = {0, 0, descriptor(&code), descriptor(&data), descriptor(&tss), 0};
	uint64_t table[512] = {PTE_PRESENT | PTE_WRITE | PDPT_GPA};
	unsigned i, gib;
	int ret;

	ret = gmem_write(mem, X86_GDT_GPA, gdt, sizeof(gdt));
	if (!ret)
		ret = gmem_write(mem, PML4_GPA, table, sizeof(table));
	memset(table, 0, sizeof(table));
	for (gib = 0; gib < 4; gib++)
		table[gib] = PTE_PRESENT | PTE_WRITE | (PD_GPA + gib * 0x1000ull);
	if (!ret)
		ret = gmem_write(mem, PDPT_GPA, table, sizeof(table));
	for (gib = 0; gib < 4 && !ret; gib++) {
		for (i = 0; i < 512; i++)
			table[i] = PTE_PRESENT | PTE_WRITE | PTE_HUGE | (gib * GIB(1) + i * MIB(2));
		ret = gmem_write(mem, PD_GPA + gib * 0x1000ull, table, sizeof(table));
	}
	return ret < 0 ? err_set(e, -ret, "the guest has no memory for the tables it boots with")
		       : 0;
}

static void set_entry_long64(struct kvm_sregs *sregs)
{
	sregs->cs = flat_segment(TYPE_CODE, SELECTOR_CODE, true);
	sregs->cr3 = PML4_GPA;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
	sregs->cr0 = CR0_PE | CR0_ET | CR0_PG;
}

static void set_entry_pvh32(struct kvm_sregs *sregs)
{
	sregs->cs = flat_segment(TYPE_CODE, SELECTOR_CODE, false);
	sregs->cr0 = CR0_PE | CR0_ET;
}

static int set_boot_registers(const struct arch_vm *vm, const struct vcpu *vcpu)
{
	struct kvm_segment data = flat_segment(TYPE_DATA, SELECTOR_DATA, false);
	struct kvm_regs regs = {.rflags = RFLAGS_RESERVED, .rip = vm->entry.entry_gpa};
	struct kvm_sregs sregs;
	int ret = vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);

	if (ret < 0)
		return ret;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = tss_segment();
	sregs.gdt.base = X86_GDT_GPA;
	sregs.gdt.limit = 6 * 8 - 1;
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	if (vm->entry.protocol == BOOT_LINUX64) {
		set_entry_long64(&sregs);
		regs.rsi = vm->entry.info_gpa;
	} else {
		set_entry_pvh32(&sregs);
		regs.rbx = vm->entry.info_gpa;
	}
	ret = vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	return ret < 0 ? ret : vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
}

/* LINT0 takes the PIC's output, LINT1 is the NMI: what firmware leaves (Intel MP 1.4, 3.6.2.2). */
static int set_local_apic(const struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	int ret = vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	uint32_t extint = APIC_MODE_EXTINT, nmi = APIC_MODE_NMI;

	if (ret < 0)
		return ret;
	memcpy(lapic.regs + APIC_LVT0, &extint, sizeof(extint));
	memcpy(lapic.regs + APIC_LVT1, &nmi, sizeof(nmi));
	return vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
}

int x86_registers_init(const struct arch_vm *vm, const struct vcpu *vcpu, struct err *e)
{
	int ret = set_local_apic(vcpu);

	if (ret >= 0 && vcpu->index == 0)
		ret = set_boot_registers(vm, vcpu);
	return ret < 0 ? err_errno(e, -ret, "KVM refuses the registers of vCPU %u", vcpu->index)
		       : 0;
}
