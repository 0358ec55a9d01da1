/*
 * vCPUs and their threads: see kvm.h.
 *
 * A kick is a signal to the vCPU's thread. Its handler sets immediate_exit in the area shared with
 * the kernel, so a kick that arrives after the last test of `stopping` and `pausing` and before
 * KVM_RUN makes KVM_RUN return at once: none is lost. The flag is cleared before these are tested,
 * never after.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/thread.h"
#include "kvm/kvm.h"

#define KICK_SIGNAL (SIGRTMIN)

/* The vCPU whose thread this is: the one thing a signal handler can find it by. */
static _Thread_local struct vcpu *current_vcpu;

static void kick_handler(int signal)
{
	(void)signal;
	if (current_vcpu)
		__atomic_store_n(&current_vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
}

int vcpu_new(struct kvm_vm *vm, unsigned index, unsigned long id, struct vcpu **out, struct err *e)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	void *run;

	if (!vcpu)
		return err_set(e, ENOMEM, "out of memory");
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0) {
		int errnum = errno;

		free(vcpu);
		return err_errno(e, errnum, "KVM cannot make vCPU %u", index);
	}
	run = mmap(NULL, vm->run_size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED) {
		int errnum = errno;

		fd_close(&vcpu->fd);
		free(vcpu);
		return err_errno(e, errnum, "cannot map the state of vCPU %u", index);
	}
	vcpu->run = run;
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->moved, NULL);
	*out = vcpu;
	return 0;
}

void vcpu_free(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	munmap(vcpu->run, vcpu->vm->run_size_bytes);
	fd_close(&vcpu->fd);
	pthread_cond_destroy(&vcpu->moved);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}

int vcpu_ioctl(const struct vcpu *vcpu, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(vcpu->fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static void say_parked(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->parked = true;
	pthread_mutex_unlock(&vcpu->lock);
	if (vcpu->parked_cb)
		vcpu->parked_cb(vcpu, vcpu->opaque);
}

/*
 * KVM takes over the value of a read, and steps on, when the vCPU is entered the next time: that is
 * done here without running any of the guest. False: the thread is to end.
 */
static bool finish_exit(struct vcpu *vcpu)
{
	for (;;) {
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				return true;
			vcpu->failed(vcpu, errno, vcpu->opaque);
			return false;
		}
		/* A string instruction goes on with its next element. */
		if (vcpu->handle_exit(vcpu, vcpu->opaque) == VCPU_STOP)
			return false;
	}
}

/* Stays out of the guest until it may go on, or has to end: false. */
static bool park(struct vcpu *vcpu)
{
	if (!finish_exit(vcpu))
		return false;
	say_parked(vcpu);
	pthread_mutex_lock(&vcpu->lock);
	while (atomic_load(&vcpu->pausing) && !atomic_load(&vcpu->stopping))
		pthread_cond_wait(&vcpu->moved, &vcpu->lock);
	vcpu->parked = false;
	pthread_mutex_unlock(&vcpu->lock);
	return !atomic_load(&vcpu->stopping);
}

static void run_guest(struct vcpu *vcpu)
{
	for (;;) {
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
		atomic_signal_fence(memory_order_seq_cst);
		if (atomic_load(&vcpu->stopping))
			return;
		if (atomic_load(&vcpu->pausing)) {
			if (!park(vcpu))
				return;
			continue;
		}
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			vcpu->failed(vcpu, errno, vcpu->opaque);
			return;
		}
		if (vcpu->handle_exit(vcpu, vcpu->opaque) == VCPU_STOP)
			return;
	}
}

static void *vcpu_main(void *opaque)
{
	struct vcpu *vcpu = opaque;
	sigset_t kick;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(pthread_self(), name);
	current_vcpu = vcpu;
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	run_guest(vcpu);
	say_parked(vcpu);
	pthread_sigmask(SIG_BLOCK, &kick, NULL);
	current_vcpu = NULL;
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct err *e)
{
	struct sigaction action = {.sa_handler = kick_handler};
	int ret;

	sigemptyset(&action.sa_mask);
	sigaction(KICK_SIGNAL, &action, NULL);
	ret = thread_create(&vcpu->thread, NULL, vcpu_main, vcpu);
	if (ret)
		return err_errno(e, ret, "cannot start the thread of vCPU %u", vcpu->index);
	vcpu->started = true;
	return 0;
}

/* A thread that is parked looks again. */
static void wake(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	pthread_cond_broadcast(&vcpu->moved);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_pause(struct vcpu *vcpu)
{
	atomic_store(&vcpu->pausing, true);
	if (vcpu->started)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

void vcpu_resume(struct vcpu *vcpu)
{
	atomic_store(&vcpu->pausing, false);
	wake(vcpu);
}

bool vcpu_is_parked(struct vcpu *vcpu)
{
	bool parked;

	pthread_mutex_lock(&vcpu->lock);
	parked = vcpu->parked || !vcpu->started;
	pthread_mutex_unlock(&vcpu->lock);
	return parked;
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	atomic_store(&vcpu->stopping, true);
	wake(vcpu);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
	pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}
