/* The cases of this program, one file each, and the sample machine they share. */
#ifndef SARANG_TESTS_TABLES_H
#define SARANG_TESTS_TABLES_H

#include <check.h>

#include "tables/acpi.h"

TCase *aml_case(void);
TCase *acpi_case(void);
TCase *iasl_case(void);
TCase *fdt_case(void);

/* A board with @cpus vCPUs (at most SAMPLE_CPUS_MAX) whose APIC ids count from 0, and what devices
 * write. */
#define SAMPLE_CPUS_MAX 1024
#define SAMPLE_GPA      0xe0000
void sample_board(struct acpi_board *board, unsigned cpus);
void sample_dsdt(struct aml *aml);

#endif
