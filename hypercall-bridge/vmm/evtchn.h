/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of a guest's event channels: tells KVM which port is which eventfd. Sends of a bound
 * port end in an eventfd without leaving the kernel (attribute EVTCHN), a write to the other eventfd
 * marks the port pending (irqfd with a XEN_EVTCHN route). The port table itself is guest/ports.h.
 *
 * KVM may not mark a port before the guest has a shared_info: it would complain in the host's log, which
 * neither a guest nor a service may make it do. So deliveries are set up by evtchn_activate(); what was
 * notified before waits in the eventfds' counters.
 *
 * Owns the two eventfds of every bound port. GSI of port n is EVTCHN_GSI + n: below are the I/O APIC's.
 * Threads: none of this locks, callers hold the vm lock.
 */
#ifndef HYPERCALL_BRIDGE_VMM_EVTCHN_H
#define HYPERCALL_BRIDGE_VMM_EVTCHN_H

#include <stdbool.h>
#include <stdint.h>

#define EVTCHN_PORT_MAX 4072 /* KVM has 4096 GSIs */

struct kvm;
struct evtchn;

int evtchn_new(const struct kvm *kvm, struct evtchn **ret);
struct evtchn *evtchn_free(struct evtchn *e);
void evtchn_freep(struct evtchn **e);

/* may one more port have eventfds? A message with descriptors that cannot be received ends a connection */
bool evtchn_has_room(const struct evtchn *e);

/*
 * wait_fd: readable when the far side notified us; notify_fd: notifies it. Both belong to evtchn when
 * this succeeds. -ENOSPC: no GSI for this port.
 */
int evtchn_bind(struct evtchn *e, uint32_t port, unsigned int vcpu, int wait_fd, int notify_fd);
int evtchn_bind_ipi(struct evtchn *e, uint32_t port, unsigned int vcpu);
void evtchn_unbind(struct evtchn *e, uint32_t port);
int evtchn_move(struct evtchn *e, uint32_t port, unsigned int vcpu);

/* shared_info and every vcpu_info are known to KVM */
int evtchn_activate(struct evtchn *e);
void evtchn_deactivate(struct evtchn *e); /* and unbinds all ports */
bool evtchn_is_active(const struct evtchn *e);

/* a send that came to user space all the same */
int evtchn_notify(const struct evtchn *e, uint32_t port);
/* marks the port pending and interrupts the vCPU unless it is masked or pending already */
int evtchn_raise(const struct evtchn *e, uint32_t port, unsigned int vcpu);
/* as if the far side of a port with eventfds had notified us */
void evtchn_notify_self(const struct evtchn *e, uint32_t port);

#endif
