/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"
#include "hypercall-bridge/vmm/cpuid.h"
#include "hypercall-bridge/vmm/kvm.h"

#define IDENTITY_MAP 0xfffbc000ul
#define TSS 0xfffbd000ul
#define IOAPIC_PINS 24 /* of an I/O APIC that nobody has, but KVM wants the number */
#define CPUID_MAX 256

#define XEN_NEEDED                                                               \
	(KVM_XEN_HVM_CONFIG_HYPERCALL_MSR | KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | \
	 KVM_XEN_HVM_CONFIG_SHARED_INFO | KVM_XEN_HVM_CONFIG_RUNSTATE |          \
	 KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND)

static int open_device(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		log_error("no permission for /dev/kvm: run as root or as a member of group kvm");
	else
		log_error(
			"KVM is missing (/dev/kvm: %s): a processor with virtualisation that is "
			"switched on in the firmware, and module kvm_amd or kvm_intel, are needed",
			strerror(errno));
	return -errno;
}

static int check_xen(struct kvm *k)
{
	int flags = ioctl(k->sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM);

	if (flags > 0 && (flags & XEN_NEEDED) == XEN_NEEDED) {
		k->xen = (uint32_t)flags;
		return 0;
	}
	log_error(
		"this kernel's KVM cannot run Xen guests (%s): boot a kernel of 5.19 or later with "
		"CONFIG_KVM_XEN=y, such as Debian 13's, or 6.12 from Debian 12's backports "
		"(apt install -t bookworm-backports linux-image-amd64)",
		flags > 0 ? "KVM_CAP_XEN_HVM is too old" : "KVM_CAP_XEN_HVM is missing");
	return -EOPNOTSUPP;
}

/* The order is KVM's: addresses and interrupt controller before any vCPU. */
static int configure(const struct kvm *k, uint32_t xen_version)
{
	struct kvm_enable_cap irqchip = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };
	struct kvm_xen_hvm_attr version = { .type = KVM_XEN_ATTR_TYPE_XEN_VERSION,
					    .u.xen_version = xen_version };
	struct kvm_xen_hvm_config config = {
		.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
		.msr = CPUID_XEN_BASE,
	};
	uint64_t identity = IDENTITY_MAP;

	if (ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(k->vm_fd, KVM_SET_TSS_ADDR, TSS) < 0 ||
	    ioctl(k->vm_fd, KVM_ENABLE_CAP, &irqchip) < 0 ||
	    ioctl(k->vm_fd, KVM_XEN_HVM_CONFIG, &config) < 0)
		return -errno;
	return kvm_xen_attr(k, &version);
}

static int create_vm(struct kvm *k, uint32_t xen_version)
{
	int r;

	k->run_size = (size_t)ioctl(k->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	k->vm_fd = ioctl(k->sys_fd, KVM_CREATE_VM, 0);
	if (k->vm_fd < 0) {
		r = -errno;
		log_error("KVM cannot make a virtual machine: %s", strerror(errno));
		return r;
	}
	r = configure(k, xen_version);
	if (r < 0)
		log_error("KVM refuses a Xen guest's configuration: %s", strerror(-r));
	return r;
}

int kvm_open(uint32_t xen_version, struct kvm *ret)
{
	struct kvm k = { .sys_fd = -1, .vm_fd = -1 };
	int r;

	k.sys_fd = open_device();
	if (k.sys_fd < 0)
		return k.sys_fd;
	r = check_xen(&k);
	k.tsc_deadline = ioctl(k.sys_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	if (r == 0)
		r = create_vm(&k, xen_version);
	if (r < 0) {
		kvm_close(&k);
		return r;
	}
	*ret = k;
	return 0;
}

void kvm_close(struct kvm *k)
{
	closep(&k->vm_fd);
	closep(&k->sys_fd);
	k->vm_fd = k->sys_fd = -1;
}

int kvm_xen_attr(const struct kvm *k, const struct kvm_xen_hvm_attr *attr)
{
	return ioctl(k->vm_fd, KVM_XEN_HVM_SET_ATTR, attr) < 0 ? -errno : 0;
}

int kvm_map(const struct kvm *k, uint32_t slot, uint64_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int kvm_unmap(const struct kvm *k, uint32_t slot)
{
	return kvm_map(k, slot, 0, 0, NULL);
}

int kvm_supported_cpuid(const struct kvm *k, struct kvm_cpuid2 **ret)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
	int r;

	if (!c)
		return -ENOMEM;
	c->nent = CPUID_MAX;
	if (ioctl(k->sys_fd, KVM_GET_SUPPORTED_CPUID, c) < 0) {
		r = -errno;
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}
