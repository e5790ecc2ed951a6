/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/restore.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/bridged/server.h"
#include "hypercall-bridge/bridged/state.h"

/* the record's descriptors; false: they are not all there, and those that are stay where they were */
static bool take_fds(struct server *s, uint32_t number, unsigned int nr, int *ret_fds)
{
	char name[STATE_NAME_SIZE];

	for (unsigned int i = 0; i < nr; i++) {
		state_fd_name(number, i, name);
		ret_fds[i] = fdstore_take(&s->fdstore, name);
		if (ret_fds[i] >= 0)
			continue;
		while (i > 0)
			close(ret_fds[--i]);
		return false;
	}
	return true;
}

static bool is_configured(const struct server *s, const struct state_domain *d)
{
	const struct service *service = service_by_domid(&s->services, d->domid);

	return d->kind != BRIDGE__DOMAIN_KIND__SERVICE_DOMAIN ||
	       (service && !strcmp(service->name, d->name));
}

static int restore_domain(struct server *s, uint32_t number, const struct state_record *r, int *fds)
{
	int error;

	if (!is_configured(s, &r->domain)) {
		log_info("%s is no service any more", r->domain.name);
		state_free(s->state, number);
		return 0;
	}
	error = domain_restore(&s->domains, number, &r->domain, fds);
	if (error == 0)
		log_debug("domain %u (%s) is known from before", r->domain.domid, r->domain.name);
	return error;
}

static int restore_channel(struct server *s, uint32_t number, const struct state_record *r,
			   int *fds)
{
	struct port_table *tables[2];

	for (int i = 0; i < 2; i++) {
		const struct state_end *end = &r->channel.ends[i];
		struct domain *d = domain_get(&s->domains, end->domid);

		tables[i] = d && d->unique_id == end->unique_id ? &d->ports : NULL;
	}
	for (int i = 0; i < 2; i++)
		if (tables[i] && r->channel.ends[i].port)
			return evtchn_restore(s->state, number, &r->channel, tables, fds);
	close(fds[0]);
	close(fds[1]);
	state_free(s->state, number);
	return 0;
}

static int restore_record(struct server *s, uint32_t number, const struct state_record *r)
{
	int fds[STATE_FDS_MAX], error;
	unsigned int nr = state_nr_fds(r);

	state_adopt(s->state, number, nr);
	if (!take_fds(s, number, nr, fds)) {
		log_warning("record %u is dropped: the keeper lost its descriptors", number);
		state_free(s->state, number);
		return 0;
	}
	switch (r->kind) {
	case STATE_DOMAIN:
		return restore_domain(s, number, r, fds);
	case STATE_CHANNEL:
		return restore_channel(s, number, r, fds);
	case STATE_GONE:
		(void)gone_restore(&s->domains.gone, number, &r->gone);
		return 0;
	default:
		error = keep_restore(&s->kept, number, &r->deposit, fds[0]);
		return error < 0 ? error : 0;
	}
}

/* Domains first: channels and what is dead follow from them. */
int restore_records(struct server *s, const void *bytes, const char **ret_why)
{
	static const enum state_kind order[] = { STATE_DOMAIN, STATE_CHANNEL, STATE_DEPOSIT,
						 STATE_GONE };
	const struct state_header *h = state_header(bytes);

	*ret_why = "its records contradict each other";
	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		for (uint32_t i = 0; i < h->used; i++) {
			const struct state_record *r = state_record(bytes, i);
			int error = r->kind == order[k] ? restore_record(s, i, r) : 0;

			if (error < 0)
				return error;
		}
	s->domains.last_domid = (uint16_t)h->last_domid;
	return 0;
}

static void empty_tables(struct server *s)
{
	keep_table_fini(&s->kept);
	domain_table_fini(&s->domains);
	s->state = state_close(s->state);
}

static int fill_tables(struct server *s)
{
	int r = domain_table_init(&s->domains, s->state);

	keep_table_init(&s->kept, s->state);
	return r;
}

/* a private copy of it all. NULL when it is not what it should be */
static void *read_tables(int fd)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct stat st;
	size_t done = 0;

	if (fstat(fd, &st) < 0 || (size_t)st.st_size != STATE_SIZE)
		return NULL;
	bytes = malloc(STATE_SIZE);
	while (bytes && done < STATE_SIZE) {
		ssize_t n = pread(fd, bytes + done, STATE_SIZE - done, (off_t)done);

		if (n <= 0)
			return NULL;
		done += (size_t)n;
	}
	return steal_ptr(&bytes);
}

/* takes fd */
static int restore_from(struct server *s, int fd, const char **ret_why)
{
	_cleanup_free_ void *bytes = read_tables(fd);
	int r;

	*ret_why = "they cannot be read";
	r = bytes ? state_check(bytes, STATE_SIZE, ret_why) : -EINVAL;
	if (r < 0) {
		close(fd);
		return r;
	}
	r = state_open(&s->fdstore, fd, &s->state);
	if (r == 0)
		r = fill_tables(s);
	return r < 0 ? r : restore_records(s, bytes, ret_why);
}

static int start_empty(struct server *s)
{
	int r = 0;

	fdstore_drop_rest(&s->fdstore);
	if (s->fdstore.room)
		r = state_open(&s->fdstore, -1, &s->state);
	if (r == 0)
		r = fill_tables(s);
	if (r < 0)
		log_error("cannot make the domain table: %s", strerror(-r));
	return r;
}

/* Refused tables may have been taken apart already: what the keeper holds of them goes by its names. */
static void refuse(struct server *s, const char *why)
{
	log_warning("the tables kept from before are refused: %s; beginning with empty ones", why);
	empty_tables(s);
	for (size_t i = 0; i < s->fdstore.nr; i++)
		if (s->fdstore.fds[i] < 0)
			fdstore_remove(&s->fdstore, s->fdstore.names[i]);
}

int restore_tables(struct server *s)
{
	const char *why = NULL;
	int fd, r = fdstore_open(&s->fdstore);

	if (r < 0) {
		log_error("cannot take over the kept descriptors: %s", strerror(-r));
		return r;
	}
	fd = s->fdstore.room ? fdstore_take(&s->fdstore, "tables") : -ENOENT;
	if (fd < 0)
		return start_empty(s);
	r = restore_from(s, fd, &why);
	if (r < 0) {
		refuse(s, why);
		return start_empty(s);
	}
	fdstore_drop_rest(&s->fdstore);
	log_info("going on with %u guests from before", s->domains.nr_guests);
	return 1;
}
