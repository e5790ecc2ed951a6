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

struct channel {
	unsigned int ends; /* that exist */
	int fds[2];	   /* fds[n]: what end n waits on */
};

static struct channel *channel_new(void)
{
	struct channel *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	c->ends = 0;
	c->fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fds[0] >= 0 && c->fds[1] >= 0)
		return c;
	closep(&c->fds[0]);
	closep(&c->fds[1]);
	free(c);
	return NULL;
}

static void channel_put(struct channel *c)
{
	if (!c || --c->ends > 0)
		return;
	close(c->fds[0]);
	close(c->fds[1]);
	free(c);
}

static void port_release(struct port_table *t, struct port *p)
{
	channel_put(p->channel);
	*p = (struct port){ .state = PORT_FREE };
	t->in_use--;
}

void port_table_fini(struct port_table *t)
{
	for (uint32_t i = 0; i < t->room; i++)
		if (t->ports[i].state != PORT_FREE)
			port_release(t, &t->ports[i]);
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

static void port_set(struct port_table *t, int number, const struct port *value)
{
	t->ports[number] = *value;
	t->in_use++;
	value->channel->ends++;
}

int evtchn_alloc(struct port_table *t, uint32_t want, uint16_t remote_domid)
{
	int number = reserve(t, want);
	struct channel *c;

	if (number < 0)
		return number;
	c = channel_new();
	if (!c)
		return -EMFILE;
	port_set(t, number, &(struct port){ PORT_UNBOUND, remote_domid, 0, c, 0 });
	return number;
}

/* A new end starts pending, so that nothing sent before the binding is missed. */
static int join(struct port_table *t, uint16_t domid, struct port_table *remote,
		uint16_t remote_domid, uint32_t remote_port, uint32_t want)
{
	int number = reserve(t, want);
	struct port *far;

	if (number < 0)
		return number;
	far = port_get(remote, remote_port); /* after reserve: t and remote may be one table */
	port_set(t, number,
		 &(struct port){ PORT_INTERDOMAIN, remote_domid, remote_port, far->channel,
				 !far->end });
	far->state = PORT_INTERDOMAIN;
	far->remote_port = (uint32_t)number;
	(void)eventfd_write(far->channel->fds[!far->end], 1); /* full: pending already */
	return number;
}

int evtchn_bind(struct port_table *t, uint16_t domid, struct port_table *remote,
		uint16_t remote_domid, uint32_t remote_port, uint32_t want)
{
	struct port *far = port_get(remote, remote_port);

	if (!far || far->state == PORT_DEAD)
		return -EINVAL;
	if (far->remote_domid != domid)
		return -EPERM;
	if (far->state == PORT_UNBOUND)
		return join(t, domid, remote, remote_domid, remote_port, want);
	if (want && want != far->remote_port)
		return -EEXIST;
	(void)eventfd_write(far->channel->fds[!far->end], 1);
	return (int)far->remote_port;
}

int evtchn_close(struct port_table *t, uint16_t domid, struct port_table *remote, uint32_t number)
{
	struct port *p = port_get(t, number);
	struct port *far;

	if (!p)
		return -EINVAL;
	far = p->state == PORT_INTERDOMAIN && remote ? port_get(remote, p->remote_port) : NULL;
	if (far) {
		far->state = PORT_UNBOUND;
		far->remote_domid = domid;
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

void evtchn_reap(struct port_table *t)
{
	for (uint32_t i = 0; i < t->room; i++)
		if (t->ports[i].state == PORT_DEAD)
			port_release(t, &t->ports[i]);
}
