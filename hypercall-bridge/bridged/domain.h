/* SPDX-License-Identifier: MIT */
/*
 * The domain table: domain 0, the service domains of the configuration, and guests. Owns the domains,
 * their memory's descriptors and their ports. Knows no sockets; who has to be told is dispatch.c's work.
 *
 * Domids of guests go round (1 ... 31999), so that one is reused as late as possible; the unique id never is.
 */
#ifndef BRIDGED_DOMAIN_H
#define BRIDGED_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"
#include "common/list.h"
#include "hypercall-bridge/bridged/evtchn.h"
#include "hypercall-bridge/bridged/gone.h"

struct client;
struct state;
struct state_domain;

struct memory_region {
	Bridge__RegionKind kind;
	uint64_t gpa, size, offset;
	int fd;	       /* own */
	uint32_t file; /* regions with the same number share one file */
};

struct domain {
	struct list link;
	uint16_t domid;
	uint64_t unique_id;
	char name[BRIDGE_NAME_MAX];
	Bridge__DomainKind kind;
	Bridge__DomainState state;
	bool may_go_back; /* a tool asked for a state that comes before the present one */
	bool ended;	  /* it shut down by itself, now or before a soft reset: shutdown_reason */
	uint32_t shutdown_reason;
	uint64_t memory_bytes;
	uint64_t store_gfn, console_gfn;
	uint32_t store_port, console_port;
	struct memory_region regions[BRIDGE_REGIONS_MAX];
	size_t nr_regions;
	struct port_table ports;
	struct client *owner;	  /* of a guest; NULL: it has not come back yet */
	unsigned int connections; /* of a service domain or domain 0 */
	bool awaited;		  /* bridged was started again, its connections may come back */
	unsigned int control;	  /* what tools asked its owner for, bits by action */
	bool has_secret;
	uint8_t secret[BRIDGE_SECRET_SIZE];
	uint32_t slot;
};

struct domain_table {
	struct domain **by_domid; /* 32768 places */
	struct list all;	  /* in order of creation */
	struct gone_table gone;
	unsigned int nr_guests;
	uint16_t last_domid;
	struct state *state; /* NULL: nothing is kept */
};

/* empty. -ENOMEM */
int domain_table_init(struct domain_table *t, struct state *state);
/* what is kept stays */
void domain_table_fini(struct domain_table *t);

struct domain *domain_get(const struct domain_table *t, uint32_t domid); /* NULL: there is none */
struct domain *domain_by_name(const struct domain_table *t, const char *name);

/* domain 0, unless it was restored */
int domain_add_control(struct domain_table *t);
/* a service domain, unless it was restored. -EEXIST, -ENOMEM */
int domain_add_service(struct domain_table *t, const char *name, uint16_t domid);

/*
 * A guest of this request. fds: of the message; those that are kept are duplicated. On an error *ret_why
 * says in one line what is wrong. -EEXIST (name), -EINVAL, -ENOSPC, -ENOMEM, -errno
 */
int domain_create(struct domain_table *t, const Bridge__DomainCreate *req, const int *fds,
		  struct domain **ret_domain, const char **ret_why);

/* A guest is known as gone from now on, also to a successor: to be called before anybody is told. */
void domain_end(struct domain_table *t, struct domain *d);

/* after domain_end(): closes its ports, marks the other ends dead, frees it */
void domain_destroy(struct domain_table *t, struct domain *d);

/* after a change of what is kept: state, ports, control */
void domain_write(struct domain_table *t, const struct domain *d);

/* does the secret open it? */
bool domain_knows(const struct domain *d, const ProtobufCBinaryData *secret);

/*
 * One that is kept, with the descriptors of its record, which it takes. -EINVAL, -EEXIST: it does not fit
 * to the others, nobody wrote this; -ENOMEM, -errno
 */
int domain_restore(struct domain_table *t, uint32_t slot, const struct state_domain *kept,
		   int *fds);

void domain_to_wire(const struct domain *d, Bridge__DomainInfo *ret_info);

#endif
