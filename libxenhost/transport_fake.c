/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include <xenhost/hypercall.h>

#include "common/xen.h"
#include "libxenhost/direct.h"
#include "libxenhost/fake_share.h"
#include "libxenhost/internal.h"
#include "libxenhost/store_wire.h"
#include "libxenhost/stream.h"
#include "libxenhost/transport_fake.h"

#define GRANTS_GPA (1ull << 40) /* beyond all RAM */

struct fake {
	xenhost_t *host;
	char store[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint16_t domid;
	int changed_fd; /* readable: domains to tell */
	bool telling;	/* domain_watch was called */
	bool snapshot;	/* and the domains there were have not been told yet */
	struct list domains;
	struct list ports;
	uint32_t last_port;
	struct fake_shares shares;
	struct direct_guests guests;
	unsigned int fail_op; /* the so-many-th op from now on fails; 0: none */
};

struct fake_domain {
	struct list link;
	struct fake *fake;
	struct xenhost_domain_info info;
	bool changed;
	size_t nr_pages;
	uint8_t *ram;
	_Atomic uint32_t *entries; /* two words each: flags and domid, frame */
	uint32_t last_port;
};

/* One channel. The guest's end notifies by to_us and waits on to_guest. */
struct port {
	struct list link;
	struct fake_domain *domain;
	uint32_t ours;	 /* 0: the guest's offer, not bound */
	uint32_t theirs; /* 0: our offer, not joined */
	int to_us;
	int to_guest;
};

/* --- faults --- */

void fake_fail_op(xenhost_t *host, unsigned int n)
{
	((struct fake *)host->state)->fail_op = n;
}

unsigned int fake_fail_left(xenhost_t *host)
{
	return ((struct fake *)host->state)->fail_op;
}

static bool fails(void *state)
{
	struct fake *fake = state;

	return fake->fail_op && --fake->fail_op == 0;
}

/* --- domains and memory --- */

static struct fake_domain *find_domain(struct fake *fake, uint16_t domid, const char *name)
{
	struct fake_domain *d;

	list_for_each(d, &fake->domains, link)
		if (d->info.state != XENHOST_DOMAIN_GONE &&
		    (name ? !strcmp(d->info.name, name) : d->info.domid == domid))
			return d;
	return NULL;
}

static void domain_changed(struct fake_domain *d)
{
	uint64_t one = 1;

	d->changed = true;
	(void)!write(d->fake->changed_fd, &one, sizeof(one));
}

static int make_region(enum direct_kind kind, uint64_t gpa, size_t size, void **ret_addr,
		       struct direct_region *ret_region)
{
	_cleanup_close_ int fd = memfd_create("fake", MFD_CLOEXEC);
	void *addr;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	*ret_addr = addr;
	*ret_region = (struct direct_region){ kind, gpa, size, 0, steal_fd(&fd) };
	return 0;
}

static int domain_memory(struct fake_domain *d)
{
	struct direct_region regions[2] = { { .fd = -1 }, { .fd = -1 } };
	void *addr;
	int r;

	r = make_region(DIRECT_RAM, 0, d->nr_pages * XEN_PAGE_SIZE, &addr, &regions[0]);
	if (r == 0) {
		d->ram = addr;
		r = make_region(DIRECT_GRANT_FRAMES, GRANTS_GPA, XEN_PAGE_SIZE, &addr, &regions[1]);
	}
	if (r == 0) {
		d->entries = addr;
		r = direct_guests_add(&d->fake->guests, d->info.domid, d->info.unique_id, regions,
				      2);
	}
	closep(&regions[0].fd);
	closep(&regions[1].fd);
	return r;
}

static void domain_free(struct fake_domain *d)
{
	list_remove(&d->link);
	if (d->ram)
		munmap(d->ram, d->nr_pages * XEN_PAGE_SIZE);
	if (d->entries)
		munmap(d->entries, XEN_PAGE_SIZE);
	free(d);
}

int fake_domain_new(xenhost_t *host, uint16_t domid, size_t nr_pages,
		    struct fake_domain **ret_domain)
{
	struct fake *fake = host->state;
	struct fake_domain *d;
	int r;

	if (find_domain(fake, domid, NULL))
		return -EEXIST;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	list_init(&d->link);
	d->fake = fake;
	d->nr_pages = nr_pages;
	d->info = (struct xenhost_domain_info){
		.domid = domid,
		.kind = XENHOST_DOMAIN_GUEST,
		.state = XENHOST_DOMAIN_RUNNING,
		.unique_id = (uint64_t)(uintptr_t)d,
		.memory_bytes = nr_pages * XEN_PAGE_SIZE,
	};
	snprintf(d->info.name, sizeof(d->info.name), "fake-%u", domid);
	r = domain_memory(d);
	if (r < 0) {
		domain_free(d);
		return r;
	}
	list_append(&fake->domains, &d->link);
	domain_changed(d);
	*ret_domain = d;
	return 0;
}

static void port_free(struct port *port)
{
	list_remove(&port->link);
	closep(&port->to_us);
	closep(&port->to_guest);
	free(port);
}

void fake_domain_end(struct fake_domain *d)
{
	struct port *port, *tmp;

	list_for_each_safe(port, tmp, &d->fake->ports, link)
		if (port->domain == d)
			port_free(port);
	d->info.state = XENHOST_DOMAIN_GONE;
	direct_guests_drop(&d->fake->guests, d->info.unique_id);
	domain_changed(d);
}

void *fake_page(struct fake_domain *d, uint32_t frame)
{
	return d->ram + (size_t)frame * XEN_PAGE_SIZE;
}

void fake_grant(struct fake_domain *d, uint32_t gref, uint32_t frame, uint16_t domid, bool readonly)
{
	uint32_t flags = GTF_permit_access | (readonly ? GTF_readonly : 0);

	atomic_store(&d->entries[2 * gref + 1], frame);
	atomic_store(&d->entries[2 * gref], flags | (uint32_t)domid << 16);
}

int fake_revoke(struct fake_domain *d, uint32_t gref)
{
	uint32_t word = atomic_load(&d->entries[2 * gref]);

	if (word & (GTF_reading | GTF_writing))
		return -EBUSY;
	return atomic_compare_exchange_strong(&d->entries[2 * gref], &word, 0) ? 0 : -EBUSY;
}

/* --- ports --- */

static int port_new(struct fake_domain *d, struct port **ret_port)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		return -ENOMEM;
	list_init(&port->link);
	port->domain = d;
	port->to_us = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	port->to_guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port->to_us < 0 || port->to_guest < 0) {
		port_free(port);
		return -EMFILE;
	}
	list_append(&d->fake->ports, &port->link);
	*ret_port = port;
	return 0;
}

static void guest_end(const struct port *port, struct fake_end *ret_end)
{
	*ret_end = (struct fake_end){ port->theirs, port->to_guest, port->to_us };
}

int fake_port_offer(struct fake_domain *d, struct fake_end *ret_end)
{
	struct port *port;
	int r;

	r = port_new(d, &port);
	if (r < 0)
		return r;
	port->theirs = ++d->last_port;
	guest_end(port, ret_end);
	return 0;
}

static struct port *find_port(struct fake *fake, uint32_t ours)
{
	struct port *port;

	list_for_each(port, &fake->ports, link)
		if (ours && port->ours == ours)
			return port;
	return NULL;
}

int fake_port_join(struct fake_domain *d, uint32_t our_port, struct fake_end *ret_end)
{
	struct port *port = find_port(d->fake, our_port);

	if (!port || port->domain != d || port->theirs)
		return -EINVAL;
	port->theirs = ++d->last_port;
	guest_end(port, ret_end);
	return 0;
}

size_t fake_ports(xenhost_t *host)
{
	struct fake *fake = host->state;
	struct port *port;
	size_t n = 0;

	list_for_each(port, &fake->ports, link)
		n += port->ours != 0;
	return n;
}

/* duplicates, because the library closes its own */
static int our_end(const struct port *port, struct xenhost_port_fds *ret)
{
	_cleanup_close_ int wait_fd = dup(port->to_us), notify_fd = dup(port->to_guest);

	if (wait_fd < 0 || notify_fd < 0)
		return -errno;
	*ret = (struct xenhost_port_fds){
		.port = port->ours,
		.wait_fd = steal_fd(&wait_fd),
		.notify_fd = steal_fd(&notify_fd),
	};
	return 0;
}

static int fake_bind(void *state, uint16_t domid, uint32_t remote_port,
		     struct xenhost_port_fds *ret)
{
	struct fake *fake = state;
	struct fake_domain *d = find_domain(fake, domid, NULL);
	uint64_t one = 1;
	struct port *port;

	if (fails(state))
		return -EIO;
	if (!d)
		return -ESRCH;
	list_for_each(port, &fake->ports, link) {
		if (port->domain != d || port->theirs != remote_port || !remote_port)
			continue;
		if (!port->ours)
			port->ours = ++fake->last_port;
		(void)!write(port->to_us, &one, sizeof(one));
		return our_end(port, ret);
	}
	return -EINVAL;
}

static int fake_alloc(void *state, uint16_t domid, struct xenhost_port_fds *ret)
{
	struct fake *fake = state;
	struct fake_domain *d = find_domain(fake, domid, NULL);
	struct port *port;
	int r;

	if (fails(state))
		return -EIO;
	if (!d)
		return -ESRCH;
	r = port_new(d, &port);
	if (r < 0)
		return r;
	port->ours = ++fake->last_port;
	r = our_end(port, ret);
	if (r < 0)
		port_free(port);
	return r;
}

/* as on Xen: the guest's end is an offer again, an offer of ours is withdrawn */
static int fake_close_port(void *state, uint32_t number)
{
	struct port *port = find_port(state, number);

	if (!port)
		return -EINVAL;
	if (port->theirs)
		port->ours = 0;
	else
		port_free(port);
	return 0;
}

static int fake_ack(void *state, const struct xenhost_port_fds *port)
{
	uint64_t count;

	if (read(port->wait_fd, &count, sizeof(count)) == sizeof(count))
		return 1;
	return errno == EAGAIN ? 0 : -errno;
}

static int fake_notify(void *state, const struct xenhost_port_fds *port)
{
	uint64_t one = 1;

	return write(port->notify_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

/* --- grants --- */

static int fake_map(void *state, uint16_t domid, const uint32_t *grefs, size_t n, unsigned int prot,
		    void **ret_addr, void **ret_map)
{
	struct fake *fake = state;
	struct direct_map *map;
	int r;

	if (fails(state))
		return -EIO;
	r = direct_map_new(&fake->guests, domid, grefs, n, prot, ret_addr, &map);
	if (r == 0)
		*ret_map = map;
	return r;
}

static void fake_unmap(void *state, void *map)
{
	direct_map_free(map);
}

static int fake_io_begin(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n,
			 unsigned int prot, struct iovec *iov)
{
	if (fails(state))
		return -EIO;
	return direct_io_begin(&((struct fake *)state)->guests, domid, segs, n, prot, iov);
}

static int fake_io_end(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n,
		       unsigned int prot, struct iovec *iov)
{
	direct_io_end(segs, n, prot);
	return 0;
}

static int fake_translate(void *state, uint16_t domid, uint32_t gref, unsigned int prot,
			  struct xenhost_page *ret_page)
{
	if (fails(state))
		return -EIO;
	return direct_translate(&((struct fake *)state)->guests, domid, gref, prot, ret_page);
}

static int fake_put(void *state, struct xenhost_page *page)
{
	direct_put(page);
	return 0;
}

static int fake_settle(void *state, uint16_t domid)
{
	if (fails(state))
		return -EIO;
	return direct_settle(&((struct fake *)state)->guests, domid);
}

/* --- we as a guest --- */

static int fake_share(void *state, uint16_t domid, size_t n, unsigned int prot, uint32_t *grefs,
		      void **ret_addr, void **ret_share)
{
	struct fake *fake = state;

	if (fails(state))
		return -EIO;
	return fake_shares_add(&fake->shares, domid, n, prot, grefs, ret_addr, ret_share);
}

static int fake_unshare(void *state, void *share)
{
	return fake_shares_remove(&((struct fake *)state)->shares, share);
}

void *fake_share_use(xenhost_t *host, uint16_t domid, uint32_t gref, bool use)
{
	return fake_shares_use(&((struct fake *)host->state)->shares, domid, gref, use);
}

/* --- domains, as a host tells them --- */

static int fake_domain_info(void *state, uint16_t domid, const char *name,
			    struct xenhost_domain_info *ret_info)
{
	struct fake_domain *d = find_domain(state, domid, name);

	if (fails(state))
		return -EIO;
	if (!d)
		return -ESRCH;
	*ret_info = d->info;
	return 0;
}

static int fake_domain_watch(void *state)
{
	struct fake *fake = state;
	struct fake_domain *d;

	if (fails(state))
		return -EIO;
	fake->telling = fake->snapshot = true;
	list_for_each(d, &fake->domains, link)
		domain_changed(d);
	return 0;
}

static int fake_domain_control(void *state, uint16_t domid, int action)
{
	struct fake_domain *d = find_domain(state, domid, NULL);

	if (fails(state))
		return -EIO;
	if (!d)
		return -ESRCH;
	if (action == 1)
		fake_domain_end(d);
	return 0;
}

static int fake_get_fd(void *state)
{
	return ((struct fake *)state)->changed_fd;
}

static void fake_tell(struct fake *fake, const struct fake_domain *d)
{
	struct xenhost_domain_info info = d->info;

	if (fake->snapshot && d->link.next == &fake->domains) {
		info.flags = XENHOST_DOMAIN_F_SNAPSHOT_END;
		fake->snapshot = false;
	}
	xenhost_transport_domain(fake->host, &info);
}

static int fake_process(void *state)
{
	struct fake *fake = state;
	struct fake_domain *d;
	uint64_t count;
	int n = 0;

	if (read(fake->changed_fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	list_for_each(d, &fake->domains, link) {
		if (!d->changed)
			continue;
		d->changed = false;
		if (!fake->telling)
			continue;
		fake_tell(fake, d);
		n++;
	}
	return n;
}

/* --- hypercalls --- */

static int fake_evtchn_status(struct fake *fake, uint64_t number, uint64_t *results)
{
	struct port *port = number <= UINT32_MAX ? find_port(fake, (uint32_t)number) : NULL;

	if (!port)
		return -EINVAL;
	results[0] = port->theirs ? EVTCHNSTAT_interdomain : EVTCHNSTAT_unbound;
	results[1] = port->domain->info.domid;
	results[2] = port->theirs;
	return 0;
}

static int fake_hypercall(void *state, unsigned int op, const uint64_t *args, uint64_t *results)
{
	if (fails(state))
		return -EIO;
	switch (op) {
	case XENHOST_HYPERCALL_VERSION:
		results[0] = 4;
		results[1] = 17;
		return 0;
	case XENHOST_HYPERCALL_EVTCHN_STATUS:
		return fake_evtchn_status(state, args[0], results);
	case XENHOST_HYPERCALL_GRANT_SIZE:
		results[0] = results[1] = 1;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/* --- open, close --- */

static int fake_store_connect(void *state)
{
	const struct fake *fake = state;

	if (fails(state))
		return -EIO;
	return *fake->store ? xh_stream_connect(fake->store) : -EOPNOTSUPP;
}

static int parse_address(struct fake *fake, const char *address)
{
	static const char key[] = ",domid=";
	const char *comma = strstr(address, key);
	size_t len = comma ? (size_t)(comma - address) : strlen(address);
	uint64_t domid = 0;

	if (comma) {
		const char *value = comma + strlen(key);

		if (xh_wire_number(value, strlen(value), UINT16_MAX, &domid) < 0)
			return -EINVAL;
	}
	if (len >= sizeof(fake->store))
		return -ENAMETOOLONG;
	memcpy(fake->store, address, len);
	fake->domid = fake->guests.domid = (uint16_t)domid;
	return 0;
}

static void fake_close(void *state)
{
	struct fake *fake = state;
	struct fake_domain *d, *next_domain;
	struct port *port, *next_port;

	list_for_each_safe(port, next_port, &fake->ports, link)
		port_free(port);
	list_for_each_safe(d, next_domain, &fake->domains, link)
		domain_free(d);
	fake_shares_free(&fake->shares);
	direct_guests_fini(&fake->guests);
	closep(&fake->changed_fd);
	free(fake);
}

static int fake_open(xenhost_t *host, const char *address, void **ret_state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	int r;

	if (!fake)
		return -ENOMEM;
	fake->host = host;
	list_init(&fake->domains);
	list_init(&fake->ports);
	fake_shares_init(&fake->shares);
	direct_guests_init(&fake->guests, 0, NULL, NULL);
	fake->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = fake->changed_fd < 0 ? -errno : parse_address(fake, address);
	if (r < 0) {
		fake_close(fake);
		return r;
	}
	*ret_state = fake;
	return 0;
}

static uint16_t fake_domid(void *state)
{
	return ((struct fake *)state)->domid;
}

const struct xenhost_transport_ops xh_transport_fake = {
	.size = sizeof(struct xenhost_transport_ops),
	.scheme = "fake",
	.features = XENHOST_F_MAP | XENHOST_F_DIRECT | XENHOST_F_DOMAINS | XENHOST_F_SHARE,
	.open = fake_open,
	.close = fake_close,
	.domid = fake_domid,
	.get_fd = fake_get_fd,
	.process = fake_process,
	.store_connect = fake_store_connect,
	.domain_info = fake_domain_info,
	.domain_watch = fake_domain_watch,
	.domain_control = fake_domain_control,
	.port_bind = fake_bind,
	.port_alloc = fake_alloc,
	.port_close = fake_close_port,
	.port_ack = fake_ack,
	.port_notify = fake_notify,
	.map = fake_map,
	.unmap = fake_unmap,
	.io_begin = fake_io_begin,
	.io_end = fake_io_end,
	.translate = fake_translate,
	.put = fake_put,
	.settle = fake_settle,
	.share = fake_share,
	.unshare = fake_unshare,
	.hypercall = fake_hypercall,
};
