/* PVH: segments, notes, and hvm_start_info. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot/x86_layout.h"
#include "synth.h"
#include "tests.h"

static uint8_t bytes[SYNTH_ELF_BYTES];
static struct kernel_image image;
static struct err e;

static void setup(void)
{
	synth_elf(bytes);
	e = (struct err){0};
}

static Elf64_Ehdr *header(void)
{
	return (void *)bytes;
}

/* 0 data, 1 code, 2 note. */
static Elf64_Phdr *segment(unsigned index)
{
	return (Elf64_Phdr *)(void *)(bytes + sizeof(Elf64_Ehdr)) + index;
}

static int open_elf(void)
{
	return synth_open(bytes, sizeof(bytes), KERNEL_X86_64, &image, &e);
}

static void refused(const char *part)
{
	ck_assert_int_eq(open_elf(), -EINVAL);
	ck_assert_msg(strstr(e.text, part), "no \"%s\" in: %s", part, e.text);
	synth_elf(bytes);
}

START_TEST(segments_lie_at_their_physical_addresses)
{
	struct gmem *mem = synth_memory(MIB(4), 0);
	struct boot_request request = {.cmdline = "x"};
	struct boot_entry entry;
	uint8_t got[0x4000], zeroes[0x4000] = {0};

	ck_assert_msg(!open_elf(), "%s", e.text);
	ck_assert_int_eq(image.format, KERNEL_ELF_PVH);
	ck_assert_uint_eq(image.min_bytes, SYNTH_ELF_END);
	ck_assert_uint_eq(image.cmdline_max, 2047);
	ck_assert_msg(!boot_load_x86(mem, &image, &request, &entry, &e), "%s", e.text);
	ck_assert_int_eq(entry.protocol, BOOT_PVH32);
	ck_assert_uint_eq(entry.entry_gpa, 0x100010);
	ck_assert_uint_eq(entry.kernel_gpa, 0x100000);
	ck_assert_uint_eq(entry.kernel_end, SYNTH_ELF_END);
	ck_assert_int_eq(gmem_read(mem, 0x100000, got, 0x1000), 0);
	ck_assert_mem_eq(got, bytes + SYNTH_ELF_CODE_OFFSET, 0x1000);
	ck_assert_int_eq(gmem_read(mem, 0x200000, got, 0x4000), 0);
	ck_assert_mem_eq(got, bytes + SYNTH_ELF_DATA_OFFSET, 0x800);
	ck_assert_mem_eq(got + 0x800, zeroes, 0x3800);
	kernel_close(&image);
	gmem_free(mem);
}
END_TEST

START_TEST(start_info_names_everything)
{
	struct gmem *mem = synth_memory(MIB(4), MIB(2));
	struct synth_file initrd;
	struct boot_request request = {.cmdline = "ab", .rsdp_gpa = 0xe0000};
	struct boot_entry entry;
	uint8_t info[56], module[32], map[24 * 5];

	synth_file_new(&initrd, "initrd", 6);
	request.initrd = initrd.path;
	ck_assert_msg(!open_elf(), "%s", e.text);
	ck_assert_msg(!boot_load_x86(mem, &image, &request, &entry, &e), "%s", e.text);
	ck_assert_uint_eq(entry.info_gpa, X86_START_INFO_GPA);
	ck_assert_int_eq(gmem_read(mem, entry.info_gpa, info, sizeof(info)), 0);
	ck_assert_uint_eq(get_le32(info), 0x336ec578);
	ck_assert_uint_eq(get_le32(info + 4), 1);
	ck_assert_uint_eq(get_le32(info + 12), 1);
	ck_assert_uint_eq(get_le64(info + 24), X86_CMDLINE_GPA);
	ck_assert_uint_eq(get_le64(info + 32), 0xe0000);
	ck_assert_uint_eq(get_le32(info + 48), 5);
	ck_assert_int_eq(gmem_read(mem, get_le64(info + 16), module, sizeof(module)), 0);
	ck_assert_uint_eq(get_le64(module), MIB(4) - 4096);
	ck_assert_uint_eq(get_le64(module + 8), 6);
	ck_assert_int_eq(gmem_read(mem, get_le64(info + 40), map, sizeof(map)), 0);
	ck_assert_uint_eq(get_le64(map), 0);
	ck_assert_uint_eq(get_le64(map + 8), X86_EBDA_GPA);
	ck_assert_uint_eq(get_le32(map + 16), 1);
	ck_assert_uint_eq(get_le64(map + 4 * 24), X86_ABOVE_4G_GPA);
	kernel_close(&image);
	synth_file_free(&initrd);
	gmem_free(mem);
}
END_TEST

START_TEST(without_a_pvh_note_there_is_no_way_in)
{
	uint8_t *note = bytes + SYNTH_ELF_NOTE_OFFSET;

	segment(2)->p_type = PT_NULL;
	refused("without a PVH entry point");
	put_le32(note + 28, 17);
	refused("without a PVH entry point");
	memcpy(note + 32, "Zen", 4);
	refused("without a PVH entry point");
	put_le32(note + 24, 2); /* too short for an address */
	refused("without a PVH entry point");
	segment(2)->p_filesz = 40; /* ends within the address */
	refused("without a PVH entry point");
	segment(2)->p_filesz = 0;
	refused("without a PVH entry point");
	segment(2)->p_filesz = SYNTH_ELF_BYTES;
	refused("truncated");
	segment(2)->p_offset = UINT64_MAX;
	refused("truncated");
}
END_TEST

/* Lengths that wrap a sum of 32 or 64 bits do not lead the walk anywhere. */
START_TEST(note_lengths_do_not_wrap)
{
	static const uint32_t lengths[] = {UINT32_MAX, UINT32_MAX - 3, UINT32_MAX - 15, 0x80000000};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		put_le32(bytes + SYNTH_ELF_NOTE_OFFSET, lengths[i]);
		refused("without a PVH entry point");
		put_le32(bytes + SYNTH_ELF_NOTE_OFFSET + 4, lengths[i]);
		refused("without a PVH entry point");
	}
}
END_TEST

START_TEST(an_entry_of_4_bytes_is_taken_too)
{
	put_le32(bytes + SYNTH_ELF_NOTE_OFFSET + 24, 4);
	ck_assert_msg(!open_elf(), "%s", e.text);
	ck_assert_uint_eq(image.elf.pvh_gpa, 0x100010);
	kernel_close(&image);
}
END_TEST

START_TEST(an_entry_outside_the_code_is_refused)
{
	static const uint64_t entries[] = {0, 0xfffff, 0x101000, 0x200800, UINT64_MAX};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		put_le64(bytes + SYNTH_ELF_NOTE_OFFSET + 36, entries[i]);
		refused("outside its code");
	}
}
END_TEST

/* A segment may lie nowhere but in RAM from 1 MiB to 4 GiB, where no table of ours is. */
START_TEST(segments_outside_of_ram_are_refused)
{
	static const uint64_t places[] = {0,          X86_START_INFO_GPA, 0xff000,
					  0xfffff,    X86_ABOVE_4G_GPA,   X86_ABOVE_4G_GPA - 1,
					  UINT64_MAX, UINT64_MAX - 0x3fff};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		segment(0)->p_paddr = places[i];
		refused("between 1 MiB and 4 GiB");
	}
	segment(0)->p_memsz = UINT64_MAX;
	refused("between 1 MiB and 4 GiB");
	segment(0)->p_filesz = 0x4001; /* more in the file than in memory */
	refused("between 1 MiB and 4 GiB");
	segment(0)->p_offset = UINT64_MAX - 1;
	refused("truncated");
	segment(0)->p_offset = SYNTH_ELF_BYTES;
	refused("truncated");
}
END_TEST

START_TEST(segments_that_overlap_are_refused)
{
	segment(0)->p_paddr = 0x100fff;
	refused("overlap at 0x100fff");
	segment(1)->p_memsz = 0x100001;
	refused("overlap at 0x200000");
	segment(0)->p_paddr = 0x100000;
	refused("overlap");
	segment(0)->p_paddr = 0x101000; /* adjoining is fine */
	ck_assert_msg(!open_elf(), "%s", e.text);
	kernel_close(&image);
}
END_TEST

START_TEST(headers_out_of_range_are_refused)
{
	header()->e_phnum = 0;
	refused("0 program headers");
	header()->e_phnum = UINT16_MAX;
	refused("65535 program headers");
	header()->e_phentsize = 1;
	refused("of 1 bytes");
	header()->e_phoff = UINT64_MAX;
	refused("truncated");
	header()->e_phoff = SYNTH_ELF_BYTES - 1;
	refused("truncated");
	header()->e_type = ET_REL;
	refused("not an executable one");
}
END_TEST

START_TEST(more_segments_than_there_is_room_for_are_refused)
{
	unsigned i;

	header()->e_phoff = SYNTH_ELF_CODE_OFFSET;
	header()->e_phnum = ELF_SEGMENTS_MAX + 1;
	for (i = 0; i <= ELF_SEGMENTS_MAX; i++) {
		Elf64_Phdr p = {.p_type = PT_LOAD, .p_paddr = 0x100000 + 4096 * i, .p_memsz = 1};

		memcpy(bytes + SYNTH_ELF_CODE_OFFSET + i * sizeof(p), &p, sizeof(p));
	}
	refused("more than 32 segments");
}
END_TEST

START_TEST(a_segment_past_the_guests_memory_is_refused)
{
	struct gmem *mem = synth_memory(MIB(2), MIB(64));
	struct boot_request request = {0};
	struct boot_entry entry;

	ck_assert_msg(!open_elf(), "%s", e.text);
	ck_assert_int_eq(boot_load_x86(mem, &image, &request, &entry, &e), -ENOSPC);
	ck_assert_msg(strstr(e.text, "needs the first 3 MiB"), "%s", e.text);
	kernel_close(&image);
	gmem_free(mem);
}
END_TEST

TCase *elf_case(void)
{
	TCase *tc = tcase_create("elf");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, segments_lie_at_their_physical_addresses);
	tcase_add_test(tc, start_info_names_everything);
	tcase_add_test(tc, without_a_pvh_note_there_is_no_way_in);
	tcase_add_test(tc, note_lengths_do_not_wrap);
	tcase_add_test(tc, an_entry_of_4_bytes_is_taken_too);
	tcase_add_test(tc, an_entry_outside_the_code_is_refused);
	tcase_add_test(tc, segments_outside_of_ram_are_refused);
	tcase_add_test(tc, segments_that_overlap_are_refused);
	tcase_add_test(tc, headers_out_of_range_are_refused);
	tcase_add_test(tc, more_segments_than_there_is_room_for_are_refused);
	tcase_add_test(tc, a_segment_past_the_guests_memory_is_refused);
	return tc;
}
