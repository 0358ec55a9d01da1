/*
 * From the PVH entry to a C function at CPL 3.
 *
 * A loader that knows PVH (Xen's "x86/HVM direct boot ABI") finds the note below in the ELF file and
 * enters at its address: 32-bit protected mode, flat segments, paging off, interrupts off, EBX = the
 * guest-physical address of struct hvm_start_info. From there:
 *
 *   1. GDT, page tables, EFER.LME, CR0.PG, far jump: 64-bit mode, every address below 4 GiB mapped
 *      to itself;
 *   2. IDT and TSS, so that a fault anywhere ends in a sentence on the serial port (fault.c);
 *   3. both PICs masked, kvmclock's time page switched on where KVM offers it;
 *   4. SYSEXIT to CPL 3 with IOPL 3 and interrupts enabled, then guest_start() in lib.c.
 *
 * Why leave CPL 0 at all: under some KVMs (software page-table back-ends without VMX or SVM) each
 * instruction at CPL 0 is emulated, at some 500 ns, and CPL 3 runs natively. That is why everything
 * that can be laid out by the assembler is (page tables, IDT, TSS), and why the code here is short.
 * At CPL 3 a guest still reaches MMIO, through page tables that let user mode in everywhere, and ports:
 * IOPL 3 would do on a processor, but the same KVMs forget IOPL, so the TSS has an I/O bitmap as well.
 */
#include "bare.h"

#define SEL_KCODE    0x08 /* these six in the order that SYSEXIT wants from SYSENTER_CS on */
#define SEL_TSS	     0x38
#define SEL_UCODE    (SEL_KCODE + 32)
#define SEL_UDATA    (SEL_KCODE + 40)
#define SEL_KDATA    (SEL_KCODE + 8)
#define RFLAGS_START 0x3202 /* IOPL 3, IF, and the bit that is always set */
#define OPEN_PORTS   0x800  /* ports below may be used at CPL 3, whatever IOPL says */

	.section .note.pvh, "a", @note
	.balign 4
	.long	4, 8, 18 /* name bytes, value bytes, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	start32

	.section .text.start, "ax"
	.code32
	.globl	start32
start32:
	cld
	lgdt	gdt_pointer
	movl	$0x20, %eax /* PAE */
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx /* EFER */
	rdmsr
	orl	$0x100, %eax /* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax /* PG */
	movl	%eax, %cr0
	ljmp	$SEL_KCODE, $start64

	.code64
start64:
	movl	$SEL_KDATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$stack0_top, %esp
	lidt	idt_pointer
	movl	$SEL_TSS, %eax
	ltr	%ax
	movl	%ebx, %edi /* guest_start's argument: CPUID overwrites EBX */

	movb	$0xff, %al /* mask both PICs: nothing here wants an interrupt */
	outb	%al, $0x21
	outb	%al, $0xa1

	movl	$0x40000000, %eax
	cpuid
	cmpl	$0x4b4d564b, %ebx /* "KVMK" of "KVMKVMKVM" */
	jne	1f
	movl	$0x40000001, %eax
	cpuid
	testl	$(1 << 3), %eax /* KVM_FEATURE_CLOCKSOURCE2 */
	jz	1f
	movl	$0x4b564d01, %ecx /* MSR_KVM_SYSTEM_TIME_NEW */
	movl	$kvmclock_page + 1, %eax
	xorl	%edx, %edx
	wrmsr
1:
	movl	$0x174, %ecx /* IA32_SYSENTER_CS */
	movl	$SEL_KCODE, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$enter_user, %edx
	movl	$stack3_top, %ecx
	pushq	$RFLAGS_START
	popfq
	.globl	leave_kernel
leave_kernel:
	sysexitq /* to RDX with RSP = RCX; AMD has no SYSEXIT in long mode: see undefined_opcode */

enter_user:
	xorl	%ebp, %ebp
	call	guest_start
	ud2

/*
 * The 32 exceptions. Each stub levels the stack (some push an error code, some do not) and adds the
 * vector. 16 bytes each, so that the IDT below can be laid out by the assembler.
 */
	.balign	16
stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	vector == 6
	jmp	undefined_opcode
	.else
	.ifeq	(vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	exception
	.endif
	.set	vector, vector + 1
	.endr

undefined_opcode: /* SYSEXIT where there is none: leave by IRETQ instead */
	cmpq	$leave_kernel, (%rsp)
	je	2f
	pushq	$0
	pushq	$6
exception: /* the frame is struct fault_frame of bare.h */
	movq	%rsp, %rdi
	andq	$-16, %rsp
	call	fault
2:
	movq	%rdx, (%rsp)
	movq	$SEL_UCODE | 3, 8(%rsp)
	movq	$RFLAGS_START, 16(%rsp)
	movq	%rcx, 24(%rsp)
	movq	$SEL_UDATA | 3, 32(%rsp)
	iretq

	.data
	.balign	16
gdt:
	.quad	0
	.quad	0x00af9b000000ffff /* 0x08 kernel code, 64-bit */
	.quad	0x00cf93000000ffff /* 0x10 kernel data */
	.quad	0x00cffb000000ffff /* 0x18 user code, 32-bit */
	.quad	0x00cff3000000ffff /* 0x20 user data */
	.quad	0x00affb000000ffff /* 0x28 user code, 64-bit */
	.quad	0x00cff3000000ffff /* 0x30 user data */
	/* 0x38 the TSS: its address must be split over the descriptor, LOAD_BASE is what is above 16 bits */
	.word	tss_end - tss - 1, tss - LOAD_BASE
	.byte	LOAD_BASE >> 16, 0x89, 0, 0
	.quad	0
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.balign	16
tss: /* says two things: which stack exceptions start on, and which ports are open to CPL 3 */
	.long	0
	.quad	stack0_top
	.fill	90, 1, 0
	.word	io_bitmap - tss
io_bitmap:
	.fill	OPEN_PORTS / 8, 1, 0
	.byte	0xff /* the processor reads two bytes at a time */
tss_end:

	.balign	16
idt:
	.set	vector, 0
	.rept	32
	.word	stubs - LOAD_BASE + vector * 16, SEL_KCODE, 0x8e00, LOAD_BASE >> 16
	.quad	0
	.set	vector, vector + 1
	.endr
idt_end:
idt_pointer:
	.word	idt_end - idt - 1
	.quad	idt

/*
 * Page tables: 4 GiB in 2 MiB pages, each to itself, writable, user mode allowed. Accessed and dirty
 * are set beforehand so that no processor, and no emulator, has to write them.
 */
#define PTE_TABLE 0x27 /* present, writable, user, accessed */
#define PTE_LARGE 0xe7 /* the same, dirty, page size */
	.balign	4096
pml4:
	.quad	pdpt + PTE_TABLE
	.fill	511, 8, 0
pdpt:
	.quad	page_directories + PTE_TABLE
	.quad	page_directories + 0x1000 + PTE_TABLE
	.quad	page_directories + 0x2000 + PTE_TABLE
	.quad	page_directories + 0x3000 + PTE_TABLE
	.fill	508, 8, 0
page_directories:
	.set	address, 0
	.rept	2048
	.quad	address + PTE_LARGE
	.set	address, address + 0x200000
	.endr

	.bss
	.balign	4096
	.globl	kvmclock_page
kvmclock_page:
	.skip	4096
	.skip	8192
stack0_top:
	.skip	32768
stack3_top:

	.section .note.GNU-stack, "", @progbits
