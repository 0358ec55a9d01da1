/* The throw-away VM of trial.h: memory, timer, run loop. Runs on the caller's thread. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "trial.h"

#define NS_PER_S 1000000000ull

static int trial_signal(void)
{
	return SIGRTMIN + 5;
}

static int make_timer(struct trial *t, struct err *e)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = trial_signal(),
		._sigev_un._tid = gettid(),
	};

	if (timer_create(CLOCK_MONOTONIC, &event, &t->timer))
		return err_errno(e, errno, "cannot make the timer that bounds a measurement");
	t->timer_made = true;
	return 0;
}

static int add_memory(struct trial *t, struct err *e)
{
	struct kvm_userspace_memory_region slot = {.memory_size = TRIAL_MEMORY_BYTES};
	struct kvm_ioeventfd doorbell = {.addr = TRIAL_DOORBELL, .len = 4};
	int ret;

	t->memory = mmap(NULL, TRIAL_MEMORY_BYTES, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->memory == MAP_FAILED) {
		t->memory = NULL;
		return err_errno(e, errno, "no memory for the guest that is measured");
	}
	slot.userspace_addr = (uintptr_t)t->memory;
	ret = kvm_vm_ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &slot);
	if (ret < 0)
		return err_errno(e, -ret, "KVM refuses memory for the guest that is measured");
	t->doorbell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->doorbell_fd < 0)
		return err_errno(e, errno, "cannot make an eventfd");
	doorbell.fd = t->doorbell_fd;
	ret = kvm_vm_ioctl(t->vm, KVM_IOEVENTFD, &doorbell);
	return ret < 0 ? err_errno(e, -ret, "KVM refuses an ioeventfd") : 0;
}

int trial_open(struct trial *t, struct kvm_vm *vm, struct err *e)
{
	sigset_t ours;
	int ret;

	*t = (struct trial){.vm = vm, .doorbell_fd = -1};
	sigemptyset(&ours);
	sigaddset(&ours, trial_signal());
	pthread_sigmask(SIG_BLOCK, &ours, &t->old_mask);
	ret = make_timer(t, e);
	return ret < 0 ? ret : add_memory(t, e);
}

/* Takes a timer signal that is pending; whether there was one. */
static bool take_signal(void)
{
	struct timespec at_once = {0};
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, trial_signal());
	return sigtimedwait(&ours, NULL, &at_once) > 0;
}

void trial_close(struct trial *t)
{
	if (t->timer_made)
		timer_delete(t->timer);
	take_signal();
	pthread_sigmask(SIG_SETMASK, &t->old_mask, NULL);
	fd_close(&t->doorbell_fd);
	if (t->memory)
		munmap(t->memory, TRIAL_MEMORY_BYTES);
}

/* The kernel's signal sets are 8 bytes, the first of the C library's. */
#define KERNEL_SIGSET_BYTES 8

int trial_vcpu(struct trial *t, struct vcpu **out, struct err *e)
{
	union {
		struct kvm_signal_mask mask;
		uint8_t bytes[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_BYTES];
	} arg = {.mask.len = KERNEL_SIGSET_BYTES};
	sigset_t inside;
	int ret = vcpu_new(t->vm, t->vcpu_count, t->vcpu_count, out, e);

	if (ret < 0)
		return ret;
	t->vcpu_count++;
	pthread_sigmask(SIG_SETMASK, NULL, &inside);
	sigdelset(&inside, trial_signal());
	memcpy(arg.mask.sigset, &inside, KERNEL_SIGSET_BYTES);
	ret = vcpu_ioctl(*out, KVM_SET_SIGNAL_MASK, &arg);
	if (ret < 0) {
		vcpu_free(*out);
		return err_errno(e, -ret, "KVM refuses a signal mask");
	}
	return 0;
}

static void set_timer(struct trial *t, uint64_t ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)},
	};

	timer_settime(t->timer, 0, &when, NULL);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Whether the exit that @run describes ends the run, and how. Others are answered with zeroes. */
static bool is_end(struct kvm_run *run, enum trial_end *end)
{
	switch (run->exit_reason) {
	case KVM_EXIT_HLT:
		*end = TRIAL_DONE;
		return true;
	case KVM_EXIT_MMIO:
		*end = TRIAL_DONE;
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
		return run->mmio.is_write && run->mmio.phys_addr == TRIAL_END;
	case KVM_EXIT_IO:
	case KVM_EXIT_INTR:
		return false;
	default:
		*end = TRIAL_BROKEN;
		return true;
	}
}

/* An access that ended a run is only over when KVM_RUN has been entered once more. */
static void complete_access(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	(void)ioctl(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
}

enum trial_end trial_run(struct trial *t, struct vcpu *vcpu, uint64_t budget_ns,
			 uint64_t *elapsed_ns)
{
	enum trial_end end = TRIAL_DONE;
	uint64_t start = now_ns();

	set_timer(t, budget_ns);
	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			if (is_end(vcpu->run, &end))
				break;
		} else if (errno != EINTR && errno != EAGAIN) {
			end = TRIAL_BROKEN;
			break;
		} else if (take_signal()) {
			end = TRIAL_LATE;
			break;
		}
	}
	*elapsed_ns = now_ns() - start;
	set_timer(t, 0);
	take_signal();
	if (end == TRIAL_DONE)
		complete_access(vcpu);
	return end;
}
