/* Interrupt lines into the in-kernel controller: see kvm.h. Any thread. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "kvm/kvm.h"

static void irq_set_level(struct irq_line *line, bool level)
{
	struct kvm_irq *irq = container_of(line, struct kvm_irq, line);
	struct kvm_irq_level request = {.irq = irq->number.ioctl_irq, .level = level};
	int ret = kvm_vm_ioctl(irq->vm, KVM_IRQ_LINE, &request);

	if (ret < 0)
		log_error("KVM does not take interrupt %u: error %d", line->gsi, -ret);
}

static void irq_pulse_line(struct irq_line *line)
{
	struct kvm_irq *irq = container_of(line, struct kvm_irq, line);

	if (irq->event_fd >= 0 && irq->number.pulse == KVM_PULSE_BY_FD) {
		fd_event_signal(irq->event_fd);
		return;
	}
	/* One that begins while another has not ended would be no edge. */
	pthread_mutex_lock(&irq->lock);
	irq_set_level(line, true);
	irq_set_level(line, false);
	pthread_mutex_unlock(&irq->lock);
}

static int irq_event_fd(struct irq_line *line)
{
	return container_of(line, struct kvm_irq, line)->event_fd;
}

static const struct irq_ops kvm_irq_ops = {
	.set = irq_set_level,
	.pulse = irq_pulse_line,
	.fd = irq_event_fd,
};

int kvm_irq_new(struct kvm_vm *vm, const struct kvm_irq_number *number, bool pulsed,
		struct irq_line **out, struct err *e)
{
	struct kvm_irq *irq = calloc(1, sizeof(*irq));
	struct kvm_irqfd request = {.gsi = number->gsi};
	int ret;

	if (!irq)
		return err_set(e, ENOMEM, "out of memory");
	irq->line = (struct irq_line){.ops = &kvm_irq_ops, .gsi = number->gsi};
	irq->vm = vm;
	irq->number = *number;
	pthread_mutex_init(&irq->lock, NULL);
	irq->event_fd = -1;
	if (pulsed) {
		irq->event_fd = eventfd(0, EFD_CLOEXEC);
		if (irq->event_fd < 0) {
			ret = err_errno(e, errno, "cannot make an eventfd for interrupt %u",
					number->gsi);
			goto fail;
		}
		request.fd = (uint32_t)irq->event_fd;
		ret = kvm_vm_ioctl(vm, KVM_IRQFD, &request);
		if (ret < 0) {
			err_errno(e, -ret, "KVM refuses an irqfd for interrupt %u", number->gsi);
			goto fail;
		}
	}
	*out = &irq->line;
	return 0;
fail:
	fd_close(&irq->event_fd);
	pthread_mutex_destroy(&irq->lock);
	free(irq);
	return ret;
}

void kvm_irq_free(struct irq_line *line)
{
	struct kvm_irq *irq;

	if (!line)
		return;
	irq = container_of(line, struct kvm_irq, line);
	/* Closing the eventfd takes the irqfd away with it. */
	fd_close(&irq->event_fd);
	pthread_mutex_destroy(&irq->lock);
	free(irq);
}
