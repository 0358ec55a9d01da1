/* What the probe makes of what it found: made-up hosts, and what the verdict has to say of each. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "probe/probe.h"
#include "test_probe.h"

#define NS UINT64_C(1000)

/* A host with nothing to complain about. */
static struct kvm_probe_report good_host(void)
{
	struct kvm_probe_report r = {
		.presence = PROBE_KVM_PRESENT,
		.api_version = 12,
		.caps = {{"irqchip", "an interrupt controller in the kernel", 1, true, false},
			 {"nested_state", "state of nested guests", 0, false, false}},
		.cap_count = 2,
		.measured = true,
		.cost_ps = {[PROBE_CPL0_REAL] = 400,
			    [PROBE_CPL0_LONG] = 300,
			    [PROBE_CPL3_LONG] = 300,
			    [PROBE_PIO_EXIT] = 2000 * NS},
		.insns = {{"int3", PROBE_INSN_WORKS},
			  {"popcnt", PROBE_INSN_ABSENT},
			  {"xrstor", PROBE_INSN_WORKS}},
		.insn_count = 3,
	};

	return r;
}

START_TEST(good_host_boots_linux)
{
	struct kvm_probe_report r = good_host();

	kvm_probe_judge(&r);
	ck_assert(r.can_boot_linux);
	ck_assert(!r.kernel_emulated);
	ck_assert_str_eq(r.reason, "a stock Linux boots here");
}
END_TEST

START_TEST(absent_instructions_and_optional_caps_do_not_count)
{
	struct kvm_probe_report r = good_host();

	for (unsigned i = 0; i < r.insn_count; i++)
		r.insns[i].result = PROBE_INSN_ABSENT;
	kvm_probe_judge(&r);
	ck_assert(r.can_boot_linux);
}
END_TEST

/* As the software back-end in the field: slow at CPL 0, native at CPL 3, no int3. */
START_TEST(emulated_kernel_is_told_with_its_speed_and_gaps)
{
	struct kvm_probe_report r = good_host();

	r.cost_ps[PROBE_CPL0_LONG] = 1000 * NS;
	r.insns[0].result = PROBE_INSN_FAILS;
	r.insns[2].result = PROBE_INSN_FAILS;
	kvm_probe_judge(&r);
	ck_assert(!r.can_boot_linux);
	ck_assert(r.kernel_emulated);
	ck_assert_str_eq(r.reason,
			 "a stock Linux does not boot here: guest kernel code is emulated "
			 "(about 500 ns an instruction); int3, xrstor do not work at CPL 0; "
			 "small guests run, at CPL 3 at the processor's full speed");
}
END_TEST

/* A KVM host that is itself emulated: everything is slow alike, and Linux boots. */
START_TEST(slow_all_over_is_not_emulated)
{
	struct kvm_probe_report r = good_host();

	r.cost_ps[PROBE_CPL0_LONG] = 150 * NS;
	r.cost_ps[PROBE_CPL3_LONG] = 140 * NS;
	kvm_probe_judge(&r);
	ck_assert(r.can_boot_linux);
	ck_assert(!r.kernel_emulated);
}
END_TEST

START_TEST(kernel_code_that_does_not_run_is_a_reason)
{
	struct kvm_probe_report r = good_host();

	r.cost_ps[PROBE_CPL0_LONG] = 0;
	kvm_probe_judge(&r);
	ck_assert(!r.can_boot_linux);
	ck_assert_ptr_nonnull(strstr(r.reason, "kernel code in 64-bit mode does not run"));
	ck_assert_ptr_null(strstr(r.reason, "small guests run"));
}
END_TEST

START_TEST(one_failing_instruction_is_enough)
{
	struct kvm_probe_report r = good_host();

	r.insns[0].result = PROBE_INSN_FAILS;
	kvm_probe_judge(&r);
	ck_assert(!r.can_boot_linux);
	ck_assert_str_eq(r.reason, "a stock Linux does not boot here: int3 does not work at CPL 0");
}
END_TEST

START_TEST(missing_required_cap_is_named)
{
	struct kvm_probe_report r = good_host();

	r.caps[0].value = 0;
	kvm_probe_judge(&r);
	ck_assert(!r.can_boot_linux);
	ck_assert_ptr_nonnull(strstr(r.reason, "KVM lacks an interrupt controller in the kernel"));
}
END_TEST

START_TEST(no_kvm_gives_its_sentence)
{
	struct kvm_probe_report r = {.presence = PROBE_KVM_MISSING};

	snprintf(r.problem, sizeof(r.problem), "this host has no /dev/kvm");
	kvm_probe_judge(&r);
	ck_assert(!r.can_boot_linux);
	ck_assert_str_eq(r.reason, "no guest runs here: this host has no /dev/kvm");
}
END_TEST

START_TEST(unmeasured_host_says_so)
{
	struct kvm_probe_report r = good_host();

	r.measured = false;
	memset(r.cost_ps, 0, sizeof(r.cost_ps));
	kvm_probe_judge(&r);
	ck_assert(r.can_boot_linux);
	ck_assert_ptr_nonnull(strstr(r.reason, "nothing was measured"));
}
END_TEST

START_TEST(longest_problem_is_told_whole)
{
	struct kvm_probe_report r = {.presence = PROBE_KVM_UNUSABLE};

	memset(r.problem, 'x', sizeof(r.problem) - 1);
	kvm_probe_judge(&r);
	ck_assert_str_eq(strchr(r.reason, ':') + 2, r.problem);
}
END_TEST

START_TEST(every_cost_has_a_name)
{
	for (int i = 0; i < PROBE_COSTS; i++) {
		ck_assert_ptr_nonnull(probe_cost_name((enum probe_cost)i));
		ck_assert_ptr_nonnull(probe_cost_words((enum probe_cost)i));
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("probe");
	TCase *verdict = tcase_create("verdict");

	tcase_add_test(verdict, good_host_boots_linux);
	tcase_add_test(verdict, absent_instructions_and_optional_caps_do_not_count);
	tcase_add_test(verdict, emulated_kernel_is_told_with_its_speed_and_gaps);
	tcase_add_test(verdict, slow_all_over_is_not_emulated);
	tcase_add_test(verdict, kernel_code_that_does_not_run_is_a_reason);
	tcase_add_test(verdict, one_failing_instruction_is_enough);
	tcase_add_test(verdict, missing_required_cap_is_named);
	tcase_add_test(verdict, no_kvm_gives_its_sentence);
	tcase_add_test(verdict, unmeasured_host_says_so);
	tcase_add_test(verdict, longest_problem_is_told_whole);
	tcase_add_test(verdict, every_cost_has_a_name);
	suite_add_tcase(suite, verdict);
	suite_add_tcase(suite, trial_cases());
	return suite;
}
