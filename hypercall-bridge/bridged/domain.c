/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "hypercall-bridge/bridged/domain.h"

#include "common/cleanup.h"
#include "common/xen.h"
#include "hypercall-bridge/bridged/gnttab.h"
#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/state.h"

#define DOMIDS 32768u

static void domain_free(struct domain *d)
{
	if (!d)
		return;
	port_table_fini(&d->ports);
	for (size_t i = 0; i < d->nr_regions; i++)
		closep(&d->regions[i].fd);
	free(d);
}

static void domain_freep(struct domain **d)
{
	domain_free(*d);
}

/* Not guessable and never repeated while this bridged lives: 64 random bits */
static int new_unique_id(uint64_t *ret_id)
{
	uint64_t id = 0;

	while (id == 0)
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			return -errno;
	*ret_id = id;
	return 0;
}

static int domain_new(const char *name, Bridge__DomainKind kind, struct domain **ret_domain)
{
	struct domain *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	r = new_unique_id(&d->unique_id);
	if (r < 0) {
		free(d);
		return r;
	}
	strncpy(d->name, name, sizeof(d->name) - 1);
	d->kind = kind;
	d->slot = STATE_NO_SLOT;
	list_init(&d->link);
	*ret_domain = d;
	return 0;
}

static void domain_insert(struct domain_table *t, struct domain *d, uint16_t domid)
{
	d->domid = domid;
	port_table_init(&d->ports, t->state, domid, d->unique_id);
	t->by_domid[domid] = d;
	list_append(&t->all, &d->link);
}

/* its memory's descriptors, each file once. Their number */
static unsigned int domain_files(const struct domain *d, int fds[BRIDGE_REGIONS_MAX])
{
	unsigned int n = 0;

	for (size_t i = 0; i < d->nr_regions; i++)
		if (d->regions[i].file == n)
			fds[n++] = d->regions[i].fd;
	return n;
}

void domain_write(struct domain_table *t, const struct domain *d)
{
	struct state_record r = { .kind = STATE_DOMAIN };
	int fds[BRIDGE_REGIONS_MAX];

	r.domain = (struct state_domain){
		.unique_id = d->unique_id,
		.store_gfn = d->store_gfn,
		.console_gfn = d->console_gfn,
		.store_port = d->store_port,
		.console_port = d->console_port,
		.shutdown_reason = d->shutdown_reason,
		.domid = d->domid,
		.kind = (uint8_t)d->kind,
		.state = (uint8_t)d->state,
		.control = (uint8_t)d->control,
		.nr_regions = (uint8_t)d->nr_regions,
		.nr_fds = (uint8_t)domain_files(d, fds),
		.has_secret = d->has_secret,
		.ended = d->ended,
	};
	memcpy(r.domain.name, d->name, sizeof(r.domain.name));
	memcpy(r.domain.secret, d->secret, sizeof(r.domain.secret));
	for (size_t i = 0; i < d->nr_regions; i++)
		r.domain.regions[i] = (struct state_region){
			.gpa = d->regions[i].gpa,
			.size = d->regions[i].size,
			.offset = d->regions[i].offset,
			.kind = d->regions[i].kind,
			.fd = d->regions[i].file,
		};
	state_write(t->state, d->slot, &r);
}

static int add_permanent(struct domain_table *t, const char *name, uint16_t domid,
			 Bridge__DomainKind kind)
{
	_cleanup_(domain_freep) struct domain *d = NULL;
	int r;

	if (t->by_domid[domid])
		return t->by_domid[domid]->awaited ? 0 : -EEXIST;
	r = domain_new(name, kind, &d);
	if (r == 0)
		r = state_new(t->state, NULL, 0, &d->slot);
	if (r < 0)
		return r;
	d->state = BRIDGE__DOMAIN_STATE__RUNNING;
	domain_insert(t, d, domid);
	domain_write(t, steal_ptr(&d));
	return 0;
}

int domain_add_control(struct domain_table *t)
{
	return add_permanent(t, "Domain-0", 0, BRIDGE__DOMAIN_KIND__CONTROL_DOMAIN);
}

int domain_table_init(struct domain_table *t, struct state *state)
{
	*t = (struct domain_table){ .by_domid = calloc(DOMIDS, sizeof(*t->by_domid)),
				    .state = state };
	list_init(&t->all);
	return t->by_domid ? gone_table_init(&t->gone, state) : -ENOMEM;
}

void domain_table_fini(struct domain_table *t)
{
	struct domain *d, *tmp;

	if (!t->by_domid)
		return;
	list_for_each_safe(d, tmp, &t->all, link) {
		list_remove(&d->link);
		domain_free(d);
	}
	gone_table_fini(&t->gone);
	free(t->by_domid);
	t->by_domid = NULL;
}

struct domain *domain_get(const struct domain_table *t, uint32_t domid)
{
	return domid < DOMIDS ? t->by_domid[domid] : NULL;
}

struct domain *domain_by_name(const struct domain_table *t, const char *name)
{
	struct domain *d;

	list_for_each(d, &t->all, link)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

int domain_add_service(struct domain_table *t, const char *name, uint16_t domid)
{
	return add_permanent(t, name, domid, BRIDGE__DOMAIN_KIND__SERVICE_DOMAIN);
}

static int next_domid(struct domain_table *t, uint16_t *ret_domid)
{
	uint16_t domid = t->last_domid;

	for (unsigned int i = 0; i <= BRIDGE_DOMID_GUEST_MAX; i++) {
		domid = domid >= BRIDGE_DOMID_GUEST_MAX ? BRIDGE_DOMID_GUEST_MIN : domid + 1;
		if (t->by_domid[domid])
			continue;
		*ret_domid = domid;
		return 0;
	}
	return -ENOSPC;
}

/*
 * Services map this memory: it must be there (no hole at the end) and stay. Only a memfd has seals, so the
 * check of F_SEAL_SHRINK is also the check of the descriptor's type.
 */
static int check_memory(const Bridge__Region *r, int fd, const char **ret_why)
{
	struct statfs fs;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
		*ret_why = "guest memory must be a memfd sealed against shrinking (F_SEAL_SHRINK)";
		return -EINVAL;
	}
	if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) ||
	    (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR) {
		*ret_why = "guest memory must be writable for services";
		return -EINVAL;
	}
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type !=
	    TMPFS_MAGIC) { /* huge pages may not be there when a service touches them */
		*ret_why = "guest memory must be a memfd of ordinary pages";
		return -EINVAL;
	}
	if ((uint64_t)st.st_size < r->offset + r->size) {
		*ret_why = "a memory region reaches past the end of its memfd";
		return -EINVAL;
	}
	return 0;
}

static bool overlaps(const struct memory_region *a, const Bridge__Region *b)
{
	return a->kind != BRIDGE__REGION_KIND__GRANT_FRAMES &&
	       b->kind != BRIDGE__REGION_KIND__GRANT_FRAMES && a->gpa < b->gpa + b->size &&
	       b->gpa < a->gpa + a->size;
}

static int check_kind(const struct domain *d, const Bridge__Region *r, const char **ret_why)
{
	if (r->kind != BRIDGE__REGION_KIND__RAM && r->kind != BRIDGE__REGION_KIND__GRANT_FRAMES &&
	    r->size != XEN_PAGE_SIZE) {
		*ret_why = "a ring is one page";
		return -EINVAL;
	}
	if (r->size > LIMIT_MEMORY || d->memory_bytes + r->size > LIMIT_MEMORY) {
		*ret_why = "more memory than a guest may have";
		return -E2BIG;
	}
	for (size_t i = 0; i < d->nr_regions; i++) {
		if (overlaps(&d->regions[i], r)) {
			*ret_why = "memory regions overlap";
			return -EINVAL;
		}
		if (r->kind != BRIDGE__REGION_KIND__RAM && d->regions[i].kind == r->kind) {
			*ret_why = "grant frames and rings are one region each";
			return -EINVAL;
		}
	}
	if (r->kind == BRIDGE__REGION_KIND__GRANT_FRAMES &&
	    r->size > LIMIT_GRANT_FRAMES * XEN_PAGE_SIZE) {
		*ret_why = "too many grant frames";
		return -EINVAL;
	}
	return 0;
}

/* Descriptors of the message that are one number are one file: the keeper takes a file once. */
static uint32_t number_of_file(const struct domain *d, Bridge__Region *const *regions)
{
	uint32_t next = 0;

	for (size_t i = 0; i < d->nr_regions; i++) {
		if (regions[i]->fd == regions[d->nr_regions]->fd)
			return d->regions[i].file;
		if (d->regions[i].file == next)
			next++;
	}
	return next;
}

static int add_region(struct domain *d, const Bridge__Region *r, int fd, const char **ret_why)
{
	int own, error = check_memory(r, fd, ret_why);

	if (error == 0)
		error = check_kind(d, r, ret_why);
	if (error < 0)
		return error;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return -errno;
	d->regions[d->nr_regions++] =
		(struct memory_region){ r->kind, r->gpa, r->size, r->offset, own, 0 };
	if (r->kind == BRIDGE__REGION_KIND__RAM)
		d->memory_bytes += r->size;
	return 0;
}

static int seed_grants(struct domain *d)
{
	for (size_t i = 0; i < d->nr_regions; i++)
		if (d->regions[i].kind == BRIDGE__REGION_KIND__GRANT_FRAMES)
			return gnttab_seed(d->regions[i].fd, (off_t)d->regions[i].offset,
					   d->console_gfn, d->store_gfn);
	return 0;
}

static int add_regions(struct domain *d, const Bridge__DomainCreate *req, const int *fds,
		       const char **ret_why)
{
	for (size_t i = 0; i < req->n_regions; i++) {
		uint32_t file = number_of_file(d, req->regions);
		int r = add_region(d, req->regions[i], fds[req->regions[i]->fd], ret_why);

		if (r < 0)
			return r;
		d->regions[i].file = file;
	}
	return 0;
}

static int check_new(const struct domain_table *t, const Bridge__DomainCreate *req,
		     const char **ret_why)
{
	if (!*req->name) {
		*ret_why = "a domain needs a name";
		return -EINVAL;
	}
	if (domain_by_name(t, req->name)) {
		*ret_why = "a domain of this name runs already";
		return -EEXIST;
	}
	if (t->nr_guests >= LIMIT_DOMAINS) {
		*ret_why = "there are too many domains";
		return -ENOSPC;
	}
	if (req->secret.len && req->secret.len != BRIDGE_SECRET_SIZE) {
		*ret_why = "a secret has 32 bytes";
		return -EINVAL;
	}
	return 0;
}

static int keep_domain(struct domain_table *t, struct domain *d)
{
	int fds[BRIDGE_REGIONS_MAX];
	unsigned int n = domain_files(d, fds);

	return state_new(t->state, fds, n, &d->slot);
}

int domain_create(struct domain_table *t, const Bridge__DomainCreate *req, const int *fds,
		  struct domain **ret_domain, const char **ret_why)
{
	_cleanup_(domain_freep) struct domain *d = NULL;
	uint16_t domid;
	int r = check_new(t, req, ret_why);

	if (r == 0)
		r = next_domid(t, &domid);
	if (r == 0)
		r = domain_new(req->name, BRIDGE__DOMAIN_KIND__GUEST_DOMAIN, &d);
	if (r == 0)
		r = add_regions(d, req, fds, ret_why);
	if (r < 0)
		return r;
	d->has_secret = req->secret.len == BRIDGE_SECRET_SIZE;
	if (d->has_secret)
		memcpy(d->secret, req->secret.data, BRIDGE_SECRET_SIZE);
	d->store_gfn = req->store_gfn;
	d->console_gfn = req->console_gfn;
	d->state = BRIDGE__DOMAIN_STATE__PAUSED;
	r = seed_grants(d);
	if (r == 0)
		r = keep_domain(t, d);
	if (r < 0)
		return r;
	domain_insert(t, d, domid);
	t->last_domid = domid;
	t->nr_guests++;
	state_set_last_domid(t->state, domid);
	domain_write(t, d);
	*ret_domain = steal_ptr(&d);
	return 0;
}

static void remember_gone(struct domain_table *t, const struct domain *d)
{
	struct gone g = {
		.unique_id = d->unique_id,
		.memory_bytes = d->memory_bytes,
		.shutdown_reason = d->shutdown_reason,
		.domid = d->domid,
		.ended = d->ended,
	};

	memcpy(g.name, d->name, sizeof(g.name));
	gone_add(&t->gone, &g);
}

void domain_end(struct domain_table *t, struct domain *d)
{
	if (d->kind == BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		remember_gone(t, d);
	state_free(t->state, d->slot);
	d->slot = STATE_NO_SLOT;
}

void domain_destroy(struct domain_table *t, struct domain *d)
{
	struct domain *other;

	list_remove(&d->link);
	t->by_domid[d->domid] = NULL;
	if (d->kind == BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		t->nr_guests--;
	list_for_each(other, &t->all, link) {
		evtchn_peer_gone(&other->ports, d->domid);
		if (other->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN && !other->awaited)
			evtchn_reap(&other->ports);
	}
	port_table_destroy(&d->ports);
	domain_free(d);
}

/* not faster for a wrong secret that begins rightly */
bool domain_knows(const struct domain *d, const ProtobufCBinaryData *secret)
{
	uint8_t differs = 0;

	if (!d->has_secret || secret->len != BRIDGE_SECRET_SIZE)
		return false;
	for (size_t i = 0; i < BRIDGE_SECRET_SIZE; i++)
		differs |= d->secret[i] ^ secret->data[i];
	return differs == 0;
}

/* --- after a restart --- */

static int restore_regions(struct domain *d, const struct state_domain *kept, const int *fds)
{
	const char *why = "";

	for (unsigned int i = 0; i < kept->nr_regions; i++) {
		const struct state_region *k = &kept->regions[i];
		Bridge__Region r = BRIDGE__REGION__INIT;
		int error;

		r.kind = (Bridge__RegionKind)k->kind;
		r.gpa = k->gpa;
		r.size = k->size;
		r.offset = k->offset;
		error = add_region(d, &r, fds[k->fd], &why);
		if (error < 0)
			return error;
		d->regions[i].file = k->fd;
	}
	return 0;
}

static int check_restored(const struct domain_table *t, const struct state_domain *kept)
{
	const struct domain *d;

	if (t->by_domid[kept->domid] || domain_by_name(t, kept->name))
		return -EEXIST;
	list_for_each(d, &t->all, link)
		if (d->unique_id == kept->unique_id)
			return -EEXIST;
	return 0;
}

static struct domain *domain_from_kept(uint32_t slot, const struct state_domain *kept)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	list_init(&d->link);
	d->unique_id = kept->unique_id;
	memcpy(d->name, kept->name, sizeof(d->name));
	d->kind = (Bridge__DomainKind)kept->kind;
	d->state = (Bridge__DomainState)kept->state;
	d->shutdown_reason = kept->shutdown_reason;
	d->ended = kept->ended || kept->state == BRIDGE__DOMAIN_STATE__SHUTDOWN;
	d->store_gfn = kept->store_gfn;
	d->console_gfn = kept->console_gfn;
	d->store_port = kept->store_port;
	d->console_port = kept->console_port;
	d->awaited = true;
	d->control = kept->control;
	d->has_secret = kept->has_secret;
	memcpy(d->secret, kept->secret, sizeof(d->secret));
	d->slot = slot;
	return d;
}

int domain_restore(struct domain_table *t, uint32_t slot, const struct state_domain *kept, int *fds)
{
	_cleanup_(domain_freep) struct domain *d = NULL;
	int r = check_restored(t, kept);

	if (r == 0) {
		d = domain_from_kept(slot, kept);
		r = d ? restore_regions(d, kept, fds) : -ENOMEM;
	}
	for (unsigned int i = 0; i < kept->nr_fds; i++)
		close(steal_fd(&fds[i]));
	if (r < 0)
		return r;
	domain_insert(t, d, kept->domid);
	if (d->kind == BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		t->nr_guests++;
	d = NULL;
	return 0;
}

void domain_to_wire(const struct domain *d, Bridge__DomainInfo *ret_info)
{
	Bridge__DomainInfo info = BRIDGE__DOMAIN_INFO__INIT;

	info.domid = d->domid;
	info.unique_id = d->unique_id;
	info.name = (char *)(uintptr_t)d->name;
	info.kind = d->kind;
	info.state = d->state;
	info.shutdown_reason = d->shutdown_reason;
	info.ended = d->ended;
	info.memory_bytes = d->memory_bytes;
	info.store_gfn = d->store_gfn;
	info.store_port = d->store_port;
	info.console_gfn = d->console_gfn;
	info.console_port = d->console_port;
	*ret_info = info;
}
