/* SPDX-License-Identifier: MIT */
/*
 * Event channels that cross domains. A channel has two ends, each with an eventfd that its owner waits
 * on; an end is a port of a domain. The channel lives as long as one of its ends does, so that a port that
 * is bound again (a service restarted) keeps its eventfds and whatever is programmed into KVM for them.
 *
 *   alloc   the first end, UNBOUND: only remote_domid may join it
 *   bind    the second end; both are INTERDOMAIN
 *   close   this end goes; the other becomes UNBOUND again for the same domain (as on Xen)
 *   dead    the other end's domain is gone: nothing to bind any more, the number stays taken until closed
 *
 * What is kept of it is one record per channel (state.h), with both ends. Knows no clients.
 */
#ifndef BRIDGED_EVTCHN_H
#define BRIDGED_EVTCHN_H

#include <stdint.h>

struct channel;
struct state;
struct state_channel;

enum port_state {
	PORT_FREE = 0,
	PORT_UNBOUND,
	PORT_INTERDOMAIN,
	PORT_DEAD,
};

struct port {
	enum port_state state;
	uint16_t remote_domid;
	uint32_t remote_port; /* INTERDOMAIN */
	struct channel *channel;
	unsigned int end;   /* which end of the channel: 0 or 1 */
	const void *holder; /* the connection that asked for it last; NULL: it is gone */
};

/* ports of one domain, by number; 0 is never used */
struct port_table {
	struct state *state; /* NULL: not kept */
	uint16_t domid;
	uint64_t unique_id;
	struct port *ports;
	uint32_t room;
	uint32_t in_use;
};

void port_table_init(struct port_table *t, struct state *state, uint16_t domid, uint64_t unique_id);
/* the daemon ends: what is kept stays */
void port_table_fini(struct port_table *t);
/* the domain ends */
void port_table_destroy(struct port_table *t);

/* NULL when it is free */
struct port *port_get(const struct port_table *t, uint32_t number);

/* the two eventfds of an end, still the channel's: [0] to wait on, [1] to notify the other end */
void port_fds(const struct port *port, int ret_fds[2]);

/*
 * want: number, 0 = lowest free one. Returns the number; -EEXIST, -ENOSPC, -EINVAL, -ENOMEM, -EMFILE.
 * key: not 0 and that of a port which is offered to this remote already: the number it has
 */
int evtchn_alloc(struct port_table *t, uint32_t want, const struct port_table *remote,
		 uint64_t key);

/*
 * Joins remote port `remote_port`. Returns our number.
 * Joined by us already: the number it has. -EPERM offered to another domain, -EINVAL no such port
 */
int evtchn_bind(struct port_table *t, struct port_table *remote, uint32_t remote_port,
		uint32_t want);

/* remote: the table of the domain at the other end, NULL when it is gone. -EINVAL no such port */
int evtchn_close(struct port_table *t, struct port_table *remote, uint32_t number);

/* domid is gone: our ends of its channels are dead */
void evtchn_peer_gone(struct port_table *t, uint16_t domid);

/* a connection is gone: nobody holds its ports */
void evtchn_release(struct port_table *t, const void *holder);
/* frees ports that are dead and that nobody holds: who should close them? */
void evtchn_reap(struct port_table *t);

/*
 * A kept channel with its eventfds, which it takes (also on an error). tables: those of the domains at its
 * ends, NULL for one that is gone. -EINVAL it fits nowhere, -EEXIST a port is taken, -ENOMEM
 */
int evtchn_restore(struct state *state, uint32_t slot, const struct state_channel *kept,
		   struct port_table *const tables[2], int fds[2]);

#endif
