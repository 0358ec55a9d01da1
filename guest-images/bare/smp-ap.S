/*
 * Where the other processors of smp.c begin: real mode, CS:IP = AP_BASE / 16 : 0.
 *
 * One at a time each prints its initial APIC id (CPUID 1, EBX bits 31 to 24) on the UART, adds itself to
 * the count that the first processor watches, and halts for good. Position-independent: it is
 * copied to AP_BASE, and all its addresses count from ap_begin.
 */
#define PORT_UART 0x3f8

	.section .rodata
	.code16
	.globl	ap_begin, ap_end, ap_count
ap_begin:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
1: /* a spin lock */
	movw	$1, %ax
	xchgw	%ax, ap_lock - ap_begin
	testw	%ax, %ax
	jz	2f
	pause
	jmp	1b
2:
	movw	$PORT_UART, %dx
	movw	$ap_before - ap_begin, %si
3:
	lodsb
	testb	%al, %al
	jz	4f
	outb	%al, %dx
	jmp	3b
4: /* the id in decimal: at most three digits, pushed on registers instead of a stack */
	movw	%bx, %ax
	movb	$100, %cl
	divb	%cl
	movb	%ah, %bl /* what is left below 100 */
	testb	%al, %al
	jz	5f
	addb	$'0', %al
	outb	%al, %dx
	movb	$'0', %bh /* a hundred was printed: the tens are printed even when 0 */
5:
	movb	%bl, %al
	aam	/* AH = tens, AL = ones */
	movb	%al, %bl
	movb	%ah, %al
	orb	%bh, %ah
	jz	6f
	addb	$'0', %al
	outb	%al, %dx
6:
	movb	%bl, %al
	addb	$'0', %al
	outb	%al, %dx
	movw	$ap_after - ap_begin, %si
7:
	lodsb
	testb	%al, %al
	jz	8f
	outb	%al, %dx
	jmp	7b
8:
	lock incl ap_count - ap_begin
	movw	$0, ap_lock - ap_begin
9:
	hlt
	jmp	9b

ap_before:
	.asciz	"smp: processor "
ap_after:
	.asciz	" is up\n"
	.balign	4
ap_count:
	.long	0
ap_lock:
	.word	0
ap_end:

	.section .note.GNU-stack, "", @progbits
