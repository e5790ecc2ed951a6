/* SPDX-License-Identifier: MIT */
/*
 * The back-end helper against our own xenstored: the test is toolstack and front end on one connection,
 * the back end is service domain 32000 on another. The rules themselves: test-xenbus.c.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenhost/backend.h>

#include "libxenhost/transport_fake.h"
#include "tests/support/daemon.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

#define US 32000
#define FRONT 5
#define BACK_DIR "/local/domain/32000/backend/vbd/5/51712"
#define FRONT_DIR "/local/domain/5/device/vbd/51712"
#define ERROR_DIR "/local/domain/32000/error/backend/vbd/5/51712"

static char rundir[TEMPDIR_SIZE];
static struct test_daemon xenstored;
static xenhost_t *ts;  /* the toolstack and the front end */
static xenhost_t *svc; /* us */
static xenhost_backend_t *backend;

/* what the driver was called for, and what it shall do */
static struct driver {
	char calls[256];
	int probe_result, connect_result;
	bool free_in_probe, free_in_connect, free_in_disconnect, free_in_event;
	bool fail_in_event;
	const char *write_in_event;
	bool kill_in_probe, kill_in_connect; /* the store */
	bool unplug_in_connect;		     /* the toolstack is faster than our answer */
	bool waiting;			     /* the last probe said so */
	int later;			     /* so many probes have to wait */
	int later_connects;		     /* so many connects have to wait */
	bool defer, continue_at_once;
	int defer_result;
	xenhost_device_t *dev;
	int seen_data;
} driver;

/* --- the driver --- */

static void note(const char *what)
{
	if (*driver.calls)
		strcat(driver.calls, " ");
	strcat(driver.calls, what);
	ck_assert_uint_lt(strlen(driver.calls), sizeof(driver.calls) - 20);
}

static int probe(xenhost_device_t *dev)
{
	char *node;

	ck_assert_ptr_eq(xenhost_device_data(dev), driver.waiting ? &driver : NULL);
	xenhost_device_set_data(dev, &driver);
	driver.waiting = driver.later > 0;
	driver.dev = dev;
	note("probe");
	ck_assert_int_eq(xenhost_device_printf(dev, "feature-x", "%d", 7), 0);
	if (driver.free_in_probe)
		xenhost_backend_free(backend);
	if (driver.later > 0) {
		driver.later--;
		if (driver.continue_at_once)
			xenhost_device_continue(dev);
		return XENHOST_LATER;
	}
	if (driver.kill_in_probe) {
		driver.kill_in_probe = false;
		test_daemon_kill(&xenstored);
		ck_assert_int_eq(xenhost_device_read_str(dev, XENHOST_FRONT, "x", NULL), -EINVAL);
		ck_assert_int_eq(xenhost_device_read_str(dev, XENHOST_FRONT, "x", &node),
				 -ECONNRESET);
	}
	return driver.probe_result;
}

static void write_node(const char *dir, const char *node, const char *value);

static int on_connect(xenhost_device_t *dev)
{
	note("connect");
	ck_assert_int_eq(xenhost_device_printf(dev, "sectors", "%d", 100), 0);
	if (driver.free_in_connect)
		xenhost_backend_free(backend);
	if (driver.later_connects > 0) {
		driver.later_connects--;
		if (driver.continue_at_once)
			xenhost_device_continue(dev);
		return XENHOST_LATER;
	}
	if (driver.kill_in_connect) {
		driver.kill_in_connect = false;
		test_daemon_kill(&xenstored);
	}
	if (driver.unplug_in_connect) {
		driver.unplug_in_connect = false;
		write_node(BACK_DIR, "online", "0");
		write_node(BACK_DIR, "state", "5");
	}
	return driver.connect_result;
}

static void on_disconnect(xenhost_device_t *dev)
{
	note("disconnect");
	if (driver.defer)
		driver.defer_result = xenhost_device_defer(dev);
	if (driver.free_in_disconnect)
		xenhost_backend_free(backend);
}

static void on_remove(xenhost_device_t *dev)
{
	ck_assert_ptr_eq(xenhost_device_data(dev), &driver);
	note("remove");
	driver.dev = NULL;
	driver.waiting = false;
}

static void on_event(xenhost_device_t *dev)
{
	note("event");
	if (driver.write_in_event) {
		ck_assert_int_eq(xenhost_device_printf(dev, "sectors", "%s", driver.write_in_event),
				 0);
		ck_assert_int_eq(xenhost_device_printf(dev, "state", "9"), -EINVAL);
		ck_assert_int_eq(xenhost_device_printf(dev, "state", "4"), 0);
	}
	if (driver.fail_in_event)
		xenhost_device_fail(dev, -EIO, "disk %d is on fire", 3);
	if (driver.free_in_event)
		xenhost_backend_free(backend);
}

static void on_closing(xenhost_device_t *dev)
{
	note("closing");
}

static const struct xenhost_backend_ops closing_ops = {
	.size = sizeof(struct xenhost_backend_ops),
	.type = "vbd",
	.probe = probe,
	.connect = on_connect,
	.disconnect = on_disconnect,
	.remove = on_remove,
	.closing = on_closing,
};

static const struct xenhost_backend_ops quiet_ops = {
	.size = sizeof(struct xenhost_backend_ops),
	.type = "vbd",
	.probe = probe,
	.connect = on_connect,
	.disconnect = on_disconnect,
	.remove = on_remove,
};

static const struct xenhost_backend_ops event_ops = {
	.size = sizeof(struct xenhost_backend_ops),
	.type = "vbd",
	.probe = probe,
	.connect = on_connect,
	.disconnect = on_disconnect,
	.remove = on_remove,
	.event = on_event,
};

/* --- toolstack and front end --- */

static void write_node(const char *dir, const char *node, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	ck_assert_int_eq(xenhost_store_printf(ts, 0, path, "%s", value), 0);
}

static void assert_node(const char *dir, const char *node, const char *want)
{
	char path[256], *value = NULL;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	r = xenhost_store_read(ts, 0, path, &value, NULL);
	if (want) {
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(value, want);
	} else {
		ck_assert_int_eq(r, -ENOENT);
	}
	free(value);
}

static int make_folders(xenhost_t *h, xenhost_txn_t txn, void *data)
{
	static const struct xenhost_perm back[] = { { 'n', US }, { 'r', FRONT } };
	static const struct xenhost_perm front[] = { { 'n', 0 }, { 'r', US } };

	ck_assert_int_eq(xenhost_store_mkdir(h, txn, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_store_set_perms(h, txn, BACK_DIR, back, 2), 0);
	ck_assert_int_eq(xenhost_store_printf(h, txn, BACK_DIR "/frontend", "%s",
					      data ? (char *)data : FRONT_DIR),
			 0);
	ck_assert_int_eq(xenhost_store_printf(h, txn, BACK_DIR "/frontend-id", "%d", FRONT), 0);
	ck_assert_int_eq(xenhost_store_printf(h, txn, BACK_DIR "/online", "1"), 0);
	ck_assert_int_eq(xenhost_store_printf(h, txn, BACK_DIR "/state", "1"), 0);
	ck_assert_int_eq(xenhost_store_mkdir(h, txn, FRONT_DIR), 0);
	ck_assert_int_eq(xenhost_store_set_perms(h, txn, FRONT_DIR, front, 2), 0);
	ck_assert_int_eq(xenhost_store_printf(h, txn, FRONT_DIR "/state", "1"), 0);
	return 0;
}

static void attach(void)
{
	ck_assert_int_eq(xenhost_txn_run(ts, make_folders, NULL), 0);
}

static void front_state(const char *state)
{
	write_node(FRONT_DIR, "state", state);
}

/*
 * Lets the back end work until there is nothing to do. An answer to a call of ours comes behind the
 * events of all that was changed before it, so afterwards nothing can be on its way.
 */
static void settle(void)
{
	int r;

	do {
		char *value = NULL;

		xenhost_store_read(svc, 0, "/", &value, NULL);
		free(value);
		r = xenhost_process(svc);
		ck_assert_int_ge(r, 0);
	} while (r > 0);
}

static void assert_calls(const char *want)
{
	settle();
	ck_assert_str_eq(driver.calls, want);
	driver.calls[0] = '\0';
}

static void assert_state(const char *want)
{
	assert_node(BACK_DIR, "state", want);
}

static void start_backend(const struct xenhost_backend_ops *ops)
{
	ck_assert_int_eq(xenhost_backend_new(svc, ops, &driver, &backend), 0);
}

/* --- set-up --- */

static xenhost_t *open_host(const char *sock, const char *rest)
{
	char uri[160];
	xenhost_t *h;

	snprintf(uri, sizeof(uri), "fake:%s/%s.sock%s", rundir, sock, rest);
	ck_assert_int_eq(xenhost_open(uri, 0, &h), 0);
	return h;
}

static void setup(void)
{
	static const char *const args[] = { "--host", "none", NULL };
	static const struct xenhost_perm home[] = { { 'n', US } };

	memset(&driver, 0, sizeof(driver));
	tempdir_make(rundir);
	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
	ts = open_host("xenstored", "");
	svc = open_host("store/blkback", ",domid=32000");
	ck_assert_int_eq(xenhost_store_mkdir(ts, 0, "/local/domain/32000/error"), 0);
	ck_assert_int_eq(xenhost_store_set_perms(ts, 0, "/local/domain/32000/error", home, 1), 0);
}

static void teardown(void)
{
	xenhost_backend_free(backend);
	backend = NULL;
	xenhost_close(svc);
	xenhost_close(ts);
	test_daemon_end(&xenstored);
	tempdir_remove(rundir);
}

/* a device that is there before the back end, and goes through a whole life */
START_TEST(whole_life)
{
	attach();
	front_state("1");
	start_backend(&quiet_ops);
	ck_assert_ptr_eq(xenhost_backend_data(backend), &driver);
	assert_calls("probe");
	assert_state("2");
	assert_node(BACK_DIR, "feature-x", "7");
	ck_assert_uint_eq(xenhost_device_frontend_domid(driver.dev), FRONT);
	ck_assert_uint_eq(xenhost_device_id(driver.dev), 51712);
	ck_assert_str_eq(xenhost_device_name(driver.dev), "vbd-5-51712");
	ck_assert_ptr_eq(xenhost_device_backend(driver.dev), backend);
	ck_assert_ptr_eq(xenhost_device_host(driver.dev), svc);

	assert_node(BACK_DIR, "sectors", NULL);
	front_state("3");
	assert_calls("connect");
	assert_state("4");
	assert_node(BACK_DIR, "sectors", "100");
	front_state("4");
	assert_calls("");
	front_state("5");
	assert_calls("");
	assert_state("5");
	front_state("6");
	assert_calls("disconnect");
	assert_state("6");
	/* the same guest again, for example after kexec */
	front_state("1");
	assert_calls("");
	assert_state("2");
	front_state("4");
	assert_calls("connect");
	assert_state("4");
	/* unplug: the guest closes, we go for good, the toolstack removes the folders */
	write_node(BACK_DIR, "online", "0");
	write_node(BACK_DIR, "state", "5");
	assert_calls("");
	front_state("5");
	assert_calls("");
	front_state("6");
	assert_calls("disconnect remove");
	assert_state("6");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	assert_calls("");
	assert_state(NULL);
	/* and plugs in another one */
	ck_assert_int_eq(xenhost_store_rm(ts, 0, FRONT_DIR), 0);
	attach();
	assert_calls("probe");
	assert_state("2");
}
END_TEST

/* found by an event; nodes one by one, as a person with xenstore-write does it */
START_TEST(written_node_by_node)
{
	static const struct xenhost_perm ours[] = { { 'n', US } };

	start_backend(&quiet_ops);
	assert_calls("");
	ck_assert_int_eq(xenhost_store_mkdir(ts, 0, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_store_set_perms(ts, 0, BACK_DIR, ours, 1), 0);
	assert_calls("");
	write_node(BACK_DIR, "frontend", FRONT_DIR);
	assert_calls("");
	write_node(BACK_DIR, "frontend-id", "5");
	assert_calls("");
	write_node(BACK_DIR, "state", "1");
	assert_calls(""); /* no front end yet */
	assert_state("1");
	ck_assert_int_eq(xenhost_store_mkdir(ts, 0, FRONT_DIR), 0);
	ck_assert_int_eq(xenhost_store_set_perms(ts, 0, FRONT_DIR,
						 (struct xenhost_perm[]){ { 'n', 0 }, { 'r', US } },
						 2),
			 0);
	front_state("1");
	assert_calls("probe");
	assert_state("2");
}
END_TEST

/* states that nobody saw in between: what counts is what is there now */
START_TEST(missed_states)
{
	attach();
	start_backend(&quiet_ops);
	front_state("2");
	front_state("3");
	assert_calls("probe connect");
	assert_state("4");
	front_state("5");
	front_state("6");
	front_state("1");
	assert_calls("disconnect");
	assert_state("2");
	front_state("4");
	front_state("nonsense");
	assert_calls("");
	assert_state("2");
	front_state("4");
	assert_calls("connect");
	front_state("6");
	assert_calls("disconnect");
	assert_state("6");
}
END_TEST

START_TEST(domain_vanishes)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, "/local/domain/5"), 0);
	assert_calls("disconnect remove");
	assert_state("6");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, "/local/domain/32000/backend/vbd/5"), 0);
	assert_calls("");
	assert_state(NULL);
}
END_TEST

START_TEST(forced_unplug)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	assert_calls("disconnect remove");
	assert_state(NULL); /* and we do not write it anew */
	assert_node(BACK_DIR, "sectors", NULL);
}
END_TEST

/* removed and made again before we looked */
START_TEST(replaced_folder)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_store_rm(ts, 0, FRONT_DIR), 0);
	attach();
	assert_calls("disconnect remove probe");
	assert_state("2");
}
END_TEST

START_TEST(unplug_before_connected)
{
	attach();
	start_backend(&quiet_ops);
	assert_calls("probe");
	write_node(BACK_DIR, "online", "0");
	write_node(BACK_DIR, "state", "5");
	assert_calls("remove");
	assert_state("6");
}
END_TEST

/* the toolstack's state is not written over by one that we decided on before */
START_TEST(unplug_races_connect)
{
	attach();
	start_backend(&quiet_ops);
	assert_calls("probe");
	driver.unplug_in_connect = true;
	front_state("4");
	assert_calls("connect");
	assert_state("5");
	front_state("6");
	assert_calls("disconnect remove");
	assert_state("6");
}
END_TEST

START_TEST(probe_fails)
{
	driver.probe_result = -EMEDIUMTYPE;
	attach();
	start_backend(&quiet_ops);
	assert_calls("probe");
	assert_state("5");
	assert_node(ERROR_DIR, "error", "124 probe: Wrong medium type");
	/* not again and again, but after the front end has closed */
	front_state("1");
	assert_calls("");
	front_state("6");
	assert_calls("");
	assert_state("6");
	driver.probe_result = 0;
	front_state("1");
	assert_calls("probe");
	assert_state("2");
	front_state("3");
	assert_calls("connect");
	assert_node(ERROR_DIR, "error", NULL);
}
END_TEST

START_TEST(connect_fails)
{
	driver.connect_result = -EPROTO;
	attach();
	start_backend(&quiet_ops);
	front_state("3");
	assert_calls("probe connect");
	assert_state("5");
	assert_node(BACK_DIR, "sectors", NULL);
	assert_node(ERROR_DIR, "error", "71 connect: Protocol error");
	front_state("4");
	front_state("5");
	assert_calls("");
	front_state("6");
	assert_calls("");
	assert_state("6");
	write_node(BACK_DIR, "online", "0");
	assert_calls("remove");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	settle();
	assert_node(ERROR_DIR, "error", NULL); /* goes with the device */
}
END_TEST

/* outside of any callback, as a data path does when the ring is broken */
START_TEST(device_fails)
{
	struct pollfd p;

	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	xenhost_device_fail(driver.dev, -EPROTO, "ring %d: %s", 0, "the producer index cannot be");
	ck_assert_str_eq(driver.calls, ""); /* not inside of that call */
	p = (struct pollfd){ .fd = xenhost_get_fd(svc), .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	assert_calls("disconnect");
	assert_state("5");
	assert_node(ERROR_DIR, "error", "71 ring 0: the producer index cannot be");
	front_state("5");
	assert_calls("");
	front_state("6");
	assert_calls("");
	assert_state("6");
}
END_TEST

START_TEST(events)
{
	attach();
	start_backend(&event_ops);
	front_state("4");
	settle();
	driver.calls[0] = '\0';
	front_state("4"); /* no change of anything but a state */
	assert_calls("");
	write_node(FRONT_DIR, "request-multicast-control", "1");
	write_node(FRONT_DIR, "request-multicast-control", "0");
	assert_calls("event");
	/* nodes written there go out together, once; the event of our own write ends it */
	driver.write_in_event = "200";
	write_node(BACK_DIR, "params", "bigger");
	settle();
	ck_assert_int_eq(strncmp(driver.calls, "event", 5), 0);
	assert_node(BACK_DIR, "sectors", "200");
	driver.calls[0] = '\0';
	assert_calls("");
	driver.fail_in_event = true;
	driver.write_in_event = NULL;
	write_node(BACK_DIR, "params", "gone");
	assert_calls("event disconnect");
	assert_state("5");
	assert_node(ERROR_DIR, "error", "5 disk 3 is on fire");
}
END_TEST

/* 7 is always answered by 8, or the front end waits for ever */
START_TEST(reconfigures)
{
	attach();
	start_backend(&event_ops);
	front_state("4");
	settle();
	driver.calls[0] = '\0';
	front_state("7");
	assert_calls("event");
	assert_state("8");
	front_state("4");
	assert_calls("");
	assert_state("4");
}
END_TEST

/* a successor goes on without showing any other state */
START_TEST(successor_resumes)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	backend = xenhost_backend_free(backend);
	ck_assert_str_eq(driver.calls, "disconnect remove");
	driver.calls[0] = '\0';
	assert_state("4");
	start_backend(&quiet_ops);
	assert_calls("probe connect");
	assert_state("4");
	front_state("6");
	assert_calls("disconnect");
	assert_state("6");
}
END_TEST

static void bad_identity(const char *frontend, const char *id)
{
	ck_assert_int_eq(xenhost_store_rm(ts, 0, "/local/domain/32000/backend"), 0);
	ck_assert_int_eq(xenhost_txn_run(ts, make_folders, (void *)(uintptr_t)frontend), 0);
	write_node(BACK_DIR, "frontend-id", id);
	front_state("4");
	assert_calls("");
	assert_state("6");
	assert_node(ERROR_DIR, "error",
		    "22 frontend and frontend-id do not name the front end of this folder");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	assert_calls("");
	assert_state(NULL);
	assert_node(ERROR_DIR, "error", NULL);
}

/* one guest's folder must not lead to another guest */
START_TEST(refuses_wrong_identity)
{
	start_backend(&quiet_ops);
	bad_identity("/local/domain/6/device/vbd/51712", "5");
	bad_identity("/local/domain/5/../6/device", "5");
	bad_identity("/local/domain/05/device/vbd/51712", "5");
	bad_identity("/vm/5", "5");
	bad_identity(FRONT_DIR, "6");
	bad_identity(FRONT_DIR, "05x");
	bad_identity(FRONT_DIR, "70000");
}
END_TEST

START_TEST(ignores_other_names)
{
	start_backend(&quiet_ops);
	write_node("/local/domain/32000/backend/vbd/x/1", "state", "1");
	write_node("/local/domain/32000/backend/vbd/5/y", "state", "1");
	write_node("/local/domain/32000/backend/vbd/05/1", "state", "1");
	write_node("/local/domain/32000/backend/vbd/40000/1", "state", "1");
	write_node("/local/domain/32000/backend/vbdx/5/1", "state", "1");
	assert_calls("");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, "/local/domain/32000/backend"), 0);
	attach();
	assert_calls("probe");
}
END_TEST

/* callbacks that end the back end, and with it the device they were called for */
START_TEST(freed_in_callbacks)
{
	attach();
	driver.free_in_probe = true;
	start_backend(&quiet_ops);
	assert_calls("probe remove");
	assert_state("1");
	driver.free_in_probe = false;
	driver.free_in_connect = true;
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect disconnect remove");
	assert_state("2");
	driver.free_in_connect = false;
	driver.free_in_event = true;
	start_backend(&event_ops);
	settle();
	write_node(FRONT_DIR, "x", "y");
	settle();
	ck_assert_str_eq(driver.calls, "probe connect event disconnect remove");
	driver.calls[0] = '\0';
	driver.free_in_event = false;
	driver.free_in_disconnect = true;
	start_backend(&quiet_ops);
	assert_calls("probe connect");
	front_state("6");
	assert_calls("disconnect remove");
	assert_state("4");
	/* nor when the folder goes at the same time */
	front_state("4");
	start_backend(&quiet_ops);
	assert_calls("probe connect");
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	assert_calls("disconnect remove");
	backend = NULL;
}
END_TEST

START_TEST(reads_nodes)
{
	char *s = NULL;
	uint64_t v = 77;

	attach();
	start_backend(&quiet_ops);
	settle();
	write_node(FRONT_DIR, "n", "12");
	write_node(FRONT_DIR, "empty", "");
	write_node(FRONT_DIR, "junk", "12 ");
	ck_assert_int_eq(xenhost_store_write(ts, 0, FRONT_DIR "/nul", "1\0002", 3), 0);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "n", 11, &v), -ERANGE);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "empty", 99, &v),
			 -ENOENT);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "none", 99, &v),
			 -ENOENT);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "junk", 99, &v),
			 -EINVAL);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "nul", 99, &v),
			 -EINVAL);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, 2, "n", 99, &v), -EINVAL);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "/n", 99, &v), -EINVAL);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "", 99, &v), -EINVAL);
	ck_assert_uint_eq(v, 77);
	ck_assert_int_eq(xenhost_device_read_u64(driver.dev, XENHOST_FRONT, "n", 12, &v), 0);
	ck_assert_uint_eq(v, 12);
	ck_assert_int_eq(xenhost_device_read_str(driver.dev, XENHOST_BACK, "frontend", &s), 0);
	ck_assert_str_eq(s, FRONT_DIR);
	free(s);
	/* outside of callbacks a write is done at once, but never makes a folder anew */
	ck_assert_int_eq(xenhost_device_printf(driver.dev, "late", "1"), 0);
	assert_node(BACK_DIR, "late", "1");
	ck_assert_int_eq(xenhost_device_printf(driver.dev, "big", "%05000d", 1), -E2BIG);
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_device_printf(driver.dev, "late", "1"), -ENOENT);
	assert_node(BACK_DIR, "late", NULL);
}
END_TEST

static void assert_event(int fd, bool want)
{
	uint64_t count;

	ck_assert_int_eq(read(fd, &count, sizeof(count)) == sizeof(count), want);
}

/* rings and ports of a guest that is played here */
START_TEST(maps_and_binds)
{
	xenhost_map_t *map = NULL, *map2;
	xenhost_port_t *port = NULL;
	struct fake_domain *guest;
	struct fake_end end;
	char number[16];

	attach();
	start_backend(&quiet_ops);
	settle();
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), -ENOENT);
	write_node(FRONT_DIR, "ring-ref", "9");
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), -ESRCH);
	ck_assert_int_eq(fake_domain_new(svc, FRONT, 8, &guest), 0);
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), -EPERM);
	fake_grant(guest, 9, 3, US, true);
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), -EACCES);
	fake_grant(guest, 9, 99, US, false);
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), -EFAULT);
	fake_grant(guest, 9, 3, US, false);
	write_node(FRONT_DIR, "ring-ref", "4294967296");
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), -ERANGE);
	write_node(FRONT_DIR, "ring-ref", "9");
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 1, &map), 0);
	strcpy(fake_page(guest, 3), "hello");
	ck_assert_str_eq(xenhost_map_addr(map), "hello");
	ck_assert_int_eq(fake_revoke(guest, 9), -EBUSY);

	/* two pages that do not lie behind each other */
	fake_grant(guest, 10, 6, US, false);
	fake_grant(guest, 11, 4, US, false);
	write_node(FRONT_DIR, "ring-ref0", "10");
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 2, &map2), -ENOENT);
	write_node(FRONT_DIR, "ring-ref1", "11");
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 2, &map2), 0);
	strcpy((char *)xenhost_map_addr(map2) + 4096, "second");
	ck_assert_str_eq(fake_page(guest, 4), "second");
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 0, &map2), -EINVAL);
	ck_assert_int_eq(xenhost_device_map_ring(driver.dev, "ring-ref", 129, &map2), -EINVAL);
	xenhost_unmap(map2);
	xenhost_unmap(map);
	ck_assert_int_eq(fake_revoke(guest, 9), 0);

	ck_assert_int_eq(fake_port_offer(guest, &end), 0);
	write_node(FRONT_DIR, "event-channel", "77");
	ck_assert_int_eq(xenhost_device_bind_port(driver.dev, "event-channel", &port), -EINVAL);
	snprintf(number, sizeof(number), "%u", end.port);
	write_node(FRONT_DIR, "event-channel", number);
	ck_assert_int_eq(xenhost_device_bind_port(driver.dev, "event-channel", &port), 0);
	ck_assert_int_eq(xenhost_port_ack(port), 1); /* pending at once */
	ck_assert_int_eq(xenhost_port_ack(port), 0);
	ck_assert_int_eq(xenhost_port_notify(port), 0);
	assert_event(end.wait_fd, true);
	assert_event(end.wait_fd, false);
	ck_assert_int_eq(write(end.notify_fd, &(uint64_t){ 1 }, 8), 8);
	ck_assert_int_eq(xenhost_port_ack(port), 1);
	ck_assert_uint_eq(fake_ports(svc), 1);
	xenhost_port_close(port);
	ck_assert_uint_eq(fake_ports(svc), 0);
}
END_TEST

START_TEST(bad_arguments)
{
	struct xenhost_backend_ops ops = quiet_ops;

	ck_assert_int_eq(xenhost_backend_new(NULL, &ops, NULL, &backend), -EINVAL);
	ck_assert_int_eq(xenhost_backend_new(svc, NULL, NULL, &backend), -EINVAL);
	ops.type = "v/bd";
	ck_assert_int_eq(xenhost_backend_new(svc, &ops, NULL, &backend), -EINVAL);
	ops.type = "";
	ck_assert_int_eq(xenhost_backend_new(svc, &ops, NULL, &backend), -EINVAL);
	ops.type = "vbd";
	ops.connect = NULL;
	ck_assert_int_eq(xenhost_backend_new(svc, &ops, NULL, &backend), -EINVAL);
	ops.connect = on_connect;
	ops.size = 8;
	ck_assert_int_eq(xenhost_backend_new(svc, &ops, NULL, &backend), -EINVAL);
	/* built with an older header that had no event */
	ops.size = offsetof(struct xenhost_backend_ops, event);
	ops.event = on_event;
	ck_assert_ptr_null(backend);
	start_backend(&ops);
	attach();
	front_state("4");
	write_node(FRONT_DIR, "x", "y");
	assert_calls("probe connect");
	write_node(FRONT_DIR, "x", "z");
	assert_calls("");
}
END_TEST

/* --- the store dies and is started again --- */

static void wait_readable(xenhost_t *h)
{
	struct pollfd p = { .fd = xenhost_get_fd(h), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
}

/* the toolstack's connection is there again; the back end's only when the test lets it work */
static void start_store(void)
{
	static const char *const args[] = { "--host", "none", NULL };
	static const struct xenhost_perm home[] = { { 'n', US } };

	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
	while (xenhost_store_mkdir(ts, 0, "/local/domain/32000/error") < 0) {
		wait_readable(ts);
		ck_assert_int_ge(xenhost_process(ts), 0);
	}
	ck_assert_int_eq(xenhost_store_set_perms(ts, 0, "/local/domain/32000/error", home, 1), 0);
}

static void reconnect(void)
{
	char *value = NULL;

	while (xenhost_store_read(svc, 0, "/nothing", &value, NULL) != -EACCES) {
		wait_readable(svc);
		ck_assert_int_ge(xenhost_process(svc), 0);
	}
}

static void make_connected(void)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
}

/* a store that kept its state: nobody notices, and everything works afterwards */
START_TEST(store_restarts)
{
	make_connected();
	test_daemon_kill(&xenstored);
	ck_assert_int_ge(xenhost_process(svc), 0);
	start_store();
	attach();
	write_node(BACK_DIR, "state", "4");
	front_state("4");
	reconnect();
	assert_calls("");
	assert_state("4");
	front_state("6");
	assert_calls("disconnect");
	assert_state("6");
}
END_TEST

/* an empty store: as if the toolstack had unplugged and plugged in again */
START_TEST(store_restarts_empty)
{
	make_connected();
	test_daemon_kill(&xenstored);
	start_store();
	reconnect();
	assert_calls("disconnect remove");
	attach();
	assert_calls("probe");
	assert_state("2");
	front_state("4");
	assert_calls("connect");
	assert_node(BACK_DIR, "sectors", "100");
	assert_state("4");
}
END_TEST

/* what the front end did while there was no store */
START_TEST(store_restarts_with_news)
{
	make_connected();
	test_daemon_kill(&xenstored);
	start_store();
	attach();
	write_node(BACK_DIR, "state", "4");
	front_state("6");
	reconnect();
	assert_calls("disconnect");
	assert_state("6");
}
END_TEST

/* dies inside of the driver's callback, which fails for that reason or not */
START_TEST(store_dies_in_probe)
{
	for (int fails = 0; fails < 2; fails++) {
		attach();
		front_state("1");
		driver.kill_in_probe = true;
		driver.probe_result = fails ? -EIO : 0;
		if (!backend)
			start_backend(&quiet_ops);
		while (driver.kill_in_probe) {
			wait_readable(svc);
			ck_assert_int_ge(xenhost_process(svc), 0);
		}
		driver.probe_result = 0;
		start_store();
		attach();
		front_state("1");
		reconnect();
		/* not again if it succeeded; and its nodes are not forgotten */
		assert_calls(fails ? "probe probe" : "probe");
		assert_node(BACK_DIR, "feature-x", "7");
		assert_node(ERROR_DIR, "error", NULL);
		assert_state("2");
		ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
		assert_calls("remove");
	}
}
END_TEST

START_TEST(store_dies_in_connect)
{
	attach();
	start_backend(&quiet_ops);
	front_state("1");
	assert_calls("probe");
	driver.kill_in_connect = true;
	front_state("4");
	while (driver.kill_in_connect) {
		wait_readable(svc);
		ck_assert_int_ge(xenhost_process(svc), 0);
	}
	start_store();
	attach();
	write_node(BACK_DIR, "state", "2");
	front_state("4");
	reconnect();
	/* the front end has not seen us connected, so from the beginning */
	assert_calls("connect disconnect connect");
	assert_node(BACK_DIR, "sectors", "100");
	assert_state("4");
}
END_TEST

/* a probe that waits is called again, keeps its data, and writes nothing before */
START_TEST(probe_waits)
{
	attach();
	front_state("1");
	driver.later = 2;
	start_backend(&quiet_ops);
	assert_calls("probe");
	assert_state("1");
	assert_node(BACK_DIR, "feature-x", NULL);
	write_node(BACK_DIR, "something", "else");
	front_state("3");
	assert_calls("");
	xenhost_device_continue(driver.dev);
	assert_calls("probe");
	xenhost_device_continue(driver.dev);
	assert_calls("probe connect");
	assert_state("4");
	assert_node(BACK_DIR, "feature-x", "7");
}
END_TEST

/* so is a connect; it writes nothing before either, and no disconnect follows if the front end closes meanwhile */
START_TEST(connect_waits)
{
	attach();
	front_state("1");
	driver.later_connects = 2;
	start_backend(&quiet_ops);
	front_state("3");
	assert_calls("probe connect");
	assert_state("2");
	write_node(BACK_DIR, "something", "else");
	front_state("4");
	assert_calls("");
	assert_node(BACK_DIR, "sectors", NULL);
	xenhost_device_continue(driver.dev);
	assert_calls("connect");
	front_state("5");
	assert_calls("");
	assert_state("5");
	front_state("6");
	assert_calls("");
	front_state("1");
	xenhost_device_continue(driver.dev);
	front_state("3");
	assert_calls("connect");
	assert_state("4");
	assert_node(BACK_DIR, "sectors", "100");
}
END_TEST

START_TEST(connect_continued_at_once)
{
	attach();
	front_state("1");
	driver.later_connects = 3;
	driver.continue_at_once = true;
	start_backend(&quiet_ops);
	front_state("3");
	assert_calls("probe connect connect connect connect");
	assert_state("4");
}
END_TEST

START_TEST(probe_continued_at_once)
{
	attach();
	front_state("1");
	driver.later = 3;
	driver.continue_at_once = true;
	start_backend(&quiet_ops);
	assert_calls("probe probe probe probe");
	assert_state("2");
}
END_TEST

static void start_waiting(void)
{
	attach();
	front_state("1");
	driver.later = 1;
	start_backend(&quiet_ops);
	assert_calls("probe");
}

/* what goes while its probe waits is removed: by force, by unplug, with the back end */
START_TEST(removed_while_probe_waits)
{
	start_waiting();
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	assert_calls("remove");
}
END_TEST

START_TEST(unplugged_while_probe_waits)
{
	start_waiting();
	write_node(BACK_DIR, "online", "0");
	front_state("6");
	/* Closed would say that nothing is in use */
	assert_calls("");
	assert_state("1");
	xenhost_device_continue(driver.dev);
	assert_calls("probe remove");
	assert_state("6");
}
END_TEST

START_TEST(freed_while_probe_waits)
{
	start_waiting();
	backend = xenhost_backend_free(backend);
	ck_assert_str_eq(driver.calls, "remove");
	assert_state("1");
}
END_TEST

/* the state stays and nothing is called until it is over, whatever happens */
START_TEST(disconnect_waits)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	driver.defer = true;
	front_state("5");
	assert_calls("");
	front_state("6");
	assert_calls("disconnect");
	ck_assert_int_eq(driver.defer_result, 0);
	assert_state("5");
	front_state("1");
	assert_calls("");
	assert_state("5");
	xenhost_device_continue(driver.dev);
	assert_calls("");
	assert_state("2");
	front_state("4");
	assert_calls("connect");
	/* by force */
	ck_assert_int_eq(xenhost_store_rm(ts, 0, BACK_DIR), 0);
	ck_assert_int_eq(xenhost_store_rm(ts, 0, FRONT_DIR), 0);
	assert_calls("disconnect");
	attach();
	assert_calls("");
	assert_state("1");
	xenhost_device_continue(driver.dev);
	assert_calls("remove probe");
	assert_state("2");
}
END_TEST

START_TEST(freed_while_disconnect_waits)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	driver.defer = true;
	front_state("6");
	assert_calls("disconnect");
	backend = xenhost_backend_free(backend);
	ck_assert_str_eq(driver.calls, "remove");
	assert_state("4");
}
END_TEST

/* there is no later then */
START_TEST(no_waiting_when_freed)
{
	attach();
	start_backend(&quiet_ops);
	front_state("4");
	assert_calls("probe connect");
	driver.defer = true;
	backend = xenhost_backend_free(backend);
	ck_assert_str_eq(driver.calls, "disconnect remove");
	ck_assert_int_eq(driver.defer_result, -EBUSY);
	assert_state("4");
}
END_TEST

/* The front end closed while nobody was there: the driver sees what its predecessor left before Closed. */
START_TEST(left_by_a_predecessor)
{
	attach();
	write_node(BACK_DIR, "state", "4");
	front_state("6");
	start_backend(&closing_ops);
	assert_calls("probe closing");
	assert_state("6");
	front_state("1");
	assert_calls("");
	assert_state("2");
	front_state("4");
	assert_calls("connect");
	front_state("5");
	assert_calls("");
	front_state("6");
	assert_calls("disconnect closing");
}
END_TEST

START_TEST(looks_when_told)
{
	attach();
	start_backend(&event_ops);
	assert_calls("probe");
	front_state("4");
	settle();
	driver.calls[0] = '\0';
	xenhost_device_look(driver.dev);
	assert_calls("event");
}
END_TEST

START_TEST(queues_and_orders)
{
	uint32_t n = 77;
	char node[64];

	attach();
	front_state("1");
	start_backend(&quiet_ops);
	assert_calls("probe");
	ck_assert_int_eq(xenhost_device_queues(driver.dev, 4, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(xenhost_device_ring_order(driver.dev, 4, &n), 0);
	ck_assert_uint_eq(n, 0);
	write_node(FRONT_DIR, "multi-queue-num-queues", "4");
	write_node(FRONT_DIR, "ring-page-order", "3");
	ck_assert_int_eq(xenhost_device_queues(driver.dev, 4, &n), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(xenhost_device_queues(driver.dev, 3, &n), -ERANGE);
	ck_assert_int_eq(xenhost_device_ring_order(driver.dev, 3, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(xenhost_device_ring_order(driver.dev, 2, &n), -ERANGE);
	write_node(FRONT_DIR, "multi-queue-num-queues", "0");
	ck_assert_int_eq(xenhost_device_queues(driver.dev, 4, &n), -EINVAL);
	write_node(FRONT_DIR, "multi-queue-num-queues", "1x");
	ck_assert_int_eq(xenhost_device_queues(driver.dev, 4, &n), -EINVAL);
	write_node(FRONT_DIR, "multi-queue-num-queues", "4294967297");
	ck_assert_int_eq(xenhost_device_queues(driver.dev, 4, &n), -ERANGE);
	ck_assert_int_eq(xenhost_device_queue_node(0, 1, "ring-ref", node, sizeof(node)), 0);
	ck_assert_str_eq(node, "ring-ref");
	ck_assert_int_eq(xenhost_device_queue_node(2, 3, "ring-ref", node, sizeof(node)), 0);
	ck_assert_str_eq(node, "queue-2/ring-ref");
	ck_assert_int_eq(xenhost_device_queue_node(3, 3, "ring-ref", node, sizeof(node)), -EINVAL);
	ck_assert_int_eq(xenhost_device_queue_node(2, 3, "ring-ref", node, 16), -ENAMETOOLONG);
}
END_TEST

/* who gave up all guests but one leaves the others' devices to others */
START_TEST(restricted_host)
{
	ck_assert_int_eq(xenhost_restrict(svc, FRONT + 1), 0);
	attach();
	front_state("4");
	start_backend(&quiet_ops);
	assert_calls("");
	assert_state("1");
}
END_TEST

enum { MANY = 1030 };

/* of refused devices, which need no front end: those that were looked at are Closed */
static int count_closed(void)
{
	char path[128], *value;
	int n = 0;

	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/local/domain/32000/backend/vbd/5/%d/state", i);
		if (xenhost_store_read(ts, 0, path, &value, NULL) < 0)
			continue;
		n += !strcmp(value, "6");
		free(value);
	}
	return n;
}

/* more devices than allowed: the others wait until there is room */
START_TEST(many_devices)
{
	static const struct xenhost_perm ours[] = { { 'n', US } };
	char dir[128];

	for (int i = 0; i < MANY; i++) {
		snprintf(dir, sizeof(dir), "/local/domain/32000/backend/vbd/5/%d", i);
		ck_assert_int_eq(xenhost_store_mkdir(ts, 0, dir), 0);
		ck_assert_int_eq(xenhost_store_set_perms(ts, 0, dir, ours, 1), 0);
		write_node(dir, "frontend", "/local/domain/6/wrong");
		write_node(dir, "frontend-id", "5");
		write_node(dir, "state", "1");
	}
	start_backend(&quiet_ops);
	settle();
	ck_assert_int_eq(count_closed(), 1024);
	ck_assert_int_eq(xenhost_store_rm(ts, 0, "/local/domain/32000/backend/vbd/5/0"), 0);
	settle();
	ck_assert_int_eq(count_closed(), 1024);
}
END_TEST

UNIT_MAIN_WITH("backend", setup, teardown, whole_life, written_node_by_node, missed_states,
	       domain_vanishes, forced_unplug, replaced_folder, unplug_before_connected,
	       unplug_races_connect, probe_fails, connect_fails, device_fails, events, reconfigures,
	       successor_resumes, refuses_wrong_identity, ignores_other_names, freed_in_callbacks,
	       reads_nodes, maps_and_binds, bad_arguments, store_restarts, store_restarts_empty,
	       store_restarts_with_news, store_dies_in_probe, store_dies_in_connect, many_devices,
	       probe_waits, connect_waits, connect_continued_at_once, probe_continued_at_once,
	       removed_while_probe_waits, unplugged_while_probe_waits, freed_while_probe_waits,
	       disconnect_waits, freed_while_disconnect_waits, no_waiting_when_freed,
	       left_by_a_predecessor, looks_when_told, queues_and_orders, restricted_host)
