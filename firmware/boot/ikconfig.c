/*
 * What a Linux kernel says of its own configuration (kernel/configs.c, CONFIG_IKCONFIG): its
 * .config, compressed with gzip, between the marks IKCFG_ST and IKCFG_ED in .rodata. See
 * kernel_hardware.
 *
 * The file is hostile: the search stays inside the section and below a bound, what is unpacked too,
 * and whatever is not as it should be counts as a kernel that says nothing. Used by one thread.
 */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/fd.h"
#include "base/util.h"
#include "boot/load.h"

#define RODATA_BYTES_MAX ((uint64_t)32 << 20) /* of .rodata are searched: Debian's has 4 MiB */
#define CONFIG_BYTES_MAX ((size_t)1 << 20)    /* unpacked: Debian's has 260 KiB */
#define PIECE_BYTES      ((size_t)64 << 10)
#define MARK_START       "IKCFG_ST"
#define MARK_END         "IKCFG_ED"
#define MARK_BYTES       8
#define GZIP_WINDOW      (15 + 16) /* zlib: the largest window; a gzip header */

/* Unpacks a gzip member into a text of its own; NULL when it is not one, or too long. */
static char *unpack(const uint8_t *packed, size_t len)
{
	z_stream z = {.next_in = (Bytef *)packed, .avail_in = (uInt)len};
	char *text = malloc(CONFIG_BYTES_MAX + 1);
	int ret = Z_MEM_ERROR;

	if (text && inflateInit2(&z, GZIP_WINDOW) == Z_OK) {
		z.next_out = (Bytef *)text;
		z.avail_out = CONFIG_BYTES_MAX;
		ret = inflate(&z, Z_FINISH);
		text[CONFIG_BYTES_MAX - z.avail_out] = '\0';
		inflateEnd(&z);
	}
	if (ret == Z_STREAM_END)
		return text;
	free(text);
	return NULL;
}

/*
 * Where the configuration starts in the @len bytes of the file from @offset on; 0: nowhere. A small
 * buffer again and again, as memory that is new to a process costs more than what is read into it.
 */
static uint64_t find_start(const struct kernel_image *image, uint64_t offset, uint64_t len)
{
	uint8_t piece[PIECE_BYTES];
	const uint8_t *mark;
	uint64_t end = offset + len;

	while (end - offset >= MARK_BYTES) {
		size_t want = MIN(end - offset, (uint64_t)sizeof(piece));

		if (fd_pread_full(image->fd, piece, want, offset) != (ssize_t)want)
			return 0;
		mark = memmem(piece, want, MARK_START, MARK_BYTES);
		if (mark)
			return offset + (uint64_t)(mark - piece) + MARK_BYTES;
		/* The mark may begin at the end of this piece. */
		offset += want - (MARK_BYTES - 1);
	}
	return 0;
}

/* The configuration that is packed in the @len bytes from @offset on, up to its mark; to be freed.
 */
static char *read_packed(const struct kernel_image *image, uint64_t offset, uint64_t len)
{
	uint8_t *packed = malloc(len + 1);
	const uint8_t *end = NULL;
	char *config = NULL;

	if (packed && fd_pread_full(image->fd, packed, len, offset) == (ssize_t)len)
		end = memmem(packed, len, MARK_END, MARK_BYTES);
	if (end)
		config = unpack(packed, (size_t)(end - packed));
	free(packed);
	return config;
}

static char *read_config(const struct kernel_image *image)
{
	uint64_t offset, len, start;

	if (!elf_find_section(image, ".rodata", &offset, &len))
		return NULL;
	len = MIN(len, RODATA_BYTES_MAX);
	start = find_start(image, offset, len);
	if (!start)
		return NULL;
	return read_packed(image, start, MIN(offset + len - start, (uint64_t)CONFIG_BYTES_MAX));
}

/* Whether a line of @config is @line. */
static bool has_line(const char *config, const char *line)
{
	size_t len = strlen(line);
	const char *at;

	for (at = config; (at = strstr(at, line)); at += len)
		if ((at == config || at[-1] == '\n') && (at[len] == '\n' || !at[len]))
			return true;
	return false;
}

enum hardware kernel_hardware(const struct kernel_image *image)
{
	enum hardware hardware = HARDWARE_AUTO;
	char *config;

	if (image->arch == KERNEL_AARCH64)
		return HARDWARE_FDT;
	if (image->format == KERNEL_BZIMAGE || !image->elf.linux_gpa)
		return HARDWARE_AUTO;
	config = read_config(image);
	if (!config)
		return HARDWARE_AUTO;
	if (has_line(config, "CONFIG_ACPI=y"))
		hardware = HARDWARE_ACPI;
	else if (has_line(config, "CONFIG_OF_EARLY_FLATTREE=y"))
		hardware = HARDWARE_FDT;
	free(config);
	return hardware;
}
