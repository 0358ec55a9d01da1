/*
 * hello-real: from the PVH entry back to where every PC starts: real mode.
 *
 * Intel SDM volume 3, section 10.9.2, "Switching Back to Real-Address Mode": run in a 16-bit code
 * segment with 64 KiB limits first, then clear CR0.PE, then load CS by a far jump. Real mode reaches
 * the first megabyte only, so the 16-bit part is copied down to REAL_BASE before.
 */
#define REAL_BASE    0x8000
#define SEL_CODE16   0x08
#define SEL_DATA16   0x10
#define PORT_UART    0x3f8
#define PORT_SLEEP   0x600 /* ACPI sleep control register */
#define SLEEP_S5     0x34  /* SLP_TYP 5, SLP_EN */

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
	movl	$real_begin, %esi
	movl	$REAL_BASE, %edi
	movl	$real_end - real_begin, %ecx
	rep movsb
	lgdt	gdt_pointer
	lidt	ivt_pointer
	ljmp	$SEL_CODE16, $REAL_BASE

	.code16
real_begin:
	movw	$SEL_DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$REAL_BASE >> 4, $real_mode - real_begin

real_mode: /* CS is REAL_BASE / 16 now: offsets count from real_begin */
	movw	%cs, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7000, %sp
	movw	$hello - real_begin, %si
	movw	$PORT_UART, %dx
1:
	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:
	movw	$PORT_SLEEP, %dx
	movb	$SLEEP_S5, %al
	outb	%al, %dx
3:
	cli
	hlt
	jmp	3b

hello:
	.asciz	"hello from real mode\r\n"
real_end:

	.section .rodata
	.balign	8
gdt:
	.quad	0
	.quad	0x00009b000000ffff /* code, 16-bit, 64 KiB */
	.quad	0x000093000000ffff /* data, 16-bit, 64 KiB */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
ivt_pointer: /* real mode's own: 256 vectors from address 0 */
	.word	0x3ff
	.long	0

	.section .note.GNU-stack, "", @progbits
