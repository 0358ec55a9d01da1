/*
 * The probe against whatever KVM this host has, or none: its report is consistent, and nothing it
 * runs outlives its time. Without a KVM that makes a VM, the first is all there is to test.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kvm/kvm.h"
#include "probe/probe.h"
#include "probe/trial.h"
#include "test_probe.h"

START_TEST(report_is_consistent_with_or_without_kvm)
{
	struct kvm_probe_report r;
	struct err e = {0};

	ck_assert_msg(kvm_probe(&r, &e) == 0, "%s", e.text);
	ck_assert_uint_gt(strlen(r.reason), 0);
	if (r.presence != PROBE_KVM_PRESENT) {
		ck_assert(!r.can_boot_linux);
		ck_assert_uint_gt(strlen(r.problem), 0);
		return;
	}
	ck_assert_uint_eq(strlen(r.problem), 0);
	ck_assert_uint_gt(r.cap_count, 0);
	for (unsigned i = 0; i < r.insn_count; i++)
		ck_assert_ptr_nonnull(r.insns[i].name);
	if (r.can_boot_linux && r.measured)
		ck_assert_uint_gt(r.cost_ps[PROBE_CPL0_LONG], 0);
}
END_TEST

START_TEST(signal_mask_is_left_as_it_was)
{
	struct kvm_probe_report r;
	struct err e = {0};
	sigset_t before, after;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(kvm_probe(&r, &e), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int i = 1; i < SIGRTMAX; i++)
		ck_assert_int_eq(sigismember(&before, i), sigismember(&after, i));
}
END_TEST

#ifdef __x86_64__
#include "probe/x86_64.h"

extern const uint8_t probe_forever[], probe_spin64[];

/* Runs @code in a VM of its own; false where this host makes none. */
static bool run(const uint8_t *code, enum x86_mode mode, enum trial_end *end, uint64_t limit_ns)
{
	static const struct kvm_cpuid2 no_cpuid;
	struct x86_program program = {.code = code, .mode = mode, .rcx = 10};
	struct kvm_vm *vm = NULL;
	struct vcpu *vcpu = NULL;
	struct trial trial;
	uint64_t elapsed_ns;
	struct err e = {0};

	if (kvm_vm_new(&vm, 0, &e) < 0) {
		printf("not tested here: %s\n", e.text);
		return false;
	}
	ck_assert_msg(trial_open(&trial, vm, &e) == 0, "%s", e.text);
	x86_fill_memory(&trial);
	ck_assert_msg(trial_vcpu(&trial, &vcpu, &e) == 0, "%s", e.text);
	ck_assert_int_eq(x86_start(vcpu, &no_cpuid, &program), 0);
	*end = trial_run(&trial, vcpu, limit_ns, &elapsed_ns);
	vcpu_free(vcpu);
	trial_close(&trial);
	kvm_vm_free(vm);
	return true;
}

START_TEST(guest_that_never_ends_is_ended)
{
	static const enum x86_mode modes[] = {X86_CPL0, X86_CPL3};
	enum trial_end end;

	if (run(probe_forever, modes[_i], &end, 10000000))
		ck_assert_int_eq(end, TRIAL_LATE);
}
END_TEST

START_TEST(guest_that_ends_is_not_late)
{
	enum trial_end end;

	if (run(probe_spin64, X86_CPL3, &end, 60000000000))
		ck_assert_int_eq(end, TRIAL_DONE);
}
END_TEST

static void add_x86_tests(TCase *cases)
{
	tcase_add_loop_test(cases, guest_that_never_ends_is_ended, 0, 2);
	tcase_add_test(cases, guest_that_ends_is_not_late);
}
#else
static void add_x86_tests(TCase *cases)
{
	(void)cases;
}
#endif

TCase *trial_cases(void)
{
	TCase *cases = tcase_create("trial");

	tcase_add_test(cases, report_is_consistent_with_or_without_kvm);
	tcase_add_test(cases, signal_mask_is_left_as_it_was);
	add_x86_tests(cases);
	return cases;
}
