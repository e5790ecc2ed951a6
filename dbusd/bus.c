/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "dbusd/bus.h"

#define MESSAGES_MAX 64 /* at once, then bridged and signals have their turn */

/* What needs which right; what is not here is a command. */
static const struct {
	const char *interface, *member; /* member NULL: all */
	enum access access;
} needs[] = {
	{ "org.freedesktop.DBus.Peer", NULL, ACCESS_NONE },
	{ "org.freedesktop.DBus.Introspectable", NULL, ACCESS_LOOK },
	{ "org.freedesktop.DBus.ObjectManager", NULL, ACCESS_LOOK },
	{ "org.freedesktop.DBus.Properties", "Get", ACCESS_LOOK },
	{ "org.freedesktop.DBus.Properties", "GetAll", ACCESS_LOOK },
	{ "org.xenhost.Host1", "ListDomains", ACCESS_LOOK },
	{ "org.xenhost.Host1", "FindDomain", ACCESS_LOOK },
	{ "org.xenhost.Domain1", "OpenConsole", ACCESS_LOOK },
	{ "org.xenhost.Disk1", "Stat", ACCESS_LOOK },
	{ "org.xenhost.Network1", "Stat", ACCESS_LOOK },
};

static enum access needed(sd_bus_message *m)
{
	const char *interface = sd_bus_message_get_interface(m);
	const char *member = sd_bus_message_get_member(m);

	for (size_t i = 0; interface && member && i < ARRAY_SIZE(needs); i++)
		if (!strcmp(needs[i].interface, interface) &&
		    (!needs[i].member || !strcmp(needs[i].member, member)))
			return needs[i].access;
	return ACCESS_COMMAND;
}

/* The bus knows who sent it: not a process's word, and not one that has ended since. */
static int sender(sd_bus_message *m, uid_t *ret_uid)
{
	sd_bus_creds *creds = NULL;
	int r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);

	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, ret_uid);
	sd_bus_creds_unref(creds);
	return r;
}

static int on_message(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bus *b = data;
	enum access need, have;
	uid_t uid;
	int r;

	if (!sd_bus_message_is_method_call(m, NULL, NULL))
		return 0;
	need = needed(m);
	if (need == ACCESS_NONE)
		return 0;
	r = sender(m, &uid);
	if (r < 0)
		return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_ACCESS_DENIED,
						  "it is not known who asks: %s", strerror(-r));
	have = access_of(b->access, uid);
	if (have >= need)
		return 0;
	log_info("user %u may not call %s", (unsigned int)uid, sd_bus_message_get_member(m));
	return sd_bus_reply_method_errorf(
		m, SD_BUS_ERROR_ACCESS_DENIED, "user %u may not %s; be a member of the group %s",
		(unsigned int)uid, need == ACCESS_COMMAND ? "command guests" : "look at guests",
		need == ACCESS_COMMAND ? "xenhost-admin" : "xenhost");
}

/* --- the loop --- */

static void time_left(uint64_t until, struct timeval *ret_tv)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	until = until > now ? until - now : 0;
	ret_tv->tv_sec = (time_t)(until / 1000000);
	ret_tv->tv_usec = (suseconds_t)(until % 1000000);
}

static void on_bus(evutil_socket_t fd, short what, void *data);

/* sd-bus waits for another thing after each message. */
static int wait_for_bus(struct bus *b)
{
	uint64_t until = UINT64_MAX;
	struct timeval tv;
	int events = sd_bus_get_events(b->bus), r;
	short what = 0;

	if (events < 0)
		return events;
	r = sd_bus_get_timeout(b->bus, &until);
	if (r < 0)
		return r;
	if (events & POLLIN)
		what |= EV_READ;
	if (events & POLLOUT)
		what |= EV_WRITE;
	if (until != UINT64_MAX)
		time_left(until, &tv);
	event_del(b->event);
	if (event_assign(b->event, b->base, sd_bus_get_fd(b->bus), what, on_bus, b) < 0)
		return -EINVAL;
	return event_add(b->event, until == UINT64_MAX ? NULL : &tv) < 0 ? -ENOMEM : 0;
}

static void on_bus(evutil_socket_t fd, short what, void *data)
{
	struct bus *b = data;
	int r = 1;

	for (int i = 0; i < MESSAGES_MAX && r > 0; i++)
		r = sd_bus_process(b->bus, NULL);
	if (r > 0)
		bus_kick(b);
	else if (r == 0)
		r = wait_for_bus(b);
	if (r < 0)
		b->lost(b, r);
}

void bus_kick(struct bus *b)
{
	event_active(b->event, EV_TIMEOUT, 0);
}

static int connect_to(struct bus *b, const char *address)
{
	int r;

	if (!address)
		return sd_bus_open_system(&b->bus);
	r = sd_bus_new(&b->bus);
	if (r >= 0)
		r = sd_bus_set_address(b->bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(b->bus, 1);
	return r < 0 ? r : sd_bus_start(b->bus);
}

int bus_open(struct bus *b, const char *address)
{
	int r = connect_to(b, address);

	if (r >= 0)
		r = sd_bus_add_filter(b->bus, NULL, on_message, b);
	if (r < 0) {
		log_error("cannot reach D-Bus at %s: %s; is dbus installed and running?",
			  address ? address : "the system's address", strerror(-r));
		return r;
	}
	b->event = event_new(b->base, -1, 0, on_bus, b);
	return b->event ? 0 : -ENOMEM;
}

int bus_serve(struct bus *b)
{
	int r = sd_bus_request_name(b->bus, BUS_NAME, 0);

	if (r < 0) {
		log_error("cannot be " BUS_NAME " on D-Bus: %s; its policy is in org.xenhost.conf",
			  strerror(-r));
		return r;
	}
	r = wait_for_bus(b);
	bus_kick(b); /* what came while we asked for the name */
	return r;
}

void bus_close(struct bus *b)
{
	if (b->event)
		event_free(b->event);
	b->event = NULL;
	b->bus = sd_bus_flush_close_unref(b->bus);
}
