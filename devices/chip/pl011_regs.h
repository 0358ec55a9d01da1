/*
 * The registers of a PL011: Arm DDI 0183, chapter 3. For the device and its tests.
 */
#ifndef SARANG_CHIP_PL011_REGS_H
#define SARANG_CHIP_PL011_REGS_H

/* Register offsets, table 3-1. */
enum {
	DR = 0x000,
	RSR_ECR = 0x004,
	FR = 0x018,
	ILPR = 0x020,
	IBRD = 0x024,
	FBRD = 0x028,
	LCR_H = 0x02c,
	CR = 0x030,
	IFLS = 0x034,
	IMSC = 0x038,
	RIS = 0x03c,
	MIS = 0x040,
	ICR = 0x044,
	DMACR = 0x048,
};

/* A received character's errors, in the data register; in RSR 8 bits lower. */
enum { DR_BE = 1 << 10, DR_OE = 1 << 11, DR_ERRORS = 0xf00 };

enum {
	FR_CTS = 1 << 0,
	FR_DSR = 1 << 1,
	FR_DCD = 1 << 2,
	FR_BUSY = 1 << 3,
	FR_RXFE = 1 << 4,
	FR_TXFF = 1 << 5,
	FR_RXFF = 1 << 6,
	FR_TXFE = 1 << 7,
};

#define LCR_H_FEN 0x10

enum {
	CR_UARTEN = 1 << 0,
	CR_LBE = 1 << 7,
	CR_TXE = 1 << 8,
	CR_RXE = 1 << 9,
	CR_RECEIVES = CR_UARTEN | CR_RXE,
	CR_RESET = CR_TXE | CR_RXE,
	CR_BITS = 0xff87,
};

#define IFLS_RESET 0x12

enum {
	INT_RX = 1 << 4,
	INT_TX = 1 << 5,
	INT_RT = 1 << 6,
	INT_BE = 1 << 9,
	INT_OE = 1 << 10,
	INT_BITS = 0x7ff,
};

#endif
