/* SPDX-License-Identifier: MIT */
/*
 * One list of calls for all transports, with what each of them says to it. Everything is done with two
 * handles at once, of two worlds whose domids, ports and grefs are the same: what is one's must not show up
 * in the other.
 *
 * Built twice: with WORLD_FAKE for fake:, whose guests are functions inside of the library, and for those
 * that are reached from outside, bridge: and the plug-in files:.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include <xenhost/backend.h>
#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/frontend.h>
#include <xenhost/gnttab.h>
#include <xenhost/hypercall.h>
#include <xenhost/keep.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "tests/support/tempdir.h"
#ifdef WORLD_FAKE
#include "libxenhost/transport_fake.h"
#include "tests/support/daemon.h"
#else
#include "loopguest/guest.h"
#include "loopguest/guest_transport.h"
#include "tests/support/set.h"
#endif

#define SERVICE 32000
#define PATIENCE_MS 30000
#define RW (XENHOST_READ | XENHOST_WRITE)

/* one host with one guest, which has granted a page to us and offers a port */
struct side {
	xenhost_t *host;
	uint16_t domid;
	uint32_t gref, readonly, outside, port;
	uint8_t *page; /* what gref names; NULL: this transport has none */
	int guest_wait, guest_notify;
	char mark; /* begins the page */
#ifdef WORLD_FAKE
	struct fake_domain *guest;
	struct test_daemon xenstored;
#else
	struct guest *guest;
	struct set set;
#endif
	char dir[TEMPDIR_SIZE];
};

enum transport { FAKE, BRIDGE, FILES, NR_TRANSPORTS };

static struct side sides[2];

/* --- the calls; each gives 0 or what went wrong, and checks what it got --- */

static int pending(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout);
}

static int do_info(struct side *s)
{
	struct xenhost_domain_info info, again;
	int r = xenhost_domain_info(s->host, s->domid, &info);

	if (r < 0)
		return r;
	ck_assert_uint_eq(info.domid, s->domid);
	ck_assert_uint_eq(info.kind, XENHOST_DOMAIN_GUEST);
	ck_assert_uint_eq(info.state, XENHOST_DOMAIN_RUNNING);
	ck_assert_int_eq(xenhost_domain_by_name(s->host, info.name, &again), 0);
	ck_assert_uint_eq(again.unique_id, info.unique_id);
	ck_assert_int_eq(xenhost_domain_by_name(s->host, "nobody", &again), -ESRCH);
	return xenhost_domain_info(s->host, 4711, &again) == -ESRCH ? 0 : -EBADMSG;
}

/* one that there is, and one that never was */
static int do_ended(struct side *s)
{
	struct xenhost_domain_info info;
	int r = xenhost_domain_ended(s->host, s->domid, &info);

	if (r < 0)
		return r;
	ck_assert_uint_eq(info.state, XENHOST_DOMAIN_RUNNING);
	ck_assert_uint_eq(info.flags, 0);
	return xenhost_domain_ended(s->host, 4711, &info) == -ESRCH ? 0 : -EBADMSG;
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct side *s = data;

	ck_assert_ptr_eq(host, s->host);
	if (info->domid == s->domid)
		s->mark |= 0x20; /* seen: its letter is a small one */
}

static int do_watch(struct side *s)
{
	struct xenhost_domain_info info;
	int r = xenhost_domain_known(s->host, s->domid, &info) == -EINVAL ? 0 : -EBADMSG;

	if (r == 0)
		r = xenhost_domain_watch(s->host, on_domain, s);
	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_domain_watch(s->host, on_domain, s), -EBUSY);
	while (!(s->mark & 0x20)) {
		ck_assert_int_eq(pending(xenhost_get_fd(s->host), PATIENCE_MS), 1);
		ck_assert_int_ge(xenhost_process(s->host), 0);
	}
	s->mark &= ~0x20;
	ck_assert_int_eq(xenhost_domain_known(s->host, s->domid, &info), 0);
	ck_assert_int_eq(xenhost_domain_known(s->host, 4711, &info), -ESRCH);
	return xenhost_domain_watch(s->host, NULL, NULL);
}

static int do_control(struct side *s)
{
	return xenhost_domain_unpause(s->host, s->domid);
}

static int do_pause(struct side *s)
{
	int r = xenhost_domain_pause(s->host, s->domid);

	return r < 0 ? r : xenhost_domain_unpause(s->host, s->domid);
}

static int do_destroy(struct side *s)
{
	int r = xenhost_domain_destroy(s->host, 4711);

	return r == -ESRCH ? 0 : r;
}

static int do_bind(struct side *s)
{
	xenhost_port_t *port;
	int r = xenhost_port_bind(s->host, s->domid, s->port, &port);

	if (r < 0)
		return r;
	ck_assert_uint_gt(xenhost_port_number(port), 0);
	/* as after a restart, it is pending */
	ck_assert_int_eq(pending(xenhost_port_fd(port), PATIENCE_MS), 1);
	ck_assert_int_eq(xenhost_port_ack(port), 1);
	ck_assert_int_eq(xenhost_port_ack(port), 0);
	ck_assert_int_eq(xenhost_port_notify(port), 0);
	if (s->guest_notify >= 0) {
		eventfd_t count;

		ck_assert_int_eq(pending(s->guest_wait, PATIENCE_MS), 1);
		ck_assert_int_eq(eventfd_read(s->guest_wait, &count), 0);
		ck_assert_int_eq(eventfd_write(s->guest_notify, 1), 0);
		ck_assert_int_eq(pending(xenhost_port_fd(port), PATIENCE_MS), 1);
		ck_assert_int_eq(xenhost_port_ack(port), 1);
	}
	xenhost_port_close(port);
	return 0;
}

static int do_bind_wrong(struct side *s)
{
	xenhost_port_t *port;
	int r = xenhost_port_bind(s->host, 4711, 1, &port);

	if (r == 0)
		xenhost_port_close(port);
	if (r != -ESRCH)
		return -EBADMSG;
	return xenhost_port_bind(s->host, s->domid, 999, &port) == -EINVAL ? 0 : -EBADMSG;
}

static int do_alloc(struct side *s)
{
	xenhost_port_t *port;
	int r = xenhost_port_alloc(s->host, s->domid, &port);

	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_port_notify(port), 0); /* nobody is there yet */
	xenhost_port_close(port);
	return xenhost_port_alloc(s->host, 4711, &port) == -ESRCH ? 0 : -EBADMSG;
}

static int do_map(struct side *s)
{
	const uint32_t twice[] = { s->gref, s->gref }, bad[] = { s->gref, 8 + 400 };
	xenhost_map_t *map;
	int r = xenhost_map_grants(s->host, s->domid, twice, 2, RW, &map);

	if (r < 0)
		return r;
	ck_assert_int_eq(*(char *)xenhost_map_addr(map), s->mark);
	ck_assert_int_eq(((char *)xenhost_map_addr(map))[4096], s->mark);
	xenhost_unmap(map);
	ck_assert_int_eq(xenhost_map_grants(s->host, s->domid, &s->readonly, 1, RW, &map), -EACCES);
	ck_assert_int_eq(xenhost_map_grants(s->host, s->domid, &s->outside, 1, RW, &map), -EFAULT);
	ck_assert_int_eq(xenhost_map_grants(s->host, 4711, twice, 1, RW, &map), -ESRCH);
	return xenhost_map_grants(s->host, s->domid, bad, 2, RW, &map) == -EPERM ? 0 : -EBADMSG;
}

/* gref 1 of a guest is its Xenstore ring, for domain 0 */
static int do_map_store(struct side *s)
{
	const uint32_t gref = 1;
	xenhost_map_t *map;
	int r = xenhost_map_grants(s->host, s->domid, &gref, 1, RW, &map);

	if (r == 0)
		xenhost_unmap(map);
	return r;
}

static int do_io(struct side *s)
{
	struct xenhost_seg segs[2] = { { .gref = s->gref, .len = 8 },
				       { .gref = s->gref, .offset = 4095, .len = 1 } };
	struct iovec iov[2];
	int r = xenhost_io_begin(s->host, s->domid, segs, 2, RW, iov);

	if (r < 0)
		return r;
	ck_assert_int_eq(*(char *)iov[0].iov_base, s->mark);
	ck_assert_uint_eq(iov[1].iov_len, 1);
	*(char *)iov[1].iov_base = '!';
	ck_assert_int_eq(xenhost_io_end(s->host, s->domid, segs, 2, RW, iov), 0);
	ck_assert_int_eq(s->page[4095], '!');
	segs[1].gref = s->readonly;
	ck_assert_int_eq(xenhost_io_begin(s->host, s->domid, segs, 2, RW, iov), -EACCES);
	ck_assert_int_eq(segs[0].status, 0);
	ck_assert_int_eq(segs[1].status, -EACCES);
	segs[1] = (struct xenhost_seg){ .gref = s->gref, .offset = 4096, .len = 1 };
	ck_assert_int_eq(xenhost_io_begin(s->host, s->domid, segs, 2, RW, iov), -EINVAL);
	segs[1].gref = UINT32_MAX;
	segs[1].offset = 0;
	ck_assert_int_eq(xenhost_io_begin(s->host, s->domid, segs, 2, RW, iov), -EINVAL);
	return xenhost_io_begin(s->host, 4711, segs, 1, RW, iov) == -ESRCH ? 0 : -EBADMSG;
}

static int do_translate(struct side *s)
{
	struct xenhost_page page = { 0 };
	int r = xenhost_translate_gref(s->host, s->domid, s->gref, XENHOST_READ, &page);

	if (r < 0)
		return r;
	ck_assert_int_eq(*(char *)page.addr, s->mark);
	ck_assert_int_eq(xenhost_put_gref(s->host, &page), 0);
	ck_assert_int_eq(xenhost_put_gref(s->host, &page), -EINVAL);
	ck_assert_int_eq(xenhost_translate_gref(s->host, s->domid, s->outside, XENHOST_READ, &page),
			 -EFAULT);
	return 0;
}

static int do_copy(struct side *s)
{
	char buf[4] = "";
	struct xenhost_copy copy = { .local = buf, .gref = s->gref, .len = 1 };
	int r = xenhost_grant_copy(s->host, s->domid, &copy, 1, XENHOST_READ);

	if (r < 0)
		return r;
	ck_assert_int_eq(buf[0], s->mark);
	copy.gref = s->readonly;
	ck_assert_int_eq(xenhost_grant_copy(s->host, s->domid, &copy, 1, XENHOST_WRITE), -EACCES);
	return copy.status == -EACCES ? 0 : -EBADMSG;
}

static int do_settle(struct side *s)
{
	int r = xenhost_grants_settle(s->host, s->domid);

	if (r < 0)
		return r;
	return xenhost_grants_settle(s->host, 4711) == -ESRCH ? 0 : -EBADMSG;
}

static int do_share(struct side *s)
{
	xenhost_share_t *share;
	int r = xenhost_share(s->host, s->domid, 2, RW, &share);

	if (r < 0)
		return r;
	ck_assert_int_eq(*(char *)xenhost_share_addr(share), 0);
	return xenhost_unshare(share);
}

static int do_keep(struct side *s)
{
	_cleanup_close_ int put = memfd_create("deposit", MFD_CLOEXEC), got = -1;
	char byte = 0;
	int r;

	ck_assert_int_eq(pwrite(put, &s->mark, 1, 0), 1);
	r = xenhost_keep_put(s->host, "thing", put);
	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_keep_get(s->host, "thing", &got), 0);
	ck_assert_int_eq(pread(got, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, s->mark);
	ck_assert_int_eq(xenhost_keep_drop(s->host, "thing"), 0);
	ck_assert_int_eq(xenhost_keep_drop(s->host, "thing"), -ENOENT);
	return xenhost_keep_get(s->host, "thing", &r) == -ENOENT ? 0 : -EBADMSG;
}

static int do_version(struct side *s)
{
	uint64_t version[2];
	int r = xenhost_hypercall(s->host, XENHOST_HYPERCALL_VERSION, NULL, 0, version, 2);

	ck_assert_int_eq(xenhost_hypercall(s->host, 4711, NULL, 0, NULL, 0), -ENOSYS);
	ck_assert_int_eq(xenhost_hypercall(s->host, XENHOST_HYPERCALL_VERSION, NULL, 0, version, 1),
			 -EINVAL);
	if (r < 0)
		return r;
	return version[0] == 4 ? 0 : -EBADMSG;
}

static int do_status(struct side *s)
{
	const uint64_t none = 4000;
	uint64_t results[3];
	int r = xenhost_hypercall(s->host, XENHOST_HYPERCALL_EVTCHN_STATUS, &none, 1, results, 3);

	return r == -EINVAL ? 0 : r;
}

static int do_grant_size(struct side *s)
{
	uint64_t results[2];

	return xenhost_hypercall(s->host, XENHOST_HYPERCALL_GRANT_SIZE, NULL, 0, results, 2);
}

static int do_param(struct side *s)
{
	const uint64_t store_evtchn = 2;
	uint64_t value;

	return xenhost_hypercall(s->host, XENHOST_HYPERCALL_HVM_PARAM, &store_evtchn, 1, &value, 1);
}

static int do_shutdown(struct side *s)
{
	const uint64_t poweroff = 0;

	return xenhost_hypercall(s->host, XENHOST_HYPERCALL_SHUTDOWN, &poweroff, 1, NULL, 0);
}

static int do_store(struct side *s)
{
	_cleanup_free_ char *value = NULL;
	int r = xenhost_store_write(s->host, 0, "mark", &s->mark, 1);

	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_store_read(s->host, 0, "mark", &value, NULL), 0);
	ck_assert_int_eq(value[0], s->mark);
	return xenhost_store_rm(s->host, 0, "mark");
}

static int do_folders(struct side *s)
{
	_cleanup_free_ char **names = NULL;
	struct xenhost_perm perms[2];
	uint64_t value = 0;
	int r = xenhost_store_mkdir(s->host, 0, "folder/inner");

	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_store_printf(s->host, 0, "folder/number", "%d", s->mark), 0);
	ck_assert_int_eq(xenhost_store_read_u64(s->host, 0, "folder/number", 255, &value), 0);
	ck_assert_uint_eq(value, (uint64_t)s->mark);
	ck_assert_int_eq(xenhost_store_list(s->host, 0, "folder", &names), 2);
	ck_assert_str_eq(names[0], "inner");
	ck_assert_int_eq(xenhost_store_get_perms(s->host, 0, "folder", perms, 1), 1);
	perms[1] = (struct xenhost_perm){ 'r', s->domid };
	ck_assert_int_eq(xenhost_store_set_perms(s->host, 0, "folder", perms, 2), 0);
	ck_assert_int_eq(xenhost_store_get_perms(s->host, 0, "folder", perms, 2), 2);
	ck_assert_int_eq(perms[1].letter, 'r');
	return xenhost_store_rm(s->host, 0, "folder");
}

/* what another sees of it: nothing, until it is over */
static int add_one(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	uint64_t value = 0;
	int r = xenhost_store_read_u64(host, txn, "count", 100, &value);

	r = r == -ENOENT ? 0 : r;
	if (r == 0)
		r = xenhost_store_printf(host, txn, "count", "%u", (unsigned int)value + 1);
	return r;
}

static int do_txn(struct side *s)
{
	uint64_t value;
	xenhost_txn_t txn;
	int r = xenhost_txn_begin(s->host, &txn);

	if (r < 0)
		return r;
	ck_assert_int_eq(add_one(s->host, txn, s), 0);
	ck_assert_int_eq(xenhost_store_read_u64(s->host, 0, "count", 100, &value), -ENOENT);
	ck_assert_int_eq(add_one(s->host, 0, s), 0);
	ck_assert_int_eq(xenhost_txn_end(s->host, txn, 1), -EAGAIN);
	ck_assert_int_eq(xenhost_txn_run(s->host, add_one, s), 0);
	ck_assert_int_eq(xenhost_store_read_u64(s->host, 0, "count", 100, &value), 0);
	ck_assert_uint_eq(value, 2);
	return xenhost_store_rm(s->host, 0, "count");
}

static void process_until(struct side *s, const unsigned int *count, unsigned int wanted)
{
	while (*count < wanted) {
		ck_assert_int_eq(pending(xenhost_get_fd(s->host), PATIENCE_MS), 1);
		ck_assert_int_ge(xenhost_process(s->host), 0);
	}
}

static void on_change(xenhost_t *host, const char *path, void *data)
{
	++*(unsigned int *)data;
}

static int do_store_watch(struct side *s)
{
	unsigned int changes = 0;
	xenhost_watch_t *watch;
	int r = xenhost_watch(s->host, "watched", on_change, &changes, &watch);

	if (r < 0)
		return r;
	process_until(s, &changes, 1);
	ck_assert_int_eq(xenhost_store_write(s->host, 0, "watched", &s->mark, 1), 0);
	process_until(s, &changes, 2);
	ck_assert_ptr_null(xenhost_unwatch(watch));
	return xenhost_store_rm(s->host, 0, "watched");
}

static int no_device(xenhost_device_t *dev)
{
	return -ENODEV;
}

static void no_end(xenhost_device_t *dev)
{
}

/* with devices: test-backend over fake:, loopback-blk and others over bridge: */
static int do_backend(struct side *s)
{
	const struct xenhost_backend_ops ops = { .size = sizeof(ops),
						 .type = "thing",
						 .probe = no_device,
						 .connect = no_device,
						 .disconnect = no_end };
	xenhost_backend_t *backend;
	int r = xenhost_backend_new(s->host, &ops, s, &backend);

	if (r < 0)
		return r;
	ck_assert_ptr_eq(xenhost_backend_data(backend), s);
	ck_assert_ptr_null(xenhost_backend_free(backend));
	return 0;
}

static int no_front(xenhost_frontend_t *front)
{
	return -ENODEV;
}

static void no_closed(xenhost_frontend_t *front)
{
}

/* with a back end: test-frontend over fake:, example.sh over a loopback guest's own */
static int do_frontend(struct side *s)
{
	const struct xenhost_frontend_ops ops = {
		.size = sizeof(ops), .setup = no_front, .connected = no_front, .closed = no_closed
	};
	xenhost_frontend_t *front;
	int r = xenhost_frontend_new(s->host, "device/thing/0", &ops, s, &front);

	return r == -ENOENT ? 0 : r;
}

static int do_restrict(struct side *s)
{
	xenhost_port_t *port;
	int r = xenhost_restrict(s->host, s->domid);

	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_restrict(s->host, s->domid), 0);
	ck_assert_int_eq(xenhost_restrict(s->host, 4711), -EPERM);
	return xenhost_port_bind(s->host, 4711, 1, &port) == -EPERM ? 0 : -EBADMSG;
}

/* --- the list --- */

#define NO (-EOPNOTSUPP)

static const struct {
	const char *name;
	int (*call)(struct side *s);
	int expect[NR_TRANSPORTS]; /* fake:, bridge: (a service), files: */
} calls[] = {
	{ "domain_info, domain_by_name", do_info, { 0, 0, NO } },
	{ "domain_ended", do_ended, { 0, 0, NO } },
	{ "domain_watch, domain_known", do_watch, { 0, 0, 0 } },
	{ "domain_unpause", do_control, { 0, -EPERM, NO } },
	{ "domain_pause", do_pause, { 0, -EPERM, NO } },
	{ "domain_destroy", do_destroy, { 0, -EPERM, NO } },
	{ "port_bind, ack, notify, close", do_bind, { 0, 0, 0 } },
	{ "port_bind of no port", do_bind_wrong, { 0, 0, -EBADMSG } }, /* its ports are all alike */
	{ "port_alloc", do_alloc, { 0, 0, NO } },
	{ "map_grants", do_map, { 0, 0, -EINVAL } }, /* one page only */
	{ "map_grants of the store page", do_map_store, { -EPERM, -EPERM, 0 } },
	{ "io_begin, io_end", do_io, { 0, 0, NO } },
	{ "translate_gref, put_gref", do_translate, { 0, 0, NO } },
	{ "grant_copy", do_copy, { 0, 0, NO } },
	{ "grants_settle", do_settle, { 0, 0, NO } },
	{ "share, unshare", do_share, { 0, NO, NO } },
	{ "keep_put, get, drop", do_keep, { NO, 0, 0 } },
	{ "hypercall version", do_version, { 0, 0, NO } },
	{ "hypercall evtchn-status", do_status, { 0, 0, NO } },
	{ "hypercall grant-size", do_grant_size, { 0, -EINVAL, NO } }, /* a service has none */
	{ "hypercall hvm-param", do_param, { NO, -EINVAL, NO } },
	{ "hypercall shutdown", do_shutdown, { NO, -EPERM, NO } },
	{ "store_write, read, rm", do_store, { 0, 0, NO } },
	{ "store_mkdir, printf, read_u64, list, perms", do_folders, { 0, 0, NO } },
	{ "txn_begin, end, run", do_txn, { 0, 0, NO } },
	{ "watch, unwatch", do_store_watch, { 0, 0, NO } },
	{ "backend_new, free", do_backend, { 0, 0, NO } },
	{ "frontend_new of no folder", do_frontend, { 0, 0, NO } },
	{ "restrict", do_restrict, { 0, 0, 0 } }, /* the last one: nothing else works afterwards */
};

static void run_list(enum transport t)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (int k = 0; k < 2; k++) {
			int r = calls[i].call(&sides[k]);

			if (r != calls[i].expect[t])
				ck_abort_msg("%s of side %d: %d, not %d", calls[i].name, k, r,
					     calls[i].expect[t]);
		}
	for (int k = 0; k < 2; k++)
		if (sides[k].page)
			ck_assert_int_eq(sides[k].page[0], sides[k].mark);
	ck_assert_uint_eq(sides[0].domid, sides[1].domid);
	ck_assert_uint_eq(sides[0].gref, sides[1].gref);
	ck_assert_uint_eq(sides[0].port, sides[1].port);
}

/* --- worlds --- */

#ifdef WORLD_FAKE

static void make_fake(struct side *s)
{
	static const char *const args[] = { "--host", "none", NULL };
	char uri[TEMPDIR_SIZE + 48];
	struct fake_end end;

	s->domid = 1;
	s->gref = 10;
	s->readonly = 11;
	s->outside = 12;
	tempdir_make(s->dir);
	test_daemon_start(&s->xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", s->dir, args);
	snprintf(uri, sizeof(uri), "fake:%s/xenstored.sock,domid=32000", s->dir);
	ck_assert_int_eq(xenhost_open(uri, 0, &s->host), 0);
	ck_assert_int_eq(fake_domain_new(s->host, s->domid, 8, &s->guest), 0);
	fake_grant(s->guest, s->gref, 3, SERVICE, false);
	fake_grant(s->guest, s->readonly, 4, SERVICE, true);
	fake_grant(s->guest, s->outside, 99, SERVICE, false);
	s->page = fake_page(s->guest, 3);
	s->page[0] = (uint8_t)s->mark;
	ck_assert_int_eq(fake_port_offer(s->guest, &end), 0);
	s->port = end.port;
	s->guest_wait = end.wait_fd;
	s->guest_notify = end.notify_fd;
}

START_TEST(test_fake)
{
	for (int k = 0; k < 2; k++) {
		sides[k].mark = (char)('A' + k);
		make_fake(&sides[k]);
	}
	run_list(FAKE);
	for (int k = 0; k < 2; k++) {
		xenhost_close(sides[k].host);
		test_daemon_end(&sides[k].xenstored);
		tempdir_remove(sides[k].dir);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transports-fake");
	TCase *tc = tcase_create("fake");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_fake);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#else

static void make_bridge(struct side *s)
{
	struct guest_port port;
	uint32_t frame;
	char uri[128];

	ck_assert_int_eq(guest_new(s->set.rundir, "twin", 16, &s->guest), 0);
	s->domid = guest_domid(s->guest);
	frame = guest_new_frame(s->guest);
	s->page = guest_page(s->guest, frame);
	s->page[0] = (uint8_t)s->mark;
	s->gref = guest_grant(s->guest, SERVICE, frame, false);
	s->readonly = guest_grant(s->guest, SERVICE, frame, true);
	s->outside = guest_grant(s->guest, SERVICE, 99, false);
	ck_assert_int_eq(guest_port_offer(s->guest, SERVICE, &port), 0);
	s->port = port.number;
	s->guest_wait = port.wait_fd;
	s->guest_notify = port.notify_fd;
	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", s->set.rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &s->host), 0);
}

START_TEST(test_bridge)
{
	for (int k = 0; k < 2; k++)
		make_bridge(&sides[k]);
	run_list(BRIDGE);
	for (int k = 0; k < 2; k++) {
		xenhost_close(sides[k].host);
		guest_free(sides[k].guest);
	}
}
END_TEST

/* the offering side has an end */
START_TEST(test_full_guest)
{
	xenhost_share_t *shares[8];
	xenhost_t *host;
	char uri[128];
	int n = 0, r;

	ck_assert_int_eq(guest_transport_register(), 0);
	snprintf(uri, sizeof(uri), "guest:%s,small,8", sides[0].set.rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
	do
		r = xenhost_share(host, SERVICE, 3, RW, &shares[n]);
	while (r == 0 && ++n < 8);
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(n, 2);
	while (n > 0)
		ck_assert_int_eq(xenhost_unshare(shares[--n]), 0);
	xenhost_close(host);
}
END_TEST

/* its player is this process as well: the domain is there, and somebody says so */
static void make_files(struct side *s)
{
	char uri[TEMPDIR_SIZE + 16], path[TEMPDIR_SIZE + 16];
	const uint32_t changed = 3;
	int fd;

	*s = (struct side){ .domid = 1,
			    .gref = 8,
			    .port = 1,
			    .mark = s->mark,
			    .guest_wait = -1,
			    .guest_notify = -1 };
	tempdir_make(s->dir);
	snprintf(path, sizeof(path), "%s/dom.1", s->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, "run", 3), 3);
	close(fd);
	snprintf(path, sizeof(path), "%s/evt", s->dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	snprintf(uri, sizeof(uri), "files:%s", s->dir);
	ck_assert_int_eq(xenhost_open(uri, 0, &s->host), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, &changed, sizeof(changed)), sizeof(changed));
	close(fd);
}

START_TEST(test_files)
{
	setenv("XENHOST_TRANSPORTS", PLUGIN_DIR, 1);
	for (int k = 0; k < 2; k++)
		make_files(&sides[k]);
	run_list(FILES);
	for (int k = 0; k < 2; k++) {
		xenhost_close(sides[k].host);
		tempdir_remove(sides[k].dir);
	}
}
END_TEST

static int run(void)
{
	Suite *suite = suite_create("transports");
	TCase *tc = tcase_create("transports");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_bridge);
	tcase_add_test(tc, test_files);
	tcase_add_test(tc, test_full_guest);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}

int main(void)
{
	int failed = 1;

	sides[0].mark = 'A';
	sides[1].mark = 'B';
	if (set_start(&sides[0].set) == 0 && set_start(&sides[1].set) == 0)
		failed = run();
	for (int k = 1; k >= 0; k--)
		if (set_stop(&sides[k].set) < 0)
			failed = 1;
	return failed ? 1 : 0;
}

#endif
