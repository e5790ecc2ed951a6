/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "hypercall-bridge/vmm/evtchn.h"
#include "hypercall-bridge/vmm/kvm.h"

#define EVTCHN_GSI 23 /* port 1 is GSI 24 */

enum kind {
	KIND_NONE,
	KIND_EVENTFD,
	KIND_IPI,
};

struct entry {
	enum kind kind;
	unsigned int vcpu;
	int wait_fd, notify_fd;
};

#define OTHER_FDS 128 /* that this process has beside those of ports, at most */

struct evtchn {
	const struct kvm *kvm;
	unsigned int nr_pairs, max_pairs; /* of eventfds */
	bool active;
	struct entry entries[EVTCHN_PORT_MAX + 1];
};

/* As many descriptors as we may have: a guest's ports need two each. */
static int raise_limit(unsigned int *ret_max_pairs)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur < 2 * OTHER_FDS)
		return -EMFILE;
	*ret_max_pairs = EVTCHN_PORT_MAX;
	if (limit.rlim_cur < 2 * EVTCHN_PORT_MAX + OTHER_FDS)
		*ret_max_pairs = (unsigned int)(limit.rlim_cur - OTHER_FDS) / 2;
	return 0;
}

int evtchn_new(const struct kvm *kvm, struct evtchn **ret)
{
	struct evtchn *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	r = raise_limit(&e->max_pairs);
	if (r < 0) {
		free(e);
		return r;
	}
	e->kvm = kvm;
	*ret = e;
	return 0;
}

static struct kvm_irq_routing_entry route_of(uint32_t port, unsigned int vcpu)
{
	return (struct kvm_irq_routing_entry){
		.gsi = EVTCHN_GSI + port,
		.type = KVM_IRQ_ROUTING_XEN_EVTCHN,
		.u.xen_evtchn = { .port = port,
				  .vcpu = vcpu,
				  .priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL },
	};
}

/* KVM knows the table as a whole only. */
static int write_routes(const struct evtchn *e)
{
	_cleanup_free_ struct kvm_irq_routing *table = NULL;

	table = calloc(1, sizeof(*table) + EVTCHN_PORT_MAX * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	for (uint32_t port = 1; port <= EVTCHN_PORT_MAX; port++)
		if (e->entries[port].kind == KIND_EVENTFD)
			table->entries[table->nr++] = route_of(port, e->entries[port].vcpu);
	return ioctl(e->kvm->vm_fd, KVM_SET_GSI_ROUTING, table) < 0 ? -errno : 0;
}

static int set_irqfd(const struct evtchn *e, uint32_t port, int fd, uint32_t flags)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = EVTCHN_GSI + port, .flags = flags };

	return ioctl(e->kvm->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

static int assign_eventfd(const struct evtchn *e, uint32_t port, int fd)
{
	struct kvm_xen_hvm_attr attr = {
		.type = KVM_XEN_ATTR_TYPE_EVTCHN,
		.u.evtchn = { .send_port = port,
			      .type = EVTCHNSTAT_interdomain,
			      .deliver.eventfd = { .port = 0, .fd = fd } },
	};

	return kvm_xen_attr(e->kvm, &attr);
}

static void deassign(const struct evtchn *e, uint32_t port)
{
	struct kvm_xen_hvm_attr attr = {
		.type = KVM_XEN_ATTR_TYPE_EVTCHN,
		.u.evtchn = { .send_port = port, .flags = KVM_XEN_EVTCHN_DEASSIGN },
	};

	(void)kvm_xen_attr(e->kvm, &attr); /* fails only when it was not assigned */
}

static struct entry *entry_of(struct evtchn *e, uint32_t port)
{
	if (port == 0 || port > EVTCHN_PORT_MAX)
		return NULL;
	return &e->entries[port];
}

bool evtchn_has_room(const struct evtchn *e)
{
	return e->nr_pairs < e->max_pairs;
}

int evtchn_bind(struct evtchn *e, uint32_t port, unsigned int vcpu, int wait_fd, int notify_fd)
{
	struct entry *entry = entry_of(e, port);
	int r;

	if (!entry)
		return -ENOSPC;
	if (entry->kind != KIND_NONE)
		return -EBUSY;
	*entry = (struct entry){ KIND_EVENTFD, vcpu, wait_fd, notify_fd };
	e->nr_pairs++;
	r = write_routes(e);
	if (r == 0)
		r = assign_eventfd(e, port, notify_fd);
	if (r == 0 && e->active)
		r = set_irqfd(e, port, wait_fd, 0);
	if (r < 0) {
		entry->wait_fd = entry->notify_fd = -1; /* still the caller's */
		evtchn_unbind(e, port);
	}
	return r;
}

static int assign_ipi(const struct evtchn *e, uint32_t port, unsigned int vcpu)
{
	struct kvm_xen_hvm_attr attr = {
		.type = KVM_XEN_ATTR_TYPE_EVTCHN,
		.u.evtchn = { .send_port = port,
			      .type = EVTCHNSTAT_ipi,
			      .deliver.port = { .port = port,
						.vcpu = vcpu,
						.priority =
							KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL } },
	};

	return kvm_xen_attr(e->kvm, &attr);
}

int evtchn_bind_ipi(struct evtchn *e, uint32_t port, unsigned int vcpu)
{
	struct entry *entry = entry_of(e, port);
	int r = 0;

	if (!entry)
		return -ENOSPC;
	if (entry->kind != KIND_NONE)
		return -EBUSY;
	if (e->active)
		r = assign_ipi(e, port, vcpu);
	if (r == 0)
		*entry = (struct entry){ KIND_IPI, vcpu, -1, -1 };
	return r;
}

int evtchn_activate(struct evtchn *e)
{
	int r = 0;

	if (e->active)
		return 0;
	for (uint32_t port = 1; port <= EVTCHN_PORT_MAX && r == 0; port++) {
		if (e->entries[port].kind == KIND_EVENTFD)
			r = set_irqfd(e, port, e->entries[port].wait_fd, 0);
		else if (e->entries[port].kind == KIND_IPI)
			r = assign_ipi(e, port, e->entries[port].vcpu);
	}
	e->active = true; /* also half way: what was set up must be taken down */
	return r;
}

void evtchn_deactivate(struct evtchn *e)
{
	for (uint32_t port = 1; port <= EVTCHN_PORT_MAX; port++)
		evtchn_unbind(e, port);
	e->active = false;
}

bool evtchn_is_active(const struct evtchn *e)
{
	return e->active;
}

void evtchn_unbind(struct evtchn *e, uint32_t port)
{
	struct entry *entry = entry_of(e, port);
	struct entry old;

	if (!entry || entry->kind == KIND_NONE)
		return;
	old = *entry;
	memset(entry, 0, sizeof(*entry));
	deassign(e, port);
	if (old.kind != KIND_EVENTFD)
		return;
	e->nr_pairs--;
	if (old.wait_fd >= 0 && e->active)
		(void)set_irqfd(e, port, old.wait_fd, KVM_IRQFD_FLAG_DEASSIGN);
	(void)write_routes(e);
	closep(&old.wait_fd);
	closep(&old.notify_fd);
}

int evtchn_move(struct evtchn *e, uint32_t port, unsigned int vcpu)
{
	struct entry *entry = entry_of(e, port);

	if (!entry || entry->kind != KIND_EVENTFD || entry->vcpu == vcpu)
		return 0;
	entry->vcpu = vcpu;
	return write_routes(e);
}

int evtchn_raise(const struct evtchn *e, uint32_t port, unsigned int vcpu)
{
	struct kvm_irq_routing_xen_evtchn send = {
		.port = port,
		.vcpu = vcpu,
		.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
	};

	if (!e->active)
		return 0;
	return ioctl(e->kvm->vm_fd, KVM_XEN_HVM_EVTCHN_SEND, &send) < 0 ? -errno : 0;
}

/* a full counter is a notification that was not looked at yet */
static int signal_eventfd(int fd)
{
	static const uint64_t one = 1;

	return write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

void evtchn_notify_self(const struct evtchn *e, uint32_t port)
{
	if (port <= EVTCHN_PORT_MAX && e->entries[port].kind == KIND_EVENTFD)
		(void)signal_eventfd(e->entries[port].wait_fd);
}

int evtchn_notify(const struct evtchn *e, uint32_t port)
{
	const struct entry *entry = &e->entries[port <= EVTCHN_PORT_MAX ? port : 0];

	switch (entry->kind) {
	case KIND_EVENTFD:
		return signal_eventfd(entry->notify_fd);
	case KIND_IPI:
		return evtchn_raise(e, port, entry->vcpu);
	default:
		return 0; /* nobody listens: a send is no error */
	}
}

struct evtchn *evtchn_free(struct evtchn *e)
{
	if (!e)
		return NULL;
	for (uint32_t port = 1; port <= EVTCHN_PORT_MAX; port++) {
		if (e->entries[port].kind != KIND_EVENTFD)
			continue;
		closep(&e->entries[port].wait_fd);
		closep(&e->entries[port].notify_fd);
	}
	free(e);
	return NULL;
}

void evtchn_freep(struct evtchn **e)
{
	evtchn_free(*e);
}
