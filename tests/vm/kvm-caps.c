/* SPDX-License-Identifier: MIT */
/*
 * Says whether this machine's KVM can host Xen guests: prints the flags of KVM_CAP_XEN_HVM.
 * Exit status 0: it can; 1: it cannot, the reason is on stderr. Stands alone, so that a script may
 * compile it before the project is configured.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
	unsigned int bit;
	const char *name;
	int needed;
} flags[] = {
	{ 1u << 0, "hypercall-msr", 1 },	{ 1u << 1, "intercept-hypercalls", 1 },
	{ 1u << 2, "shared-info", 1 },		{ 1u << 3, "runstate", 1 },
	{ 1u << 4, "2-level-events", 1 },	{ 1u << 5, "event-send", 1 },
	{ 1u << 6, "runstate-update-flag", 0 }, { 1u << 7, "tsc-unstable-flag", 0 },
	{ 1u << 8, "shared-info-hva", 0 },
};

/* Prints what there is and returns how many needed flags are missing. */
static int print_flags(unsigned int have)
{
	int missing = 0;

	printf("KVM_CAP_XEN_HVM = %#x:", have);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (have & flags[i].bit)
			printf(" %s", flags[i].name);
		else if (flags[i].needed)
			missing++;
	}
	printf("\n");
	return missing;
}

/* The capability says what was compiled in; only a VM shows that the processor plays along. */
static int check_create_vm(int kvm)
{
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0) {
		fprintf(stderr, "kvm-caps: /dev/kvm cannot create a VM: %s\n", strerror(errno));
		return 1;
	}
	close(vm);
	return 0;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int have, bad;

	if (kvm < 0) {
		fprintf(stderr, "kvm-caps: cannot open /dev/kvm: %s\n", strerror(errno));
		return 1;
	}
	have = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM);
	bad = check_create_vm(kvm);
	close(kvm);
	if (have < 0) {
		fprintf(stderr, "kvm-caps: /dev/kvm does not answer: %s\n", strerror(errno));
		return 1;
	}
	if (print_flags((unsigned int)have)) {
		fprintf(stderr,
			"kvm-caps: this kernel's KVM has no Xen support (CONFIG_KVM_XEN)\n");
		return 1;
	}
	return bad;
}
