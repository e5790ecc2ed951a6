/* SPDX-License-Identifier: MIT */
/*
 * Domains that the store knows: domain 0 and the service domains, which are there by configuration, and
 * guests, which the host tells of or the toolstack introduces. A guest's connection is its ring.
 *
 * This is the one place that calls libxenhost. What the host tells arrives between requests
 * (domains_refresh() and the loop), never in the middle of an operation on the store.
 *
 * A domain that broke the rules keeps its entry, without service, until it is gone: its end is still told.
 */
#ifndef XENSTORED_DOMAIN_H
#define XENSTORED_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "xenstored/journal_wire.h"
#include "xenstored/store.h"

struct conn;
struct domains;
struct server;
struct xenhost;

#define DOMAIN_BASE_MAX 24 /* "/local/domain/65535/" */

struct domain {
	uint16_t domid;
	bool fixed;	    /* domain 0, service domains */
	bool exists;	    /* the host said so */
	bool introduced;    /* by INTRODUCE; fixed ones always are */
	bool shut;	    /* its shutdown was told, RESUME takes that back */
	uint64_t unique_id; /* of the host, 0: not told yet */
	uint32_t features;
	uint32_t port; /* of the last INTRODUCE */
	bool told;     /* the host has named it since this process began */
	struct caller caller;
	char base[DOMAIN_BASE_MAX]; /* what relative paths begin with */
	struct conn *conn;	    /* its ring, while it is served */
	struct list of_domains;
};

/* also connects to the host, unless there is none. -errno, said why */
int domains_start(struct server *s);
void domains_stop(struct server *s);

struct domain *domain_find(struct server *s, uint16_t domid); /* or NULL */
bool domain_exists(struct server *s, uint16_t domid);
struct xenhost *domains_host(struct server *s); /* or NULL */
struct list *domains_all(struct server *s);	/* of struct domain by of_domains */

/* for state_load(): as the predecessor had it, nobody is told; rings are served by domains_resume() */
struct domain *domain_restore(struct server *s, uint16_t domid); /* NULL: out of memory */
void domain_unrestore(struct server *s, struct domain *d);
int domain_restore_ring(struct server *s, struct domain *d, uint32_t rsp_prod,
			enum journal_reset reset);
/* domains that came by a migration stream while the daemon serves. 0 or -errno */
int domains_adopt(struct server *s);
void domain_put_target(struct server *s, struct domain *d, uint16_t target);
/* after the store is as it was: from now on the host is followed */
int domains_follow(struct server *s);

/* takes in what the host has said by now */
void domains_refresh(struct server *s);

/* These return 0 or the errno for the caller. */
int domain_introduce(struct server *s, uint16_t domid, uint32_t port);
int domain_release(struct server *s, uint16_t domid);
int domain_resume(struct server *s, uint16_t domid);
int domain_set_target(struct server *s, uint16_t domid, uint16_t target);

#endif
