/*
 * CPUID: what the host's KVM supports, adapted to the machine.
 *
 * The topology is one package of N cores with one thread each; the x2APIC id of a core is its
 * index. It is told in each place where some kernel looks for it: leaves 1, 4 and 0Bh (Intel SDM
 * volume 2A), 8000_0008h, 8000_001Dh and 8000_001Eh (AMD APM volume 3, appendix E). Leaf 1Fh is
 * taken away, so that 0Bh is used.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "x86.h"

#define CPUID_ENTRIES_FIRST 128
#define CPUID_ENTRIES_LAST  4096

#define ADDRESS_BITS_DEFAULT 36

#define LEAF1_EBX_COUNT_SHIFT  16
#define LEAF1_EBX_APICID_SHIFT 24
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT          (1u << 28)

#define LEAFB_LEVEL_SMT  1
#define LEAFB_LEVEL_CORE 2

/* Room for one more entry is kept at the end, for leaf 0Bh where KVM lists fewer than two. */
static int get_supported(struct arch_vm *vm, struct err *e)
{
	unsigned room;

	for (room = CPUID_ENTRIES_FIRST; room <= CPUID_ENTRIES_LAST; room *= 2) {
		struct kvm_cpuid2 *cpuid =
			calloc(1, sizeof(*cpuid) + (room + 2) * sizeof(cpuid->entries[0]));
		int ret = 0;

		if (!cpuid)
			return err_set(e, ENOMEM, "out of memory");
		cpuid->nent = room;
		if (ioctl(vm->kvm->sys_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
			ret = -errno;
		if (!ret) {
			vm->cpuid = cpuid;
			return 0;
		}
		free(cpuid);
		if (ret != -E2BIG)
			return err_errno(e, -ret, "KVM does not tell which CPU features it has");
	}
	return err_set(e, E2BIG, "KVM tells of more than %d CPUID leaves", CPUID_ENTRIES_LAST);
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *cpuid, uint32_t function,
					  uint32_t index)
{
	unsigned i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

/* Bits an APIC id needs for @cpus cores. */
static unsigned core_bits(unsigned cpus)
{
	unsigned bits = 0;

	while ((1u << bits) < cpus)
		bits++;
	return bits;
}

static void remove_leaf(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	unsigned from, to = 0;

	for (from = 0; from < cpuid->nent; from++)
		if (cpuid->entries[from].function != function)
			cpuid->entries[to++] = cpuid->entries[from];
	cpuid->nent = to;
}

/* Leaf 0Bh: the level of threads (one) and that of cores; EDX, the id, is set for each vCPU. */
static void make_extended_topology(struct kvm_cpuid2 *cpuid, unsigned cpus)
{
	struct kvm_cpuid_entry2 *highest = find_leaf(cpuid, 0, 0);
	struct kvm_cpuid_entry2 *leaf;

	remove_leaf(cpuid, 0x1f);
	if (!highest || highest->eax < 0xb)
		return;
	remove_leaf(cpuid, 0xb);
	leaf = &cpuid->entries[cpuid->nent];
	memset(leaf, 0, 2 * sizeof(*leaf));
	leaf[0] = (struct kvm_cpuid_entry2){
		.function = 0xb,
		.index = 0,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.ebx = 1,
		.ecx = LEAFB_LEVEL_SMT << 8,
	};
	leaf[1] = (struct kvm_cpuid_entry2){
		.function = 0xb,
		.index = 1,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = core_bits(cpus),
		.ebx = cpus,
		.ecx = (LEAFB_LEVEL_CORE << 8) | 1,
	};
	cpuid->nent += 2;
}

/*
 * A cache leaf (4 or 8000_001Dh): level 3 is shared by all cores, the others belong to one. Leaf 4
 * also says how many ids the package has.
 */
static void set_cache_sharing(struct kvm_cpuid_entry2 *leaf, unsigned cpus)
{
	unsigned level = (leaf->eax >> 5) & 7;
	unsigned sharing = level >= 3 ? MIN((1u << core_bits(cpus)) - 1, 0xfffu) : 0;

	if (!(leaf->eax & 0x1f))
		return;
	leaf->eax = (leaf->eax & 0x3fff) | sharing << 14;
	if (leaf->function == 4)
		leaf->eax |= MIN((1u << core_bits(cpus)) - 1, 0x3fu) << 26;
}

static void adapt_leaf(const struct arch_vm *vm, struct kvm_cpuid_entry2 *leaf)
{
	switch (leaf->function) {
	case 1:
		leaf->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
		if (kvm_vm_cap(vm->kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
			leaf->ecx |= LEAF1_ECX_TSC_DEADLINE;
		leaf->ebx &= 0xffff;
		leaf->ebx |= MIN(1u << core_bits(vm->cpus), 255u) << LEAF1_EBX_COUNT_SHIFT;
		leaf->edx &= ~LEAF1_EDX_HTT;
		if (vm->cpus > 1)
			leaf->edx |= LEAF1_EDX_HTT;
		break;
	case 4:
	case 0x8000001d:
		set_cache_sharing(leaf, vm->cpus);
		break;
	case 0x80000008:
		leaf->ecx = (leaf->ecx & ~0xf0ffu) | core_bits(vm->cpus) << 12 |
			    MIN(vm->cpus - 1, 255u);
		break;
	case 0x8000001e:
		leaf->ebx = 0; /* threads a core - 1, and the core: set for each vCPU */
		leaf->ecx = 0; /* one node */
		break;
	default:
		break;
	}
}

int x86_cpuid_init(struct arch_vm *vm, struct err *e)
{
	int ret = get_supported(vm, e);
	unsigned i;

	if (ret < 0)
		return ret;
	make_extended_topology(vm->cpuid, vm->cpus);
	for (i = 0; i < vm->cpuid->nent; i++)
		adapt_leaf(vm, &vm->cpuid->entries[i]);
	return 0;
}

/*
 * Leaf 8000_0008h: bits 7:0 are a processor's, 23:16 a guest's where these are less (nested paging
 * with four levels). A processor without the leaf has 36 (Intel SDM volume 3A, 4.1.4).
 */
unsigned arch_vm_address_bits(const struct arch_vm *vm)
{
	const struct kvm_cpuid_entry2 *leaf = find_leaf(vm->cpuid, 0x80000008, 0);
	unsigned bits = leaf ? leaf->eax & 0xff : ADDRESS_BITS_DEFAULT;
	unsigned guest_bits = leaf ? leaf->eax >> 16 & 0xff : 0;

	return guest_bits ? MIN(bits, guest_bits) : bits;
}

int x86_cpuid_set(const struct arch_vm *vm, const struct vcpu *vcpu, struct err *e)
{
	size_t size = sizeof(*vm->cpuid) + vm->cpuid->nent * sizeof(vm->cpuid->entries[0]);
	struct kvm_cpuid2 *cpuid = malloc(size);
	uint32_t id = (uint32_t)arch_vcpu_id(vcpu->index);
	unsigned i;
	int ret;

	if (!cpuid)
		return err_set(e, ENOMEM, "out of memory");
	memcpy(cpuid, vm->cpuid, size);
	for (i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *leaf = &cpuid->entries[i];

		if (leaf->function == 1)
			leaf->ebx |= (id & 0xff) << LEAF1_EBX_APICID_SHIFT;
		else if (leaf->function == 0xb)
			leaf->edx = id;
		else if (leaf->function == 0x8000001e) {
			leaf->eax = id;
			leaf->ebx = id & 0xff;
		}
	}
	ret = vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ret < 0 ? err_errno(e, -ret, "KVM refuses the CPU features of vCPU %u", vcpu->index)
		       : 0;
}
