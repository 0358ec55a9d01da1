/*
 * The programs that are timed and tried out in a throw-away VM. Copied to X86_CODE; all they reach by
 * address is in x86_64.h. RCX is a number of turns, RDX an address or port.
 */
#include "x86_64.h"

	.macro	PROGRAM name
	.balign	16
	.globl	\name
\name:
	.endm

	.macro	DONE /* at any CPL: leaves the guest for good */
	movl	%eax, X86_END
	.endm

	.section .rodata
	.globl	probe_code_begin, probe_code_end
	.balign	16
probe_code_begin:

	.code16
PROGRAM probe_spin16
1:
	decl	%ecx
	jnz	1b
	hlt

	.code64
PROGRAM probe_spin64
1:
	decq	%rcx
	jnz	1b
	DONE

PROGRAM probe_mmio
1:
	movl	%eax, (%rdx)
	decq	%rcx
	jnz	1b
	DONE

PROGRAM probe_pio
1:
	outb	%al, %dx
	decq	%rcx
	jnz	1b
	DONE

PROGRAM probe_forever /* for the test that a run is bounded */
	jmp	probe_forever

	/* One instruction each, at CPL 0. An exception ends in probe_exception. */
PROGRAM probe_cpuid /* leaf RCX, subleaf 0 */
	movl	%ecx, %eax
	xorl	%ecx, %ecx
	cpuid
	DONE

PROGRAM probe_int3
	int3
	hlt
PROGRAM probe_breakpoint /* where int3's gate leads */
	DONE

PROGRAM probe_iretq
	movq	%rsp, %rax
	pushq	$X86_KDATA
	pushq	%rax
	pushq	$2
	pushq	$X86_KCODE
	leaq	1f(%rip), %rax
	pushq	%rax
	iretq
1:
	DONE

PROGRAM probe_sysretq
	movl	$0xc0000081, %ecx /* STAR */
	xorl	%eax, %eax
	movl	$(X86_UBASE | 3) << 16 | X86_KCODE, %edx
	wrmsr
	leaq	1f(%rip), %rcx
	movl	$0x202, %r11d
	movl	$X86_STACK3, %esp
	sysretq
1:
	DONE

PROGRAM probe_swapgs
	swapgs
	DONE

PROGRAM probe_popcnt
	popcntq	%rax, %rax
	DONE

PROGRAM probe_cmpxchg16b
	andq	$-16, %rsp
	pushq	$0
	pushq	$0
	lock cmpxchg16b (%rsp)
	DONE

PROGRAM probe_clac
	clac
	DONE

PROGRAM probe_stac
	stac
	DONE

PROGRAM probe_xsave
	movl	$1, %eax
	xorl	%edx, %edx
	xsave	X86_XSAVE
	DONE

PROGRAM probe_xrstor
	movl	$1, %eax
	xorl	%edx, %edx
	xrstor	X86_XSAVE
	DONE

PROGRAM probe_exception
	movl	$X86_FAULTED, %ebx
	DONE

probe_code_end:

	.section .note.GNU-stack, "", @progbits
