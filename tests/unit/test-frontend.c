/* SPDX-License-Identifier: MIT */
/*
 * The front-end helper against the back-end helper over our own xenstored: the guest is domain 5 on one
 * handle, the back end service domain 32000 on another, the toolstack is the test. The back end's use of
 * shared pages is played with fake_share_use().
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/frontend.h>
#include <xenhost/transport.h>

#include "libxenhost/stream.h"
#include "libxenhost/transport_fake.h"
#include "tests/support/daemon.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

#define US 32000
#define FRONT 5
#define BACK_DIR "/local/domain/32000/backend/test/5/0"
#define FRONT_DIR "/local/domain/5/device/test/0"

static char rundir[TEMPDIR_SIZE];
static struct test_daemon xenstored;
static xenhost_t *guest, *svc;
static xenhost_backend_t *backend;
static xenhost_frontend_t *front;

static struct {
	char calls[256];
	int setup_result, connected_result;
	bool free_in_setup, free_in_connected, free_in_stop, free_in_closed;
	bool kill_in_setup;
	bool keep_mapped; /* the back end dies without letting go */
	xenhost_share_t *ring;
	xenhost_port_t *port;
	uint32_t gref;
	int unshared; /* result */
} t;

static void note(const char *what)
{
	if (*t.calls)
		strcat(t.calls, " ");
	strcat(t.calls, what);
	ck_assert_uint_lt(strlen(t.calls), sizeof(t.calls) - 20);
}

/* --- the front end's driver --- */

static void take_back(void)
{
	t.unshared = xenhost_unshare(t.ring);
	if (t.unshared == 0)
		t.ring = NULL;
	t.port = xenhost_port_close(t.port);
}

static int on_setup(xenhost_frontend_t *f)
{
	int r;

	note("setup");
	ck_assert_ptr_eq(xenhost_frontend_data(f), &t);
	ck_assert_ptr_eq(xenhost_frontend_host(f), guest);
	ck_assert_uint_eq(xenhost_frontend_backend_domid(f), US);
	if (t.kill_in_setup) {
		t.kill_in_setup = false;
		test_daemon_kill(&xenstored);
	}
	r = xenhost_frontend_share_ring(f, "ring-ref", 1, &t.ring);
	if (r < 0)
		return r;
	ck_assert_int_eq(xenhost_frontend_offer_port(f, "event-channel", &t.port), 0);
	ck_assert_int_eq(xenhost_frontend_printf(f, "protocol", "test-%d", 1), 0);
	ck_assert_int_eq(xenhost_frontend_printf(f, "state", "4"), -EINVAL);
	t.gref = xenhost_share_gref(t.ring, 0);
	if (t.setup_result < 0)
		take_back();
	if (t.free_in_setup)
		front = xenhost_frontend_free(f);
	return t.setup_result;
}

static int on_connected(xenhost_frontend_t *f)
{
	uint64_t v;

	note("connected");
	ck_assert_int_eq(xenhost_frontend_read_u64(f, XENHOST_BACK, "size", 1000, &v), 0);
	ck_assert_uint_eq(v, 77);
	if (t.free_in_connected)
		front = xenhost_frontend_free(f);
	return t.connected_result;
}

static void on_stop(xenhost_frontend_t *f)
{
	note("stop");
	if (t.free_in_stop)
		front = xenhost_frontend_free(f);
}

static void on_closed(xenhost_frontend_t *f)
{
	note("closed");
	take_back();
	if (t.free_in_closed)
		front = xenhost_frontend_free(f);
}

static void on_event(xenhost_frontend_t *f)
{
	note("event");
}

static const struct xenhost_frontend_ops front_ops = {
	.size = sizeof(front_ops),
	.setup = on_setup,
	.connected = on_connected,
	.stop = on_stop,
	.closed = on_closed,
	.event = on_event,
};

/* --- the back end --- */

static int probe(xenhost_device_t *dev)
{
	return 0;
}

static int back_connect(xenhost_device_t *dev)
{
	uint64_t gref;

	ck_assert_int_eq(xenhost_device_read_u64(dev, XENHOST_FRONT, "ring-ref", 1000, &gref), 0);
	ck_assert_ptr_nonnull(fake_share_use(guest, US, (uint32_t)gref, true));
	return xenhost_device_printf(dev, "size", "77");
}

static void back_disconnect(xenhost_device_t *dev)
{
	if (!t.keep_mapped)
		ck_assert_ptr_nonnull(fake_share_use(guest, US, t.gref, false));
}

static void back_remove(xenhost_device_t *dev)
{
}

static const struct xenhost_backend_ops back_ops = {
	.size = sizeof(back_ops),
	.type = "test",
	.probe = probe,
	.connect = back_connect,
	.disconnect = back_disconnect,
	.remove = back_remove,
};

/* --- the toolstack and the loop --- */

static void write_node(const char *path, const char *value)
{
	ck_assert_int_eq(xenhost_store_printf(guest, 0, path, "%s", value), 0);
}

static void plug(void)
{
	static const struct xenhost_perm back[] = { { 'n', US }, { 'r', FRONT } };
	static const struct xenhost_perm fore[] = { { 'n', 0 }, { 'r', US } };

	ck_assert_int_eq(xenhost_store_mkdir(guest, 0, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_store_set_perms(guest, 0, BACK_DIR, back, 2), 0);
	ck_assert_int_eq(xenhost_store_mkdir(guest, 0, FRONT_DIR), 0);
	ck_assert_int_eq(xenhost_store_set_perms(guest, 0, FRONT_DIR, fore, 2), 0);
	write_node(FRONT_DIR "/backend", BACK_DIR);
	write_node(FRONT_DIR "/backend-id", "32000");
	write_node(FRONT_DIR "/state", "1");
	write_node(BACK_DIR "/frontend-id", "5");
	write_node(BACK_DIR "/frontend", FRONT_DIR);
	write_node(BACK_DIR "/online", "1");
	write_node(BACK_DIR "/state", "1");
}

/* an answer comes behind all events of what was changed before it */
static int settle_one(xenhost_t *h)
{
	char *value = NULL;
	int r;

	xenhost_store_read(h, 0, "/", &value, NULL);
	free(value);
	r = xenhost_process(h);
	ck_assert_int_ge(r, 0);
	return r;
}

static void settle(void)
{
	while (settle_one(guest) + settle_one(svc) > 0)
		;
}

static void assert_calls(const char *want)
{
	settle();
	ck_assert_str_eq(t.calls, want);
	t.calls[0] = '\0';
}

static void assert_states(const char *fore, const char *back)
{
	char *value;

	ck_assert_int_eq(xenhost_store_read(guest, 0, FRONT_DIR "/state", &value, NULL), 0);
	ck_assert_str_eq(value, fore);
	free(value);
	ck_assert_int_eq(xenhost_store_read(guest, 0, BACK_DIR "/state", &value, NULL), 0);
	ck_assert_str_eq(value, back);
	free(value);
}

static void start_store(void)
{
	static const char *const args[] = { "--host", "none", NULL };

	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
}

static void setup(void)
{
	char uri[160];

	memset(&t, 0, sizeof(t));
	tempdir_make(rundir);
	start_store();
	snprintf(uri, sizeof(uri), "fake:%s/xenstored.sock,domid=5", rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &guest), 0);
	snprintf(uri, sizeof(uri), "fake:%s/store/blkback.sock,domid=32000", rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &svc), 0);
	/* ports are offered to a domain that must exist */
	ck_assert_int_eq(fake_domain_new(guest, US, 1, &(struct fake_domain *){ NULL }), 0);
	plug();
	ck_assert_int_eq(xenhost_backend_new(svc, &back_ops, NULL, &backend), 0);
}

static void teardown(void)
{
	xenhost_frontend_free(front);
	xenhost_unshare(t.ring);
	xenhost_backend_free(backend);
	xenhost_close(svc);
	xenhost_close(guest);
	test_daemon_end(&xenstored);
	tempdir_remove(rundir);
}

static void start_front(void)
{
	ck_assert_int_eq(xenhost_frontend_new(guest, FRONT_DIR, &front_ops, &t, &front), 0);
}

START_TEST(whole_life)
{
	start_front();
	assert_calls("setup connected");
	assert_states("4", "4");
	ck_assert_uint_eq(xenhost_frontend_state(front), XENHOST_STATE_CONNECTED);
	ck_assert_int_eq(xenhost_unshare(t.ring), -EBUSY);
	write_node(BACK_DIR "/size", "78");
	assert_calls("event");
	xenhost_frontend_close(front);
	assert_calls("stop closed");
	ck_assert_int_eq(t.unshared, 0);
	assert_states("6", "6");
	ck_assert_uint_eq(fake_ports(guest), 0);
	/* again: as a kernel that was started anew over a closed device */
	front = xenhost_frontend_free(front);
	start_front();
	assert_calls("setup connected");
	assert_states("4", "4");
}
END_TEST

/* our predecessor died connected: everything begins anew */
START_TEST(after_predecessor)
{
	start_front();
	assert_calls("setup connected");
	front = xenhost_frontend_free(front);
	assert_calls("stop closed");
	ck_assert_int_eq(t.unshared, -EBUSY); /* the back end does not know yet */
	start_front();
	settle();
	assert_states("4", "4");
	ck_assert_str_eq(t.calls, "setup connected");
}
END_TEST

START_TEST(unplugged)
{
	start_front();
	assert_calls("setup connected");
	write_node(BACK_DIR "/online", "0");
	write_node(BACK_DIR "/state", "5");
	assert_calls("stop closed");
	ck_assert_int_eq(t.unshared, 0);
	assert_states("6", "6");
}
END_TEST

/* by force, and the back end dies with our page mapped */
START_TEST(folders_vanish)
{
	start_front();
	assert_calls("setup connected");
	t.keep_mapped = true;
	ck_assert_int_eq(xenhost_store_rm(guest, 0, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_store_rm(guest, 0, FRONT_DIR), 0);
	assert_calls("stop closed");
	ck_assert_int_eq(t.unshared, -EBUSY);
	/* none of them was made anew */
	ck_assert_int_eq(xenhost_store_mkdir(guest, 0, "/local/domain/5/device/test"), 0);
	ck_assert_int_eq(xenhost_store_list(guest, 0, FRONT_DIR, &(char **){ NULL }), -ENOENT);
	ck_assert_ptr_nonnull(fake_share_use(guest, US, t.gref, false));
	ck_assert_int_eq(xenhost_unshare(t.ring), 0);
	t.ring = NULL;
}
END_TEST

START_TEST(driver_fails)
{
	t.setup_result = -ENOSPC;
	start_front();
	assert_calls("setup");
	assert_states("6", "6");
	front = xenhost_frontend_free(front);
	t.setup_result = 0;
	t.connected_result = -EIO;
	start_front();
	assert_calls("setup connected stop closed");
	ck_assert_int_eq(t.unshared, 0);
	assert_states("6", "6");
}
END_TEST

START_TEST(freed_in_callbacks)
{
	bool *const where[] = { &t.free_in_setup, &t.free_in_connected, &t.free_in_stop,
				&t.free_in_closed };
	static const char *const calls[] = { "setup stop closed", "setup connected stop closed",
					     "setup connected stop closed",
					     "setup connected stop closed" };

	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		*where[i] = true;
		start_front();
		settle();
		xenhost_frontend_close(front);
		assert_calls(calls[i]);
		ck_assert_ptr_null(front);
		*where[i] = false;
		/* the back end sees the end with the next front end only */
		start_front();
		settle();
		front = xenhost_frontend_free(front);
		t.calls[0] = '\0';
		xenhost_unshare(t.ring);
		t.ring = NULL;
	}
}
END_TEST

static void reconnect(xenhost_t *h)
{
	struct pollfd p = { .fd = xenhost_get_fd(h), .events = POLLIN };
	int r;

	while ((r = xenhost_store_mkdir(h, 0, "/local/domain/32000/x")) == -ENOTCONN ||
	       r == -ECONNRESET) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		ck_assert_int_ge(xenhost_process(h), 0);
	}
}

START_TEST(store_dies)
{
	t.kill_in_setup = true;
	start_front();
	while (t.kill_in_setup) {
		settle_one(svc);
		ck_assert_int_ge(xenhost_process(guest), 0);
	}
	start_store();
	reconnect(guest);
	plug();
	reconnect(svc);
	assert_calls("setup setup connected");
	assert_states("4", "4");
}
END_TEST

START_TEST(bad_arguments)
{
	struct xenhost_frontend_ops bad = front_ops;
	xenhost_share_t *share;
	uint64_t v;

	ck_assert_int_eq(xenhost_frontend_new(NULL, FRONT_DIR, &front_ops, &t, &front), -EINVAL);
	ck_assert_int_eq(xenhost_frontend_new(guest, "", &front_ops, &t, &front), -EINVAL);
	ck_assert_int_eq(xenhost_frontend_new(guest, "/none", &front_ops, &t, &front), -ENOENT);
	bad.size--;
	ck_assert_int_eq(xenhost_frontend_new(guest, FRONT_DIR, &bad, &t, &front), -EINVAL);
	bad = front_ops;
	bad.closed = NULL;
	ck_assert_int_eq(xenhost_frontend_new(guest, FRONT_DIR, &bad, &t, &front), -EINVAL);
	/* a back end that is not in the home of backend-id */
	write_node(FRONT_DIR "/backend-id", "32001");
	ck_assert_int_eq(xenhost_frontend_new(guest, FRONT_DIR, &front_ops, &t, &front), -EINVAL);
	write_node(FRONT_DIR "/backend-id", "70000");
	ck_assert_int_eq(xenhost_frontend_new(guest, FRONT_DIR, &front_ops, &t, &front), -EINVAL);
	ck_assert_int_eq(xenhost_share(guest, US, 0, XENHOST_READ, &share), -EINVAL);
	ck_assert_int_eq(xenhost_share(guest, US, 1, XENHOST_WRITE, &share), -EINVAL);
	ck_assert_int_eq(xenhost_share(guest, US, 1, 0, &share), -EINVAL);
	ck_assert_int_eq(xenhost_unshare(NULL), 0);
	ck_assert_ptr_null(xenhost_frontend_free(NULL));
	xenhost_frontend_close(NULL);
	write_node(FRONT_DIR "/backend-id", "32000");
	start_front();
	ck_assert_int_eq(xenhost_frontend_read_u64(front, 2, "x", 9, &v), -EINVAL);
	ck_assert_int_eq(xenhost_frontend_read_u64(front, XENHOST_BACK, "/x", 9, &v), -EINVAL);
	ck_assert_int_eq(xenhost_frontend_read_u64(front, XENHOST_BACK, "none", 9, &v), -ENOENT);
	ck_assert_int_eq(xenhost_frontend_read_u64(front, XENHOST_FRONT, "backend-id", 9, &v),
			 -ERANGE);
	ck_assert_int_eq(xenhost_frontend_printf(front, "x", "%4096d", 0), -E2BIG);
}
END_TEST

/* --- transports with a store and no pages or ports --- */

static int other_open(xenhost_t *host, const char *address, void **ret_state)
{
	*ret_state = host;
	return 0;
}

static void other_close(void *state)
{
}

static uint16_t other_domid(void *state)
{
	return FRONT;
}

static int other_store(void *state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/xenstored.sock", rundir);
	return xh_stream_connect(path);
}

static int full_share(void *state, uint16_t domid, size_t n, unsigned int prot, uint32_t *grefs,
		      void **ret_addr, void **ret_share)
{
	return -ENOSPC;
}

static int no_unshare(void *state, void *share)
{
	return 0;
}

static int full_port(void *state, uint16_t domid, struct xenhost_port_fds *ret)
{
	return -ENOSPC;
}

static int no_port_close(void *state, uint32_t port)
{
	return 0;
}

static int no_port_call(void *state, const struct xenhost_port_fds *port)
{
	return 0;
}

static void expect_of_other(const struct xenhost_transport_ops *ops, const char *uri, int error)
{
	xenhost_share_t *share = NULL;
	xenhost_port_t *port = NULL;
	xenhost_t *other;

	ck_assert_int_eq(xenhost_register_transport(ops), 0);
	ck_assert_int_eq(xenhost_open(uri, 0, &other), 0);
	ck_assert_int_eq(xenhost_frontend_new(other, FRONT_DIR, &front_ops, &t, &front), 0);
	ck_assert_int_eq(xenhost_frontend_share_ring(front, "ring-ref", 1, &share), error);
	ck_assert_int_eq(xenhost_frontend_offer_port(front, "event-channel", &port), error);
	ck_assert_ptr_null(share);
	ck_assert_ptr_null(port);
	front = xenhost_frontend_free(front);
	xenhost_close(other);
}

START_TEST(nothing_to_share)
{
	struct xenhost_transport_ops ops = {
		.size = sizeof(ops),
		.scheme = "none",
		.open = other_open,
		.close = other_close,
		.domid = other_domid,
		.store_connect = other_store,
	};

	expect_of_other(&ops, "none:", -EOPNOTSUPP);
	ops.scheme = "full";
	ops.share = full_share;
	ops.unshare = no_unshare;
	ops.port_alloc = full_port;
	ops.port_close = no_port_close;
	ops.port_ack = no_port_call;
	ops.port_notify = no_port_call;
	expect_of_other(&ops, "full:", -ENOSPC);
}
END_TEST

UNIT_MAIN_WITH("frontend", setup, teardown, whole_life, after_predecessor, unplugged,
	       folders_vanish, driver_fails, freed_in_callbacks, store_dies, bad_arguments,
	       nothing_to_share)
