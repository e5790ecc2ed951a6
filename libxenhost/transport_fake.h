/* SPDX-License-Identifier: MIT */
/*
 * "fake:STORE[,domid=N]": a host inside of this process, for unit tests. STORE is a socket of a
 * real xenstored (empty: there is none), N who we are (0). Domains, ports and grants belong to the
 * handle, so two handles may have equal domids, ports and grefs. Grants are the real code of
 * direct.c on memory that the test can look into. These functions are the test's side: what a guest
 * would do. No locks: domains come and go while no other thread uses the handle.
 */
#ifndef LIBXENHOST_TRANSPORT_FAKE_H
#define LIBXENHOST_TRANSPORT_FAKE_H

#include <stdbool.h>

#include <xenhost/xenhost.h>

struct fake_domain;

#define FAKE_GREFS 512u

/* a running guest with nr_pages zeroed pages; domain watches learn of it. -EEXIST */
int fake_domain_new(xenhost_t *host, uint16_t domid, size_t nr_pages,
		    struct fake_domain **ret_domain);
/* It is gone: its ports end, its memory lives on where it is mapped. The pointer ends with the
 * handle. */
void fake_domain_end(struct fake_domain *domain);

void *fake_page(struct fake_domain *domain, uint32_t frame);
/* the guest grants its frame to domid; gref < FAKE_GREFS */
void fake_grant(struct fake_domain *domain, uint32_t gref, uint32_t frame, uint16_t domid,
		bool readonly);
/* -EBUSY while in use by a back end */
int fake_revoke(struct fake_domain *domain, uint32_t gref);

/* the guest's end of a port; descriptors belong to the handle */
struct fake_end {
	uint32_t port; /* the guest's number */
	int wait_fd;
	int notify_fd;
};

/* the guest offers a port to us (EVTCHNOP_alloc_unbound) */
int fake_port_offer(struct fake_domain *domain, struct fake_end *ret_end);
/* the guest joins a port that we offered with xenhost_port_alloc(). -EINVAL */
int fake_port_join(struct fake_domain *domain, uint32_t our_port, struct fake_end *ret_end);
/* ports of ours that are bound or offered now */
size_t fake_ports(xenhost_t *host);

/*
 * The other side of xenhost_share(): the page of a gref that this handle granted to domid, and that is in
 * use from now on, or not any more. NULL: no such grant
 */
void *fake_share_use(xenhost_t *host, uint16_t domid, uint32_t gref, bool use);

/* The n-th operation that the library asks of this transport from now on fails with -EIO; 0: none */
void fake_fail_op(xenhost_t *host, unsigned int n);
/* how many it takes still; 0: it has failed */
unsigned int fake_fail_left(xenhost_t *host);

#endif
