/*
 * hold-vm: keeps one virtual machine open, which never runs, for as long as the emulated KVM host
 * is up.
 *
 * KVM on x86 turns static keys on with the first virtual machine, and with the first local APIC
 * that is disabled by software (as each is when its processor is made) or by hardware, and off with
 * the last. Each time it patches kernel code that the other processors run. QEMU 7.2 may translate
 * the breakpoint that stands there meanwhile and keep that translation: the processors then take
 * the same breakpoint for ever. While this one is open the keys stay on, whatever guests come and
 * go.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { APIC_BASE_ENABLE = 1 << 11 };

int main(void)
{
	struct kvm_sregs sregs;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
		err(1, "hold-vm: no virtual machine");
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		err(1, "hold-vm: no virtual processor");
	sregs.apic_base &= ~(__u64)APIC_BASE_ENABLE;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
		err(1, "hold-vm: its local APIC stays enabled");
	for (;;)
		pause();
}
