/* `sarang doctor`: what this host's KVM can do, measured. */
#ifndef SARANG_MACHINE_DOCTOR_H
#define SARANG_MACHINE_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/*
 * Prints it to @out in words, or as JSON: a host without KVM is a finding like any other, and the
 * report says what to do about it. Returns 0 when a stock Linux can be expected to boot here, 1
 * when not (the report has the reason), -errno with a sentence when there could be no report. That
 * @out took it all is for the caller to check.
 */
int doctor_run(bool json, FILE *out, struct err *e);

#endif
