/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/evtchn.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "hypercall-bridge/bridged/kick.h"
#include "hypercall-bridge/bridged/state.h"

struct channel {
	struct state *state;
	uint32_t slot;
	unsigned int ends; /* that exist */
	int fds[2];	   /* fds[n]: what end n waits on */
	struct state_channel kept;
};

static void channel_write(const struct channel *c)
{
	struct state_record r = { .kind = STATE_CHANNEL, .channel = c->kept };

	state_write(c->state, c->slot, &r);
}

static void channel_free(struct channel *c)
{
	closep(&c->fds[0]);
	closep(&c->fds[1]);
	free(c);
}

static int channel_new(struct state *state, struct channel **ret_channel)
{
	struct channel *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return -ENOMEM;
	c->state = state;
	c->fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fds[0] < 0 || c->fds[1] < 0)
		r = -EMFILE;
	if (r == 0)
		r = state_new(state, c->fds, 2, &c->slot);
	if (r < 0) {
		channel_free(c);
		return r;
	}
	*ret_channel = c;
	return 0;
}

/* The other end, if there is one, may be joined again: that is written. One whose domain is gone needs no word. */
static void channel_put(struct channel *c, unsigned int end)
{
	if (!c)
		return;
	c->kept.ends[end].port = 0;
	if (end == 0)
		c->kept.key = 0;
	if (--c->ends > 0) {
		channel_write(c);
		return;
	}
	state_free(c->state, c->slot);
	channel_free(c);
}

static void port_release(struct port_table *t, struct port *p)
{
	channel_put(p->channel, p->end);
	*p = (struct port){ .state = PORT_FREE };
	t->in_use--;
}

void port_table_init(struct port_table *t, struct state *state, uint16_t domid, uint64_t unique_id)
{
	*t = (struct port_table){ .state = state, .domid = domid, .unique_id = unique_id };
}

void port_table_destroy(struct port_table *t)
{
	for (uint32_t i = 0; i < t->room; i++)
		if (t->ports[i].state != PORT_FREE)
			port_release(t, &t->ports[i]);
	free(t->ports);
	t->ports = NULL;
	t->room = 0;
}

void port_table_fini(struct port_table *t)
{
	for (uint32_t i = 0; i < t->room; i++) {
		struct channel *c = t->ports[i].channel;

		if (c && --c->ends == 0)
			channel_free(c);
	}
	free(t->ports);
	*t = (struct port_table){ 0 };
}

struct port *port_get(const struct port_table *t, uint32_t number)
{
	if (number >= t->room || t->ports[number].state == PORT_FREE)
		return NULL;
	return &t->ports[number];
}

void port_fds(const struct port *port, int ret_fds[2])
{
	ret_fds[0] = port->channel->fds[port->end];
	ret_fds[1] = port->channel->fds[!port->end];
}

static int table_grow(struct port_table *t, uint32_t number)
{
	uint32_t room = t->room ? t->room : 16;
	struct port *more;

	while (room <= number)
		room *= 2;
	more = reallocarray(t->ports, room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + t->room, 0, (room - t->room) * sizeof(*more));
	t->ports = more;
	t->room = room;
	return 0;
}

static uint32_t lowest_free(const struct port_table *t)
{
	uint32_t n = 1;

	while (n < t->room && t->ports[n].state != PORT_FREE)
		n++;
	return n;
}

/* a number that is free and has its place in the table */
static int reserve(struct port_table *t, uint32_t want)
{
	uint32_t number = want ? want : lowest_free(t);

	if (number >= BRIDGE_PORTS_MAX)
		return want ? -EINVAL : -ENOSPC;
	if (port_get(t, number))
		return -EEXIST;
	if (number >= t->room && table_grow(t, number) < 0)
		return -ENOMEM;
	return (int)number;
}

static void port_set(struct port_table *t, uint32_t number, const struct port *value)
{
	t->ports[number] = *value;
	t->in_use++;
	value->channel->ends++;
	value->channel->kept.ends[value->end].port = number;
}

static int find_by_key(const struct port_table *t, uint16_t remote_domid, uint64_t key)
{
	for (uint32_t i = 1; key && i < t->room; i++) {
		const struct port *p = &t->ports[i];

		if (p->state != PORT_FREE && p->state != PORT_DEAD && p->end == 0 &&
		    p->remote_domid == remote_domid && p->channel->kept.key == key)
			return (int)i;
	}
	return 0;
}

static struct state_end end_of(const struct port_table *t)
{
	return (struct state_end){ .unique_id = t->unique_id, .domid = t->domid };
}

int evtchn_alloc(struct port_table *t, uint32_t want, const struct port_table *remote, uint64_t key)
{
	int number = find_by_key(t, remote->domid, key);
	struct channel *c;
	int r;

	if (number > 0)
		return want && want != (uint32_t)number ? -EEXIST : number;
	number = reserve(t, want);
	if (number < 0)
		return number;
	r = channel_new(t->state, &c);
	if (r < 0)
		return r;
	c->kept.ends[0] = end_of(t);
	c->kept.ends[1] = end_of(remote);
	c->kept.key = key;
	port_set(t, (uint32_t)number, &(struct port){ PORT_UNBOUND, remote->domid, 0, c, 0, NULL });
	channel_write(c);
	return number;
}

/* A new end starts pending, so that nothing sent before the binding is missed. */
static int join(struct port_table *t, struct port_table *remote, uint32_t remote_port,
		uint32_t want)
{
	int number = reserve(t, want);
	struct port *far;

	if (number < 0)
		return number;
	far = port_get(remote, remote_port); /* after reserve: t and remote may be one table */
	port_set(t, (uint32_t)number,
		 &(struct port){ PORT_INTERDOMAIN, remote->domid, remote_port, far->channel,
				 !far->end, NULL });
	far->state = PORT_INTERDOMAIN;
	far->remote_port = (uint32_t)number;
	channel_write(far->channel);
	(void)kick_eventfd(far->channel->fds[!far->end]);
	return number;
}

int evtchn_bind(struct port_table *t, struct port_table *remote, uint32_t remote_port,
		uint32_t want)
{
	struct port *far = port_get(remote, remote_port);

	if (!far || far->state == PORT_DEAD)
		return -EINVAL;
	if (far->remote_domid != t->domid)
		return -EPERM;
	if (far->state == PORT_UNBOUND)
		return join(t, remote, remote_port, want);
	if (want && want != far->remote_port)
		return -EEXIST;
	(void)kick_eventfd(far->channel->fds[!far->end]);
	return (int)far->remote_port;
}

int evtchn_close(struct port_table *t, struct port_table *remote, uint32_t number)
{
	struct port *p = port_get(t, number);
	struct port *far;

	if (!p)
		return -EINVAL;
	far = p->state == PORT_INTERDOMAIN && remote ? port_get(remote, p->remote_port) : NULL;
	if (far) {
		far->state = PORT_UNBOUND;
		far->remote_domid = t->domid;
		far->remote_port = 0;
	}
	port_release(t, p);
	return 0;
}

void evtchn_peer_gone(struct port_table *t, uint16_t domid)
{
	for (uint32_t i = 0; i < t->room; i++)
		if (t->ports[i].state != PORT_FREE && t->ports[i].remote_domid == domid)
			t->ports[i].state = PORT_DEAD;
}

void evtchn_release(struct port_table *t, const void *holder)
{
	for (uint32_t i = 0; i < t->room; i++)
		if (t->ports[i].holder == holder)
			t->ports[i].holder = NULL;
}

void evtchn_reap(struct port_table *t)
{
	for (uint32_t i = 0; i < t->room; i++)
		if (t->ports[i].state == PORT_DEAD && !t->ports[i].holder)
			port_release(t, &t->ports[i]);
}

/* --- after a restart --- */

/* the state of end i, or PORT_FREE when nobody has it */
static enum port_state restored_state(const struct state_channel *kept,
				      struct port_table *const tables[2], unsigned int i)
{
	if (!tables[i] || !kept->ends[i].port)
		return PORT_FREE;
	if (!tables[!i])
		return PORT_DEAD;
	return kept->ends[!i].port ? PORT_INTERDOMAIN : PORT_UNBOUND;
}

static int restore_end(struct channel *c, struct port_table *const tables[2], unsigned int i)
{
	const struct state_end *own = &c->kept.ends[i], *far = &c->kept.ends[!i];
	enum port_state state = restored_state(&c->kept, tables, i);
	int number;

	if (state == PORT_FREE)
		return 0;
	number = reserve(tables[i], own->port);
	if (number < 0)
		return number;
	port_set(tables[i], own->port,
		 &(struct port){ state, far->domid, state == PORT_INTERDOMAIN ? far->port : 0, c, i,
				 NULL });
	return 0;
}

int evtchn_restore(struct state *state, uint32_t slot, const struct state_channel *kept,
		   struct port_table *const tables[2], int fds[2])
{
	struct channel *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		closep(&fds[0]);
		closep(&fds[1]);
		return -ENOMEM;
	}
	*c = (struct channel){ state, slot, 0, { fds[0], fds[1] }, *kept };
	r = restore_end(c, tables, 0);
	if (r == 0)
		r = restore_end(c, tables, 1);
	if (c->ends == 0) {
		channel_free(c);
		return r < 0 ? r : -EINVAL;
	}
	return r;
}
