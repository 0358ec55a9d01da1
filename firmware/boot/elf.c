/*
 * ELF kernels: the ELF64 format (System V ABI, chapters 4 and 5) for the file, and for the
 * hand-over Xen's docs/misc/pvh.pandoc with public/arch-x86/hvm/start_info.h.
 *
 * The program headers say what goes where (physical addresses); a note of type
 * XEN_ELFNOTE_PHYS32_ENTRY says where a 32-bit, unpaged CPU with EBX at hvm_start_info enters. A
 * file with a note of Linux's is its vmlinux, whose ELF entry is startup_64, what a bzImage jumps
 * to after unpacking: it takes the 64-bit boot protocol (bzimage.c). That way is taken where there
 * is no PVH note, and where a device tree is to be handed over, which PVH has no field for.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "boot/e820.h"
#include "boot/load.h"
#include "boot/x86_layout.h"

#define PHYS32_ENTRY       18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define XEN_NAME           "Xen"
#define LINUX_NAME         "Linux"    /* linux/elfnote-lto.h, build-salt.h: since Linux 4.19 */
#define NOTES_BYTES_MAX    (1u << 20) /* Linux has some hundreds */
#define PHDRS_MAX          128
#define SECTIONS_MAX       256u /* Linux has some 40 */
#define ELF_COMMAND_LINE   2048 /* COMMAND_LINE_SIZE: PVH has no field for it */
#define START_INFO_MAGIC   0x336ec578
#define START_INFO_VERSION 1 /* with the memory map */

/* A note, in the buffer it was read into. */
struct elf_note {
	uint32_t type;
	const uint8_t *name, *desc;
	uint64_t name_len, desc_len;
};

/* What a kernel's notes say. */
struct elf_notes {
	bool has_pvh;
	bool is_linux;
	uint64_t pvh_gpa;
};

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info, version 1");

struct start_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};
_Static_assert(sizeof(struct start_module) == 32, "hvm_modlist_entry");

struct start_memmap {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};
_Static_assert(sizeof(struct start_memmap) == 24, "hvm_memmap_table_entry");

/* All of it, in one page. */
struct start_page {
	struct start_info info;
	struct start_module initrd;
	struct start_memmap map[E820_MAX];
};
_Static_assert(sizeof(struct start_page) <= X86_ZERO_PAGE_GPA - X86_START_INFO_GPA,
	       "the page of hvm_start_info");

bool elf_sniff(const struct kernel_head *head)
{
	return head->len >= EI_NIDENT && !memcmp(head->bytes, ELFMAG, SELFMAG);
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_X86_64:
		return "x86_64";
	case EM_ARM:
		return "arm";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	default:
		return NULL;
	}
}

static int check_header(const struct kernel_image *image, enum kernel_arch host,
			const struct kernel_head *head, struct err *e)
{
	const Elf64_Ehdr *h = (const void *)head->bytes;
	const char *name;

	if (head->len < sizeof(*h))
		return kernel_truncated(image, sizeof(*h), e);
	name = h->e_ident[EI_DATA] == ELFDATA2LSB ? machine_name(h->e_machine) : "big-endian";
	if (h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64 ||
	    host != KERNEL_X86_64)
		return err_set(e, EINVAL, "the kernel %s is an ELF file for %s%s", image->path,
			       name ? name : "an unknown architecture",
			       host != KERNEL_X86_64
				       ? ", aarch64 machines start from an arm64 Image"
				       : ", this machine is x86_64");
	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return err_set(e, EINVAL,
			       "the kernel %s is a 32-bit ELF file, sarang needs a 64-bit one",
			       image->path);
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return err_set(e, EINVAL, "%s is an ELF file but not an executable one (type %u)",
			       image->path, h->e_type);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum || h->e_phnum > PHDRS_MAX)
		return err_set(e, EINVAL,
			       "the kernel %s has %u program headers of %u bytes; sarang takes 1 "
			       "to %u of %zu",
			       image->path, h->e_phnum, h->e_phentsize, PHDRS_MAX,
			       sizeof(Elf64_Phdr));
	return 0;
}

/* Whether the file holds all of [offset, offset + len). */
static int check_inside(const struct kernel_image *image, uint64_t offset, uint64_t len,
			struct err *e)
{
	uint64_t end;

	if (range_inside(offset, len, image->size_bytes))
		return 0;
	if (!add_u64(offset, len, &end))
		end = UINT64_MAX;
	return kernel_truncated(image, end, e);
}

/* Takes one PT_LOAD into the list, which is kept in the order of addresses. */
static int add_segment(struct kernel_image *image, const Elf64_Phdr *p, struct err *e)
{
	struct elf_info *elf = &image->elf;
	uint64_t end;
	unsigned i;
	int ret;

	if (!p->p_memsz)
		return 0;
	if (p->p_filesz > p->p_memsz || !add_u64(p->p_paddr, p->p_memsz, &end) ||
	    p->p_paddr < X86_HIGH_RAM_GPA || end > X86_ABOVE_4G_GPA)
		return err_set(e, EINVAL,
			       "the kernel %s has a segment of %llu bytes (%llu in the file) at "
			       "0x%llx: segments must lie between 1 MiB and 4 GiB",
			       image->path, (unsigned long long)p->p_memsz,
			       (unsigned long long)p->p_filesz, (unsigned long long)p->p_paddr);
	ret = check_inside(image, p->p_offset, p->p_filesz, e);
	if (ret < 0)
		return ret;
	if (elf->segment_count == ELF_SEGMENTS_MAX)
		return err_set(e, EINVAL, "the kernel %s has more than %u segments", image->path,
			       ELF_SEGMENTS_MAX);
	for (i = elf->segment_count; i && elf->segments[i - 1].gpa > p->p_paddr; i--)
		elf->segments[i] = elf->segments[i - 1];
	elf->segments[i] = (struct elf_segment){
		.offset = p->p_offset,
		.file_bytes = p->p_filesz,
		.gpa = p->p_paddr,
		.mem_bytes = p->p_memsz,
	};
	elf->segment_count++;
	return 0;
}

/* Takes one note into what is known of the kernel. */
static void take_note(struct elf_notes *found, const struct elf_note *note)
{
	if (note->name_len == sizeof(LINUX_NAME) &&
	    !memcmp(note->name, LINUX_NAME, sizeof(LINUX_NAME)))
		found->is_linux = true;
	if (found->has_pvh || note->type != PHYS32_ENTRY || note->name_len != sizeof(XEN_NAME) ||
	    memcmp(note->name, XEN_NAME, sizeof(XEN_NAME)) != 0 ||
	    (note->desc_len != 4 && note->desc_len != 8))
		return;
	found->has_pvh = true;
	found->pvh_gpa = note->desc_len == 4 ? get_le32(note->desc) : get_le64(note->desc);
}

/* Walks one PT_NOTE in @notes. */
static void walk_notes(const uint8_t *notes, size_t len, uint64_t align, struct elf_notes *found)
{
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name_len = get_le32(notes + at), desc_len = get_le32(notes + at + 4);
		uint64_t name = at + sizeof(Elf64_Nhdr);
		uint64_t desc = align_up(name + name_len, align);

		/* 32-bit lengths in 64-bit sums: nothing here overflows. */
		if (!range_inside(name, name_len, len) || !range_inside(desc, desc_len, len))
			return;
		take_note(found, &(struct elf_note){
					 .type = get_le32(notes + at + 8),
					 .name = notes + name,
					 .name_len = name_len,
					 .desc = notes + desc,
					 .desc_len = desc_len,
				 });
		at = MIN((uint64_t)len, align_up(desc + desc_len, align));
	}
}

static int read_notes(const struct kernel_image *image, const Elf64_Phdr *p,
		      struct elf_notes *found, struct err *e)
{
	uint8_t *notes;
	ssize_t n;
	int ret;

	if (p->p_filesz > NOTES_BYTES_MAX)
		return 0;
	ret = check_inside(image, p->p_offset, p->p_filesz, e);
	if (ret < 0)
		return ret;
	notes = malloc(p->p_filesz + 1);
	if (!notes)
		return err_set(e, ENOMEM, "out of memory");
	n = fd_pread_full(image->fd, notes, p->p_filesz, p->p_offset);
	if (n < 0)
		ret = err_errno(e, (int)-n, "cannot read the kernel %s", image->path);
	else
		walk_notes(notes, (size_t)n, p->p_align == 8 ? 8 : 4, found);
	free(notes);
	return ret;
}

static int read_phdrs(struct kernel_image *image, const Elf64_Ehdr *h, struct elf_notes *found,
		      struct err *e)
{
	Elf64_Phdr phdrs[PHDRS_MAX];
	size_t len = h->e_phnum * sizeof(phdrs[0]);
	ssize_t n;
	unsigned i;
	int ret;

	ret = check_inside(image, h->e_phoff, len, e);
	if (ret < 0)
		return ret;
	n = fd_pread_full(image->fd, phdrs, len, h->e_phoff);
	if (n < 0)
		return err_errno(e, (int)-n, "cannot read the kernel %s", image->path);
	if ((size_t)n < len)
		return kernel_truncated(image, h->e_phoff + len, e);
	for (i = 0; i < h->e_phnum; i++) {
		ret = 0;
		if (phdrs[i].p_type == PT_LOAD)
			ret = add_segment(image, &phdrs[i], e);
		else if (phdrs[i].p_type == PT_NOTE)
			ret = read_notes(image, &phdrs[i], found, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Whether there is code in the file for @gpa. */
static bool is_code(const struct elf_info *elf, uint64_t gpa)
{
	unsigned i;

	for (i = 0; i < elf->segment_count; i++)
		if (gpa >= elf->segments[i].gpa &&
		    gpa - elf->segments[i].gpa < elf->segments[i].file_bytes)
			return true;
	return false;
}

/* The segments must not overlap. */
static int check_segments(struct kernel_image *image, struct err *e)
{
	const struct elf_info *elf = &image->elf;
	unsigned i;

	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_segment *s = &elf->segments[i];

		if (i && s->gpa < s[-1].gpa + s[-1].mem_bytes)
			return err_set(e, EINVAL,
				       "the kernel %s has segments that overlap at 0x%llx",
				       image->path, (unsigned long long)s->gpa);
		image->min_bytes = s->gpa + s->mem_bytes;
	}
	return 0;
}

/* An entry that is known must be inside a segment. */
static int check_entries(struct kernel_image *image, uint64_t elf_entry,
			 const struct elf_notes *notes, struct err *e)
{
	struct elf_info *elf = &image->elf;

	if (!notes->has_pvh && !notes->is_linux)
		return err_set(e, EINVAL,
			       "the kernel %s is an ELF file without a PVH entry point, and not "
			       "Linux: build it with CONFIG_PVH=y, or use its bzImage",
			       image->path);
	if (notes->has_pvh && !is_code(elf, notes->pvh_gpa))
		return err_set(e, EINVAL,
			       "the kernel %s has its PVH entry point 0x%llx outside its code",
			       image->path, (unsigned long long)notes->pvh_gpa);
	if (!notes->has_pvh && !is_code(elf, elf_entry))
		return err_set(e, EINVAL,
			       "the kernel %s has its entry point 0x%llx outside its code",
			       image->path, (unsigned long long)elf_entry);
	elf->pvh_gpa = notes->has_pvh ? notes->pvh_gpa : 0;
	elf->linux_gpa = notes->is_linux && is_code(elf, elf_entry) ? elf_entry : 0;
	image->format = notes->has_pvh ? KERNEL_ELF_PVH : KERNEL_ELF_LINUX;
	return 0;
}

int elf_parse(struct kernel_image *image, enum kernel_arch host, const struct kernel_head *head,
	      struct err *e)
{
	struct elf_notes notes = {0};
	Elf64_Ehdr h;
	int ret = check_header(image, host, head, e);

	if (ret < 0)
		return ret;
	memcpy(&h, head->bytes, sizeof(h));
	image->arch = KERNEL_X86_64;
	image->cmdline_max = ELF_COMMAND_LINE - 1;
	ret = read_phdrs(image, &h, &notes, e);
	if (!ret)
		ret = check_segments(image, e);
	return ret ? ret : check_entries(image, h.e_entry, &notes, e);
}

/* Reads a section header; its name lies at sh_name of the section e_shstrndx. */
static bool read_section(const struct kernel_image *image, const Elf64_Ehdr *h, unsigned index,
			 Elf64_Shdr *section)
{
	uint64_t at = h->e_shoff + (uint64_t)index * sizeof(*section);

	return fd_pread_full(image->fd, section, sizeof(*section), at) == sizeof(*section);
}

bool elf_find_section(const struct kernel_image *image, const char *name, uint64_t *offset,
		      uint64_t *len)
{
	Elf64_Shdr names, section;
	Elf64_Ehdr h;
	char text[32];
	unsigned i;

	if (fd_pread_full(image->fd, &h, sizeof(h), 0) != sizeof(h) ||
	    h.e_shentsize != sizeof(section) || h.e_shoff > image->size_bytes ||
	    !read_section(image, &h, h.e_shstrndx, &names) || names.sh_offset > image->size_bytes)
		return false;
	for (i = 0; i < MIN((unsigned)h.e_shnum, SECTIONS_MAX); i++) {
		memset(text, 0, sizeof(text));
		if (!read_section(image, &h, i, &section) ||
		    fd_pread_full(image->fd, text, sizeof(text) - 1,
				  names.sh_offset + section.sh_name) < 0)
			return false;
		if (strcmp(text, name) != 0 || section.sh_type == SHT_NOBITS ||
		    !range_inside(section.sh_offset, section.sh_size, image->size_bytes))
			continue;
		*offset = section.sh_offset;
		*len = section.sh_size;
		return true;
	}
	return false;
}

int elf_load(const struct gmem *mem, const struct kernel_image *image, struct boot_entry *entry,
	     struct err *e)
{
	const struct elf_info *elf = &image->elf;
	unsigned i;
	int ret;

	if (entry->protocol == BOOT_PVH32) {
		entry->entry_gpa = elf->pvh_gpa;
		entry->info_gpa = X86_START_INFO_GPA;
	} else {
		entry->entry_gpa = elf->linux_gpa;
		entry->info_gpa = X86_ZERO_PAGE_GPA;
	}
	entry->kernel_gpa = elf->segments[0].gpa;
	entry->kernel_end = image->min_bytes;
	for (i = 0; i < elf->segment_count; i++) {
		const struct elf_segment *s = &elf->segments[i];

		ret = kernel_load_piece(mem, image, s->gpa, s->offset, s->file_bytes, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int pvh_write_info(const struct gmem *mem, const struct boot_request *request,
		   const struct boot_entry *entry, struct err *e)
{
	struct start_page page = {0};
	struct e820_entry map[E820_MAX];
	unsigned count = e820_build(mem, request->rsdp_gpa != 0, map), i;

	page.info.magic = START_INFO_MAGIC;
	page.info.version = START_INFO_VERSION;
	page.info.cmdline_paddr = X86_CMDLINE_GPA;
	page.info.rsdp_paddr = request->rsdp_gpa;
	page.info.memmap_paddr = entry->info_gpa + offsetof(struct start_page, map);
	page.info.memmap_entries = count;
	if (entry->initrd_bytes) {
		page.info.nr_modules = 1;
		page.info.modlist_paddr = entry->info_gpa + offsetof(struct start_page, initrd);
		page.initrd.paddr = entry->initrd_gpa;
		page.initrd.size = entry->initrd_bytes;
	}
	for (i = 0; i < count; i++)
		page.map[i] = (struct start_memmap){
			.addr = map[i].gpa,
			.size = map[i].size_bytes,
			.type = map[i].type,
		};
	if (gmem_write(mem, entry->info_gpa, &page, sizeof(page)) < 0)
		return err_set(e, EFAULT, "the guest has no memory at 0x%llx for its start info",
			       (unsigned long long)entry->info_gpa);
	return 0;
}
