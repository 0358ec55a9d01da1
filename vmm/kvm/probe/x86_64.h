/* Between the files of the x86_64 measurements: the programs, and the state they start in. */
#ifndef SARANG_PROBE_X86_64_H
#define SARANG_PROBE_X86_64_H

/* Guest memory, TRIAL_MEMORY_BYTES of it. */
#define X86_PML4      0x1000
#define X86_PDPT      0x2000
#define X86_PD        0x3000
#define X86_GDT       0x4000
#define X86_IDT       0x5000
#define X86_TSS       0x6000 /* with the I/O bitmap of the ports below X86_OPEN_PORTS */
#define X86_CODE      0x8000 /* where x86_64_code.S is copied to */
#define X86_XSAVE     0xc000
#define X86_STACK0    0x1f000 /* tops */
#define X86_STACK3    0x20000
#define X86_FAULTED   0xbad    /* in RBX: an exception that should not have been */
#define X86_MMIO_BASE 0x200000 /* TRIAL_MMIO_BASE */
#define X86_END       0x200ff0 /* TRIAL_END */

#define X86_OPEN_PORTS 0x100

/* The GDT, in the order that SYSRET wants from STAR on (32-bit user code, user data, user code). */
#define X86_KCODE 0x08
#define X86_KDATA 0x10
#define X86_UBASE 0x18
#define X86_UDATA 0x20
#define X86_UCODE 0x28
#define X86_TR    0x30

#ifndef __ASSEMBLER__

#include "kvm/kvm.h"
#include "trial.h"

enum x86_mode { X86_REAL, X86_CPL0, X86_CPL3 };

/* A program in x86_64_code.S. */
struct x86_program {
	const uint8_t *code;
	enum x86_mode mode;
	uint64_t rcx, rdx; /* what it starts with */
};

extern const uint8_t probe_code_begin[], probe_code_end[], probe_exception[], probe_breakpoint[];

/* Writes tables and programs into the trial's memory. Once. */
void x86_fill_memory(const struct trial *t);

/* Puts @vcpu at the start of @program. 0 or -errno. */
int x86_start(const struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid,
	      const struct x86_program *program);

/* The bits of a leaf's register; none where the leaf is missing. @reg: 0 EAX to 3 EDX. */
uint32_t x86_cpuid_reg(const struct kvm_cpuid2 *cpuid, uint32_t leaf, unsigned reg);

#endif
#endif
