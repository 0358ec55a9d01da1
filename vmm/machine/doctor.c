/*
 * The report of the probe (vmm/kvm/probe) in words and in JSON. The order of things is that of the
 * question a user has: does it work, why not, and then the numbers.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

#include "machine/doctor.h"
#include "probe/probe.h"

#define PS_PER_NS 1000.0

static const char *presence_name(enum probe_presence presence)
{
	switch (presence) {
	case PROBE_KVM_PRESENT:
		return "present";
	case PROBE_KVM_MISSING:
		return "missing";
	case PROBE_KVM_DENIED:
		return "denied";
	case PROBE_KVM_UNUSABLE:
		break;
	}
	return "unusable";
}

static const char *result_name(enum probe_insn_result result)
{
	switch (result) {
	case PROBE_INSN_WORKS:
		return "works";
	case PROBE_INSN_FAILS:
		return "fails";
	case PROBE_INSN_ABSENT:
		break;
	}
	return "not offered";
}

static void print_caps(const struct kvm_probe_report *r, FILE *out)
{
	fprintf(out, "capabilities:\n");
	for (unsigned i = 0; i < r->cap_count; i++) {
		const struct probe_cap *cap = &r->caps[i];

		if (cap->is_count)
			fprintf(out, "  %-48s %d\n", cap->what, cap->value);
		else
			fprintf(out, "  %-48s %s%s\n", cap->what, cap->value > 0 ? "yes" : "no",
				cap->required && cap->value <= 0 ? " (sarang needs it)" : "");
	}
}

static void print_costs(const struct kvm_probe_report *r, FILE *out)
{
	fprintf(out, "measured in a guest:\n");
	for (unsigned i = 0; i < PROBE_COSTS; i++) {
		fprintf(out, "  %-48s ", probe_cost_words((enum probe_cost)i));
		if (r->cost_ps[i])
			fprintf(out, "%.1f ns\n", (double)r->cost_ps[i] / PS_PER_NS);
		else
			fprintf(out, "failed\n");
	}
}

static void print_insns(const struct kvm_probe_report *r, FILE *out)
{
	fprintf(out, "instructions of a guest's kernel:\n");
	for (unsigned i = 0; i < r->insn_count; i++)
		fprintf(out, "  %-48s %s\n", r->insns[i].name, result_name(r->insns[i].result));
}

static void print_text(const struct kvm_probe_report *r, FILE *out)
{
	fprintf(out, "verdict: %s\n", r->reason);
	fprintf(out, "kvm: %s", presence_name(r->presence));
	if (r->presence != PROBE_KVM_PRESENT) {
		fputc('\n', out);
		return;
	}
	fprintf(out, ", API %d", r->api_version);
	if (r->backend[0])
		fprintf(out, ", module %s", r->backend);
	if (r->tsc_khz)
		fprintf(out, ", guest TSC at %.3f MHz", r->tsc_khz / 1000.0);
	fputc('\n', out);
	print_caps(r, out);
	if (r->measured) {
		print_costs(r, out);
		print_insns(r, out);
	}
}

static json_t *json_caps(const struct kvm_probe_report *r)
{
	json_t *caps = json_object();

	for (unsigned i = 0; i < r->cap_count; i++)
		json_object_set_new(caps, r->caps[i].name, json_integer(r->caps[i].value));
	return caps;
}

/* Nanoseconds by name; null for what did not come to its end. */
static json_t *json_costs(const struct kvm_probe_report *r)
{
	json_t *costs = json_object();

	for (unsigned i = 0; i < PROBE_COSTS; i++)
		json_object_set_new(costs, probe_cost_name((enum probe_cost)i),
				    r->cost_ps[i] ? json_real((double)r->cost_ps[i] / PS_PER_NS)
						  : json_null());
	return costs;
}

static json_t *json_insns(const struct kvm_probe_report *r)
{
	json_t *insns = json_object();

	for (unsigned i = 0; i < r->insn_count; i++)
		json_object_set_new(insns, r->insns[i].name,
				    json_string(result_name(r->insns[i].result)));
	return insns;
}

static int print_json(const struct kvm_probe_report *r, FILE *out, struct err *e)
{
	json_t *root = json_pack("{s:s, s:b, s:s}", "kvm", presence_name(r->presence),
				 "can_boot_linux", r->can_boot_linux, "reason", r->reason);

	if (!root)
		return err_set(e, EINVAL, "the report is not valid UTF-8: JSON cannot hold it");
	if (r->presence == PROBE_KVM_PRESENT) {
		json_object_set_new(root, "api_version", json_integer(r->api_version));
		json_object_set_new(root, "module",
				    r->backend[0] ? json_string(r->backend) : json_null());
		json_object_set_new(root, "capabilities", json_caps(r));
	}
	if (r->measured) {
		json_object_set_new(root, "kernel_emulated", json_boolean(r->kernel_emulated));
		json_object_set_new(root, "tsc_khz", json_integer(r->tsc_khz));
		json_object_set_new(root, "cost_ns", json_costs(r));
		json_object_set_new(root, "instructions", json_insns(r));
	}
	json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(root);
	return 0;
}

int doctor_run(bool json, FILE *out, struct err *e)
{
	struct kvm_probe_report report;
	int ret = kvm_probe(&report, e);

	if (ret < 0)
		return ret;
	if (json)
		ret = print_json(&report, out, e);
	else
		print_text(&report, out);
	if (ret < 0)
		return ret;
	return report.can_boot_linux ? 0 : 1;
}
