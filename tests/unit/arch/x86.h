/* The cases of the x86_64 program, and what they share. */
#ifndef SARANG_TESTS_ARCH_X86_H
#define SARANG_TESTS_ARCH_X86_H

#include "board.h"
#include "tree.h"

TCase *x86_plan_case(void);
TCase *x86_tree_case(void);

#endif
