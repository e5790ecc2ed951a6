/* SPDX-License-Identifier: MIT */
/*
 * Kept tables that somebody broke. The input is the start of a header, whose magic and sizes are put right
 * half of the time so that the rest is looked at, and records behind it. What state_check() takes is restored into
 * real tables, with descriptors that are what they should be; then the tables must fit together.
 * Planted and found within a second: the number of a region's descriptor unchecked (state.c), a port taken twice
 * (reserve() in evtchn.c).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/restore.h"
#include "hypercall-bridge/bridged/server.h"
#include "hypercall-bridge/bridged/state.h"

#define RECORDS_MAX 32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ram = -1;
static uint8_t *bytes;

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* --- what is not under test: the keeper and the living memfd --- */

int fdstore_take(struct fdstore *store, const char *name)
{
	uint32_t number;
	unsigned int i;

	check(state_fd_parse(name, &number, &i) == 0 && number < STATE_SLOTS);
	return number % 16 == 15 ? -ENOENT : fcntl(ram, F_DUPFD_CLOEXEC, 0); /* some are lost */
}

int fdstore_open(struct fdstore *store)
{
	return 0;
}

void fdstore_drop_rest(struct fdstore *store)
{
}

void fdstore_remove(struct fdstore *store, const char *name)
{
}

int state_open(struct fdstore *store, int memfd, struct state **ret_state)
{
	return -ENOSYS;
}

struct state *state_close(struct state *s)
{
	return NULL;
}

void state_set_last_domid(struct state *s, uint16_t domid)
{
}

int state_new(struct state *s, const int *fds, unsigned int nr_fds, uint32_t *ret_number)
{
	*ret_number = STATE_NO_SLOT;
	return 0;
}

void state_adopt(struct state *s, uint32_t number, unsigned int nr_fds)
{
	check(number < STATE_SLOTS && nr_fds <= STATE_FDS_MAX);
}

void state_write(struct state *s, uint32_t number, const struct state_record *r)
{
}

void state_free(struct state *s, uint32_t number)
{
	check(number < STATE_SLOTS || number == STATE_NO_SLOT);
}

/* --- */

static void check_ports(const struct domain_table *t, const struct domain *d)
{
	uint32_t in_use = 0;

	for (uint32_t i = 0; i < d->ports.room; i++) {
		const struct port *p = port_get(&d->ports, i), *far;
		const struct domain *other;

		if (!p)
			continue;
		in_use++;
		check(i > 0 && i < BRIDGE_PORTS_MAX && p->channel);
		other = domain_get(t, p->remote_domid);
		if (p->state == PORT_DEAD)
			continue;
		check(other != NULL);
		if (p->state != PORT_INTERDOMAIN)
			continue;
		far = port_get(&other->ports, p->remote_port);
		check(far && far->channel == p->channel && far->remote_port == i &&
		      far->remote_domid == d->domid && far->end != p->end);
	}
	check(in_use == d->ports.in_use);
}

static void check_tables(const struct domain_table *t)
{
	unsigned int guests = 0;
	struct domain *d;

	list_for_each(d, &t->all, link) {
		check(domain_get(t, d->domid) == d && domain_by_name(t, d->name) == d);
		guests += d->kind == BRIDGE__DOMAIN_KIND__GUEST_DOMAIN;
		for (size_t i = 0; i < d->nr_regions; i++)
			check(d->regions[i].fd >= 0 && d->regions[i].size > 0);
		check_ports(t, d);
	}
	check(guests == t->nr_guests);
	for (uint64_t n = 0; n < LIMIT_GONE; n++) {
		const struct gone *g = &t->gone.all[n];

		check(!g->number || (g->number % LIMIT_GONE == n && g->number <= t->gone.nr));
	}
}

static void restore(void)
{
	struct server s = { 0 };
	const char *why = NULL;

	service_table_init(&s.services);
	check(domain_table_init(&s.domains, NULL) == 0);
	keep_table_init(&s.kept, NULL);
	if (restore_records(&s, bytes, &why) == 0) {
		check_tables(&s.domains);
		(void)domain_add_control(&s.domains);
	} else {
		check(why != NULL);
	}
	keep_table_fini(&s.kept);
	domain_table_fini(&s.domains);
}

static void prepare(void)
{
	bytes = calloc(1, STATE_SIZE);
	ram = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	check(bytes && ram >= 0 && ftruncate(ram, 1 << 20) == 0 &&
	      fcntl(ram, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state_header *h;
	const char *why = NULL;
	size_t head = 64;

	if (!bytes)
		prepare();
	h = (void *)bytes;
	memset(bytes, 0, STATE_HEADER_SIZE + RECORDS_MAX * STATE_RECORD_SIZE);
	if (size < head)
		head = size;
	memcpy(bytes, data, head);
	if (size > 64) {
		size_t n = size - 64;

		if (n > RECORDS_MAX * STATE_RECORD_SIZE)
			n = RECORDS_MAX * STATE_RECORD_SIZE;
		memcpy(bytes + STATE_HEADER_SIZE, data + 64, n);
		memcpy(&h->record, data + 64 + (n > STATE_RECORD_SIZE ? n - STATE_RECORD_SIZE : 0),
		       n > STATE_RECORD_SIZE ? STATE_RECORD_SIZE : n);
	}
	if (!(h->pad & 1)) {
		h->magic = STATE_MAGIC;
		h->version = STATE_VERSION;
		h->record_size = STATE_RECORD_SIZE;
		h->used %= RECORDS_MAX + 1;
	}
	if (state_check(bytes, STATE_SIZE, &why) == 0)
		restore();
	else
		check(why != NULL);
	return 0;
}
