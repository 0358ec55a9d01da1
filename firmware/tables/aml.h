/*
 * A writer of ACPI Machine Language: what a device uses to add its own object to the DSDT.
 *
 * ACPI Specification 6.5, chapter 20 (AML). Packages (things with a length in front) nest: each
 * aml_begin_* is closed by aml_end, and the writer fixes the lengths.
 */
#ifndef SARANG_TABLES_AML_H
#define SARANG_TABLES_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define AML_DEPTH_MAX 16

struct aml {
	struct strbuf out;
	struct {
		size_t start; /* where the package's contents begin in @out */
		bool sized;   /* a ResourceTemplate: a buffer with its size */
	} open[AML_DEPTH_MAX];
	unsigned depth;
};

void aml_init(struct aml *aml);
void aml_free(struct aml *aml);

/* Closes the innermost open package. */
void aml_end(struct aml *aml);

/*
 * Scope(\_SB) and the like. @path: an ACPI path of segments of 1 to 4 characters ("\\_SB",
 * "_SB.GED0").
 */
void aml_begin_scope(struct aml *aml, const char *path);
void aml_begin_device(struct aml *aml, const char *name);
/* Method(NAME, ARGS, Serialized or not). */
void aml_begin_method(struct aml *aml, const char *name, unsigned args, bool serialized);
/* Name(NAME, Package(){...}) of @count elements that follow. */
void aml_begin_package(struct aml *aml, const char *name, uint8_t count);
/* Name(_CRS, ResourceTemplate(){...}): the aml_res_* that follow go into it. */
void aml_begin_crs(struct aml *aml);

/* Name(NAME, value) */
void aml_name_int(struct aml *aml, const char *name, uint64_t value);
void aml_name_string(struct aml *aml, const char *name, const char *text);
/* Name(NAME, EisaId("PNP0501")) */
void aml_name_eisaid(struct aml *aml, const char *name, const char *id);

/* An integer or string by itself: an element of a package, an operand. */
void aml_int(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);

/* Notify(\PATH, VALUE) */
void aml_notify(struct aml *aml, const char *path, uint64_t value);

/* Resource descriptors (6.4), inside aml_begin_crs. */
void aml_res_memory32(struct aml *aml, uint32_t base, uint32_t len, bool writable);
void aml_res_io(struct aml *aml, uint16_t base, uint8_t len);
enum aml_irq_flags {
	AML_IRQ_LEVEL = 0,
	AML_IRQ_EDGE = 1 << 0,
	AML_IRQ_SHARED = 1 << 1,
};
/* Extended interrupt descriptor: consumer, active high. */
void aml_res_irq(struct aml *aml, uint32_t gsi, unsigned flags);

#endif
