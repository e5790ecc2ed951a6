/* SPDX-License-Identifier: MIT */
/* The layout of the kept tables, and whether bytes have it. Pure. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "hypercall-bridge/bridged/state.h"

#include "common/bridge.pb-c.h"
#include "common/xen.h"

static struct state_record *record_at(void *bytes, uint32_t number)
{
	return (void *)((uint8_t *)bytes + STATE_HEADER_SIZE + (size_t)number * STATE_RECORD_SIZE);
}

const struct state_header *state_header(const void *bytes)
{
	return bytes;
}

const struct state_record *state_record(const void *bytes, uint32_t number)
{
	return record_at((void *)(uintptr_t)bytes, number);
}

static bool terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

static bool region_ok(const struct state_region *r, unsigned int nr_fds)
{
	if (r->kind > BRIDGE__REGION_KIND__CONSOLE_RING || r->fd >= nr_fds || r->size == 0)
		return false;
	if ((r->gpa | r->size | r->offset) % XEN_PAGE_SIZE)
		return false;
	/* as in bridge_wire.c: sums need no further check */
	return r->gpa <= 1ull << 52 && r->size <= 1ull << 52 && r->offset <= 1ull << 52;
}

static bool domid_fits(uint16_t domid, unsigned int kind)
{
	switch (kind) {
	case BRIDGE__DOMAIN_KIND__CONTROL_DOMAIN:
		return domid == 0;
	case BRIDGE__DOMAIN_KIND__SERVICE_DOMAIN:
		return domid >= SERVICE_DOMID_MIN && domid <= SERVICE_DOMID_MAX;
	case BRIDGE__DOMAIN_KIND__GUEST_DOMAIN:
		return domid >= BRIDGE_DOMID_GUEST_MIN && domid <= BRIDGE_DOMID_GUEST_MAX;
	default:
		return false;
	}
}

/* Descriptors are numbered in the order of the regions that need them first. */
static bool regions_ok(const struct state_domain *d)
{
	uint32_t next = 0;

	for (unsigned int i = 0; i < d->nr_regions; i++) {
		if (!region_ok(&d->regions[i], d->nr_fds) || d->regions[i].fd > next)
			return false;
		if (d->regions[i].fd == next)
			next++;
	}
	return next == d->nr_fds;
}

static bool domain_ok(const struct state_domain *d)
{
	if (!domid_fits(d->domid, d->kind) || d->unique_id == 0)
		return false;
	if (d->state < BRIDGE__DOMAIN_STATE__PAUSED || d->state > BRIDGE__DOMAIN_STATE__SHUTDOWN)
		return false;
	if (!terminated(d->name, sizeof(d->name)) || !*d->name || d->has_secret > 1)
		return false;
	if (d->ended > 1)
		return false;
	if (d->nr_regions > BRIDGE_REGIONS_MAX || d->nr_fds > d->nr_regions)
		return false;
	if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN && d->nr_regions)
		return false;
	return regions_ok(d);
}

static bool channel_ok(const struct state_channel *c)
{
	for (int i = 0; i < 2; i++)
		if (c->ends[i].port >= BRIDGE_PORTS_MAX || c->ends[i].domid >= STATE_SLOTS ||
		    c->ends[i].unique_id == 0)
			return false;
	return c->ends[0].port || c->ends[1].port;
}

static bool deposit_ok(const struct state_deposit *d)
{
	return terminated(d->socket, sizeof(d->socket)) && *d->socket &&
	       terminated(d->name, sizeof(d->name)) && *d->name;
}

static bool gone_ok(const struct state_gone *g)
{
	return g->number != 0 && g->number < 1ull << 62 && g->unique_id != 0 && g->ended <= 1 &&
	       domid_fits(g->domid, BRIDGE__DOMAIN_KIND__GUEST_DOMAIN) &&
	       terminated(g->name, sizeof(g->name)) && *g->name;
}

static bool record_ok(const struct state_record *r)
{
	switch (r->kind) {
	case STATE_FREE:
		return true;
	case STATE_DOMAIN:
		return domain_ok(&r->domain);
	case STATE_CHANNEL:
		return channel_ok(&r->channel);
	case STATE_DEPOSIT:
		return deposit_ok(&r->deposit);
	case STATE_GONE:
		return gone_ok(&r->gone);
	default:
		return false;
	}
}

int state_check(void *bytes, size_t len, const char **ret_why)
{
	struct state_header *h = bytes;

	*ret_why = "they are no tables of bridged";
	if (len != STATE_SIZE || h->magic != STATE_MAGIC)
		return -EINVAL;
	*ret_why = "they are of another version";
	if (h->version != STATE_VERSION || h->record_size != STATE_RECORD_SIZE)
		return -EINVAL;
	*ret_why = "their header is broken";
	if (h->used > STATE_SLOTS || h->pending > h->used || h->instance == 0 ||
	    h->last_domid > BRIDGE_DOMID_GUEST_MAX)
		return -EINVAL;
	if (h->pending)
		*record_at(bytes, h->pending - 1) = h->record;
	h->pending = 0;
	*ret_why = "a record is broken";
	for (uint32_t i = 0; i < h->used; i++)
		if (!record_ok(state_record(bytes, i)))
			return -EINVAL;
	return 0;
}

unsigned int state_nr_fds(const struct state_record *r)
{
	switch (r->kind) {
	case STATE_DOMAIN:
		return r->domain.nr_fds;
	case STATE_CHANNEL:
		return 2;
	case STATE_DEPOSIT:
		return 1;
	default:
		return 0;
	}
}

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
#define BASE (sizeof(digits) - 1)

/* Short: all names together go through one environment variable, of at most 128 KiB. */
void state_fd_name(uint32_t number, unsigned int i, char *ret_name)
{
	uint32_t n = number * STATE_FDS_MAX + i;
	size_t len = 1;

	for (uint32_t rest = n; rest >= BASE; rest /= BASE)
		len++;
	ret_name[len] = '\0';
	for (; len > 0; n /= BASE)
		ret_name[--len] = digits[n % BASE];
}

int state_fd_parse(const char *name, uint32_t *ret_number, unsigned int *ret_i)
{
	uint32_t n = 0;
	size_t len = strlen(name);

	if (len == 0 || len >= STATE_NAME_SIZE - 2)
		return -EINVAL;
	for (; *name; name++) {
		const char *digit = strchr(digits, *name);

		if (!digit)
			return -EINVAL;
		n = n * (uint32_t)BASE + (uint32_t)(digit - digits);
	}
	if (n >= STATE_SLOTS * STATE_FDS_MAX)
		return -EINVAL;
	*ret_number = n / STATE_FDS_MAX;
	*ret_i = n % STATE_FDS_MAX;
	return 0;
}
