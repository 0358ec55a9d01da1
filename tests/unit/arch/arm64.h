/* The cases of the aarch64 program, and what they share. */
#ifndef SARANG_TESTS_ARCH_ARM64_H
#define SARANG_TESTS_ARCH_ARM64_H

#include "board.h"
#include "tree.h"

TCase *arm64_plan_case(void);
TCase *arm64_tree_case(void);

#endif
