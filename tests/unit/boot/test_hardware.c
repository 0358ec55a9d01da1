/*
 * How a kernel is told of its hardware: device trees through setup_data, the 64-bit entry of a
 * vmlinux, and what a kernel's own configuration says.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot/e820.h"
#include "boot/x86_layout.h"
#include "synth.h"
#include "tests.h"
#include "unit.h"

/* A vmlinux: the synthetic ELF, a note of Linux's, and sections, of which .rodata comes last. */
#define NAMES_OFFSET    SYNTH_ELF_BYTES
#define SECTIONS_OFFSET (NAMES_OFFSET + 0x40)
#define RODATA_OFFSET   (SECTIONS_OFFSET + 3 * sizeof(Elf64_Shdr))
#define RODATA_MAX      0x40000
#define ENTRY           0x100040
#define XEN_TYPE        (SYNTH_ELF_NOTE_OFFSET + 28)
#define LINUX_NOTE      (SYNTH_ELF_NOTE_OFFSET + 44)

static uint8_t bytes[RODATA_OFFSET + RODATA_MAX];
static size_t len;
static struct kernel_image image;
static struct err e;

static Elf64_Ehdr *header(void)
{
	return (void *)bytes;
}

static Elf64_Phdr *segment(unsigned index)
{
	return (Elf64_Phdr *)(void *)(bytes + sizeof(Elf64_Ehdr)) + index;
}

/* 1 is .rodata, 2 the names. */
static Elf64_Shdr *section(unsigned index)
{
	return (Elf64_Shdr *)(void *)(bytes + SECTIONS_OFFSET) + index;
}

/* Without a PVH note, and with an empty .rodata. */
static void setup(void)
{
	static const char names[] = "\0.rodata\0.shstrtab";

	memset(bytes, 0, sizeof(bytes));
	e = (struct err){0};
	synth_elf(bytes);
	put_le32(bytes + XEN_TYPE, 1);
	put_le32(bytes + LINUX_NOTE, 6);
	put_le32(bytes + LINUX_NOTE + 4, 4);
	put_le32(bytes + LINUX_NOTE + 8, 0x101);
	memcpy(bytes + LINUX_NOTE + 12, "Linux", 6);
	segment(2)->p_filesz = 44 + 24;
	memcpy(bytes + NAMES_OFFSET, names, sizeof(names));
	*section(1) =
		(Elf64_Shdr){.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = RODATA_OFFSET};
	*section(2) = (Elf64_Shdr){.sh_name = 9,
				   .sh_type = SHT_STRTAB,
				   .sh_offset = NAMES_OFFSET,
				   .sh_size = sizeof(names)};
	header()->e_entry = ENTRY;
	header()->e_shoff = SECTIONS_OFFSET;
	header()->e_shentsize = sizeof(Elf64_Shdr);
	header()->e_shnum = 3;
	header()->e_shstrndx = 2;
	len = RODATA_OFFSET;
}

static void add_rodata(const void *data, size_t size)
{
	ck_assert_uint_le(len + size, sizeof(bytes));
	memcpy(bytes + len, data, size);
	len += size;
	section(1)->sh_size = len - RODATA_OFFSET;
}

/* @text as a gzip member, between its marks. Returns where in the file the member is. */
static size_t add_config(const char *text, size_t size)
{
	static uint8_t packed[RODATA_MAX];
	z_stream z = {.next_in = (Bytef *)text,
		      .avail_in = (uInt)size,
		      .next_out = packed,
		      .avail_out = sizeof(packed)};
	size_t at;

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	add_rodata("filling IKCFG_S", 15);
	add_rodata("IKCFG_ST", 8);
	at = len;
	add_rodata(packed, sizeof(packed) - z.avail_out);
	add_rodata("IKCFG_ED", 8);
	return at;
}

static void open_vmlinux(void)
{
	ck_assert_msg(!synth_open(bytes, len, KERNEL_X86_64, &image, &e), "%s", e.text);
}

static enum hardware hardware(void)
{
	enum hardware found;

	open_vmlinux();
	found = kernel_hardware(&image);
	kernel_close(&image);
	return found;
}

START_TEST(without_acpi_its_place_is_reserved)
{
	struct gmem *mem = synth_memory(MIB(8), 0);
	struct e820_entry map[E820_MAX];
	unsigned count = e820_build(mem, false, map), i;

	ck_assert_uint_eq(count, 4);
	for (i = 0; i < count; i++)
		ck_assert_int_ne(map[i].type, E820_ACPI);
	ck_assert_uint_eq(map[2].gpa, X86_ACPI_GPA);
	ck_assert_int_eq(map[2].type, E820_RESERVED);
	gmem_free(mem);
}
END_TEST

/* Loads what is in @image for a device tree, and takes the zero page. */
static void load_for_tree(struct gmem *mem, struct boot_entry *entry, uint8_t page[4096])
{
	struct boot_request request = {.cmdline = "acpi=off", .dtb_gpa = X86_DTB_GPA};

	ck_assert_msg(!boot_load_x86(mem, &image, &request, entry, &e), "%s", e.text);
	ck_assert_int_eq(entry->protocol, BOOT_LINUX64);
	ck_assert_uint_eq(entry->info_gpa, X86_ZERO_PAGE_GPA);
	ck_assert_int_eq(gmem_read(mem, X86_ZERO_PAGE_GPA, page, 4096), 0);
	ck_assert_uint_eq(get_le64(page + 0x070), 0); /* acpi_rsdp_addr */
	ck_assert_uint_eq(get_le64(page + 0x250), X86_DTB_GPA);
}

START_TEST(a_bzimage_gets_a_tree_through_setup_data)
{
	static const uint8_t tree[] = {0xd0, 0x0d, 0xfe, 0xed, 1, 2, 3};
	struct gmem *mem = synth_memory(MIB(8), 0);
	uint8_t page[4096], data[16 + sizeof(tree)], kernel[SYNTH_BZIMAGE_BYTES];
	struct boot_entry entry;

	synth_bzimage(kernel);
	ck_assert_int_eq(synth_open(kernel, sizeof(kernel), KERNEL_X86_64, &image, &e), 0);
	load_for_tree(mem, &entry, page);
	ck_assert_int_eq(boot_write_dtb(mem, tree, sizeof(tree), &e), 0);
	ck_assert_int_eq(gmem_read(mem, X86_DTB_GPA, data, sizeof(data)), 0);
	ck_assert_uint_eq(get_le64(data), 0);     /* next */
	ck_assert_uint_eq(get_le32(data + 8), 2); /* SETUP_DTB */
	ck_assert_uint_eq(get_le32(data + 12), sizeof(tree));
	ck_assert_mem_eq(data + 16, tree, sizeof(tree));
	kernel_close(&image);
	gmem_free(mem);
}
END_TEST

START_TEST(a_tree_fits_below_the_ebda_or_is_refused)
{
	size_t room = X86_EBDA_GPA - X86_DTB_GPA - 16;
	struct gmem *mem = synth_memory(MIB(4), 0);
	uint8_t *tree = calloc(1, room + 1), past[4] = {0};

	ck_assert_ptr_nonnull(tree);
	memset(tree, 0x5a, room + 1);
	ck_assert_msg(!boot_write_dtb(mem, tree, room, &e), "%s", e.text);
	ck_assert_int_eq(gmem_read(mem, X86_EBDA_GPA - 1, past, 2), 0);
	ck_assert_uint_eq(past[0], 0x5a);
	ck_assert_uint_eq(past[1], 0);
	ck_assert_int_eq(boot_write_dtb(mem, tree, room + 1, &e), -E2BIG);
	ck_assert_msg(strstr(e.text, "device tree"), "%s", e.text);
	ck_assert_uint_ge(X86_DTB_GPA, X86_CMDLINE_GPA + X86_CMDLINE_BYTES);
	free(tree);
	gmem_free(mem);
}
END_TEST

START_TEST(a_vmlinux_without_pvh_is_entered_in_64_bits)
{
	struct gmem *mem = synth_memory(MIB(8), 0);
	struct boot_request request = {.cmdline = "x", .rsdp_gpa = 0xe0000};
	struct boot_entry entry;
	uint8_t page[4096];

	open_vmlinux();
	ck_assert_int_eq(image.format, KERNEL_ELF_LINUX);
	ck_assert_msg(!boot_load_x86(mem, &image, &request, &entry, &e), "%s", e.text);
	ck_assert_int_eq(entry.protocol, BOOT_LINUX64);
	ck_assert_uint_eq(entry.entry_gpa, ENTRY);
	ck_assert_uint_eq(entry.kernel_end, SYNTH_ELF_END);
	ck_assert_int_eq(gmem_read(mem, entry.info_gpa, page, sizeof(page)), 0);
	ck_assert_mem_eq(page + 0x202, "HdrS", 4);
	ck_assert_uint_eq(get_le16(page + 0x1fe), 0xaa55);
	ck_assert_uint_ge(get_le16(page + 0x206), 0x20c);
	ck_assert_uint_eq(get_le32(page + 0x228), X86_CMDLINE_GPA);
	ck_assert_uint_eq(get_le32(page + 0x238), 2047);
	ck_assert_uint_eq(get_le64(page + 0x070), 0xe0000);
	ck_assert_uint_eq(get_le64(page + 0x250), 0);
	ck_assert_uint_eq(page[0x1e8], 4);
	kernel_close(&image);
	gmem_free(mem);
}
END_TEST

START_TEST(pvh_gives_way_to_a_tree)
{
	struct gmem *mem = synth_memory(MIB(8), 0);
	struct boot_request request = {.cmdline = "x"};
	struct boot_entry entry;
	uint8_t page[4096];

	put_le32(bytes + XEN_TYPE, 18);
	open_vmlinux();
	ck_assert_int_eq(image.format, KERNEL_ELF_PVH);
	ck_assert_msg(!boot_load_x86(mem, &image, &request, &entry, &e), "%s", e.text);
	ck_assert_int_eq(entry.protocol, BOOT_PVH32);
	ck_assert_uint_eq(entry.entry_gpa, 0x100010);
	load_for_tree(mem, &entry, page);
	ck_assert_uint_eq(entry.entry_gpa, ENTRY);
	kernel_close(&image);
	gmem_free(mem);
}
END_TEST

START_TEST(an_entry_outside_of_the_code_is_none)
{
	header()->e_entry = 0xfff00;
	ck_assert_int_eq(synth_open(bytes, len, KERNEL_X86_64, &image, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "entry point 0xfff00 outside its code"), "%s", e.text);
	/* With PVH it is not needed. */
	put_le32(bytes + XEN_TYPE, 18);
	open_vmlinux();
	ck_assert_uint_eq(image.elf.linux_gpa, 0);
	kernel_close(&image);
}
END_TEST

START_TEST(the_configuration_decides)
{
	static const struct {
		const char *config;
		enum hardware hardware;
	} kernels[] = {
		{"CONFIG_OF=y\nCONFIG_OF_EARLY_FLATTREE=y\n# CONFIG_ACPI is not set\n",
		 HARDWARE_FDT},
		{"CONFIG_OF_EARLY_FLATTREE=y", HARDWARE_FDT},
		{"#\nCONFIG_ACPI=y\nCONFIG_OF_EARLY_FLATTREE=y\n", HARDWARE_ACPI},
		{"CONFIG_ACPI=y\n", HARDWARE_ACPI},
		/* Device trees, but not at boot. */
		{"CONFIG_OF=y\n# CONFIG_ACPI is not set\n", HARDWARE_AUTO},
		{"# CONFIG_OF_EARLY_FLATTREE=y\nXCONFIG_ACPI=y\nCONFIG_ACPI=yes\n", HARDWARE_AUTO},
		{"\n", HARDWARE_AUTO},
		{"", HARDWARE_AUTO},
	};
	size_t i;

	ck_assert_int_eq(hardware(), HARDWARE_AUTO); /* none at all */
	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		setup();
		add_config(kernels[i].config, strlen(kernels[i].config));
		ck_assert_msg(hardware() == kernels[i].hardware, "%s", kernels[i].config);
	}
}
END_TEST

static const char tree_only[] = "CONFIG_OF_EARLY_FLATTREE=y\n";

START_TEST(only_linux_is_asked)
{
	struct kernel_image arm64 = {.arch = KERNEL_AARCH64, .format = KERNEL_ARM64_IMAGE};
	struct kernel_image bzimage = {.arch = KERNEL_X86_64, .format = KERNEL_BZIMAGE};

	add_config(tree_only, strlen(tree_only));
	ck_assert_int_eq(hardware(), HARDWARE_FDT);
	put_le32(bytes + XEN_TYPE, 18);
	ck_assert_int_eq(hardware(), HARDWARE_FDT);
	bytes[LINUX_NOTE + 12] = 'X';
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	ck_assert_int_eq(kernel_hardware(&arm64), HARDWARE_FDT);
	ck_assert_int_eq(kernel_hardware(&bzimage), HARDWARE_AUTO);
}
END_TEST

START_TEST(a_damaged_configuration_says_nothing)
{
	static char bomb[(1 << 20) + 1];
	size_t at = add_config(tree_only, strlen(tree_only)), end = len;

	bytes[at + 12] ^= 0xff;
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	bytes[at + 12] ^= 0xff;
	bytes[end - 1] = 'X'; /* the end's mark */
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	bytes[end - 1] = 'D';
	ck_assert_int_eq(hardware(), HARDWARE_FDT);
	memcpy(bytes + at, "IKCFG_ED", 8); /* nothing between the marks */
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);

	/* Short when packed, longer than any configuration when not. */
	memset(bomb, '\n', sizeof(bomb));
	memcpy(bomb, tree_only, strlen(tree_only));
	setup();
	add_config(bomb, sizeof(bomb) - 1);
	ck_assert_int_eq(hardware(), HARDWARE_FDT);
	setup();
	add_config(bomb, sizeof(bomb));
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
}
END_TEST

START_TEST(damaged_sections_say_nothing)
{
	static const uint64_t wrong[] = {UINT64_MAX, UINT64_MAX - 0x3000, INT64_MAX, 1ull << 40};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		setup();
		add_config(tree_only, strlen(tree_only));
		section(1)->sh_offset = wrong[i];
		ck_assert_int_eq(hardware(), HARDWARE_AUTO);
		section(1)->sh_offset = RODATA_OFFSET;
		section(1)->sh_size = wrong[i];
		ck_assert_int_eq(hardware(), HARDWARE_AUTO);
		section(1)->sh_size = len - RODATA_OFFSET;
		ck_assert_int_eq(hardware(), HARDWARE_FDT);
		section(2)->sh_offset = wrong[i];
		ck_assert_int_eq(hardware(), HARDWARE_AUTO);
		header()->e_shoff = wrong[i];
		ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	}
	setup();
	add_config(tree_only, strlen(tree_only));
	section(1)->sh_name = UINT32_MAX;
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	section(1)->sh_name = 1;
	header()->e_shstrndx = UINT16_MAX;
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	header()->e_shstrndx = 2;
	header()->e_shentsize = 1;
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
	header()->e_shentsize = sizeof(Elf64_Shdr);
	section(1)->sh_type = SHT_NOBITS;
	ck_assert_int_eq(hardware(), HARDWARE_AUTO);
}
END_TEST

/* Whatever bytes are there: an answer, and no access outside (the sanitizers look). */
START_TEST(any_bytes_give_an_answer)
{
	uint64_t state = unit_seed();
	unsigned i, j;

	for (i = 0; i < 2000; i++) {
		setup();
		add_config(tree_only, strlen(tree_only));
		for (j = unit_random(&state) % 8 + 1; j; j--)
			bytes[NAMES_OFFSET + unit_random(&state) % (len - NAMES_OFFSET)] =
				(uint8_t)unit_random(&state);
		ck_assert_int_ne(hardware(), HARDWARE_ACPI);
	}
}
END_TEST

TCase *hardware_case(void)
{
	TCase *tc = tcase_create("hardware");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, without_acpi_its_place_is_reserved);
	tcase_add_test(tc, a_bzimage_gets_a_tree_through_setup_data);
	tcase_add_test(tc, a_tree_fits_below_the_ebda_or_is_refused);
	tcase_add_test(tc, a_vmlinux_without_pvh_is_entered_in_64_bits);
	tcase_add_test(tc, pvh_gives_way_to_a_tree);
	tcase_add_test(tc, an_entry_outside_of_the_code_is_none);
	tcase_add_test(tc, the_configuration_decides);
	tcase_add_test(tc, only_linux_is_asked);
	tcase_add_test(tc, a_damaged_configuration_says_nothing);
	tcase_add_test(tc, damaged_sections_say_nothing);
	tcase_add_test(tc, any_bytes_give_an_answer);
	return tc;
}
