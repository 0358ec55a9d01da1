/*
 * crash: a triple fault. With an empty IDT an undefined opcode cannot be delivered, nor the fault that this
 * is, nor the double fault that that is: the processor shuts down (Intel SDM volume 3, section 6.15,
 * "Interrupt 8"), and a VMM has to say so.
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long	4, 8, 18 /* name bytes, value bytes, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.quad	start32

	.section .text.start, "ax"
	.code32
	.globl	start32
start32:
	lidt	empty
	ud2
1:
	jmp	1b

	.section .rodata
	.balign	8
empty:
	.word	0
	.long	0

	.section .note.GNU-stack, "", @progbits
