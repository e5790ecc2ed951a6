/* SPDX-License-Identifier: MIT */
/*
 * A loopback guest: this process plays a guest of the bridge. It has memory (a memfd), a grant table, a
 * Xenstore ring page and ports like a real one, but its "kernel" is this program, or a test, which may do
 * everything that a hostile kernel may. Needs no KVM. One thread at a time.
 */
#ifndef LOOPGUEST_GUEST_H
#define LOOPGUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest;

/* our end of an event channel; both descriptors are the guest's */
struct guest_port {
	uint32_t number;
	int wait_fd;
	int notify_fd;
};

/* Makes a running domain of nr_pages pages. All functions with int: 0 or more, or -errno */
int guest_new(const char *rundir, const char *name, size_t nr_pages, struct guest **ret_guest);
/* The domain is gone afterwards. NULL */
struct guest *guest_free(struct guest *g);

/* readable: guest_process() has something to do */
int guest_fd(const struct guest *g);
/* What bridged tells. 1: a tool wants the guest to end; 0; -errno: bridged is lost. Never blocks */
int guest_process(struct guest *g);

uint16_t guest_domid(const struct guest *g);
uint64_t guest_store_gfn(const struct guest *g);
uint32_t guest_store_port(const struct guest *g);
void *guest_store_page(const struct guest *g);
/* our end of the store's port; stays the guest's */
const struct guest_port *guest_store_event(const struct guest *g);

void *guest_page(const struct guest *g, uint32_t frame);
/* pages that nobody has got yet, grants that are free */
size_t guest_free_frames(const struct guest *g);
size_t guest_free_grants(const struct guest *g);
/* a page that nobody has got yet; there must be one */
uint32_t guest_new_frame(struct guest *g);

/* Grants a frame to a domain; the frame may also be one that does not exist. Returns the gref */
uint32_t guest_grant(struct guest *g, uint16_t domid, uint32_t frame, bool readonly);
/* the other side has it in use, by the flags of the entry */
bool guest_grant_in_use(const struct guest *g, uint32_t gref);
/* 0, or -EBUSY while it is in use */
int guest_revoke(struct guest *g, uint32_t gref);

/*
 * A hypercall, answered by what answers those of the vmm's guests (hypercall-bridge/guest): `op` is the first
 * argument, `arg` the structure that the second one points to (at most a page; it comes back as the hypervisor
 * left it). The calls about ports below are such hypercalls. 0 or more, or -errno
 */
int64_t guest_hypercall(struct guest *g, unsigned int nr, uint64_t op, void *arg, size_t size);

/* joins a port that domid offers to us; it is pending at once */
int guest_port_bind(struct guest *g, uint16_t domid, uint32_t remote_port,
		    struct guest_port *ret_port);
int guest_port_offer(struct guest *g, uint16_t domid, struct guest_port *ret_port);
void guest_port_close(struct guest *g, struct guest_port *port);
/* as KVM does for a bound port: without a hypercall */
void guest_port_notify(const struct guest_port *port);
/* 1 it was pending, and is not any more; 0 not within the time */
int guest_port_wait(const struct guest_port *port, int timeout_ms);

/*
 * What KVM does when a port is notified, for those who look at shared_info: takes the event and marks the port
 * pending. 1: the vCPU would be interrupted; 0; -EINVAL: no such port
 */
int guest_deliver(struct guest *g, uint32_t port);
void *guest_shared_info(const struct guest *g);

#endif
