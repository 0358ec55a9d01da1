/* The bytes of synthetic kernels: see synth.h. Without Check, so that fuzz targets can have them
 * too. */
#include <elf.h>
#include <string.h>

#include "base/bytes.h"
#include "synth.h"

uint8_t synth_byte(size_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251 + 1);
}

static void fill(uint8_t *bytes, size_t start, size_t end)
{
	for (; start < end; start++)
		bytes[start] = synth_byte(start);
}

void synth_bzimage(uint8_t bytes[SYNTH_BZIMAGE_BYTES])
{
	memset(bytes, 0, SYNTH_BZIMAGE_SETUP);
	fill(bytes, SYNTH_BZIMAGE_SETUP, SYNTH_BZIMAGE_BYTES);
	bytes[0x1f1] = SYNTH_BZIMAGE_SETUP / 512 - 1;
	put_le32(bytes + 0x1f4, SYNTH_BZIMAGE_PAYLOAD / 16);
	put_le16(bytes + 0x1fe, 0xaa55);
	put_le16(bytes + 0x200, 0x6aeb); /* jmp over the header */
	memcpy(bytes + 0x202, "HdrS", 4);
	put_le16(bytes + 0x206, 0x20f);
	bytes[0x211] = 1;                    /* LOADED_HIGH */
	put_le32(bytes + 0x214, 0x100000);   /* code32_start */
	put_le32(bytes + 0x22c, 0x7fffffff); /* initrd_addr_max */
	put_le32(bytes + 0x230, 0x200000);   /* kernel_alignment */
	bytes[0x234] = 1;                    /* relocatable_kernel */
	put_le16(bytes + 0x236, 3);          /* XLF_KERNEL_64, above 4 GiB */
	put_le32(bytes + 0x238, SYNTH_BZIMAGE_CMDLINE);
	put_le64(bytes + 0x250, 0xdeadbeef); /* setup_data: the loader's to set */
	put_le64(bytes + 0x258, 0x100000);   /* pref_address */
	put_le32(bytes + 0x260, 0x200000);   /* init_size */
}

void synth_elf(uint8_t bytes[SYNTH_ELF_BYTES])
{
	Elf64_Ehdr h = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(h),
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = SYNTH_ELF_PHDRS,
	};
	Elf64_Phdr p[SYNTH_ELF_PHDRS] = {
		{.p_type = PT_LOAD,
		 .p_offset = SYNTH_ELF_DATA_OFFSET,
		 .p_paddr = 0x200000,
		 .p_filesz = 0x800,
		 .p_memsz = 0x4000},
		{.p_type = PT_LOAD,
		 .p_offset = SYNTH_ELF_CODE_OFFSET,
		 .p_paddr = 0x100000,
		 .p_filesz = 0x1000,
		 .p_memsz = 0x1000},
		{.p_type = PT_NOTE,
		 .p_offset = SYNTH_ELF_NOTE_OFFSET,
		 .p_filesz = 48,
		 .p_align = 4},
	};
	uint8_t *note = bytes + SYNTH_ELF_NOTE_OFFSET;

	memset(bytes, 0, SYNTH_ELF_CODE_OFFSET);
	fill(bytes, SYNTH_ELF_CODE_OFFSET, SYNTH_ELF_BYTES);
	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), p, sizeof(p));
	/* Another note first, whose name and contents need padding. */
	put_le32(note, 4);
	put_le32(note + 4, 1);
	put_le32(note + 8, 6);
	memcpy(note + 12, "GNU", 4);
	note[16] = 0xff;
	put_le32(note + 20, 4);
	put_le32(note + 24, 8);
	put_le32(note + 28, 18);
	memcpy(note + 32, "Xen", 4);
	put_le64(note + 36, 0x100010);
}
