/*
 * An interrupt line as a device sees it. What is behind it (a GSI of the in-kernel irqchip, an
 * irqfd, a GIC SPI, a counter in a test) is the owner's business. Both calls are allowed on any
 * thread and never block for long.
 */
#ifndef SARANG_BUS_IRQ_H
#define SARANG_BUS_IRQ_H

struct irq_line;

struct irq_ops {
	void (*set)(struct irq_line *line, _Bool level);
	void (*pulse)(struct irq_line *line);
	int (*fd)(struct irq_line *line); /* NULL: there is none */
};

struct irq_line {
	const struct irq_ops *ops;
	unsigned gsi; /* the number tables give the guest (x86 GSI; aarch64 SPI number, from 0) */
};

/* Drives the line to @level. For level-triggered devices, and edges made of two levels. */
static inline void irq_set(struct irq_line *line, _Bool level)
{
	line->ops->set(line, level);
}

/* One edge. For message-like, edge-triggered devices (virtio-mmio). */
static inline void irq_pulse(struct irq_line *line)
{
	line->ops->pulse(line);
}

/* An eventfd that pulses the line when it is signalled, for who cannot call; the line's own. -1:
 * there is none. */
static inline int irq_fd(struct irq_line *line)
{
	return line->ops->fd ? line->ops->fd(line) : -1;
}

#endif
