/* SPDX-License-Identifier: MIT */
/* xenhost-blkbackd: one host, all disks of its guests. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "backend/backend_daemon.h"
#include "common/cleanup.h"
#include "common/log.h"

#include "blkbackd/vbd.h"
#include "blkbackd/vbd_filter.h"

static int set_engine(void *data, const char *value)
{
	static const char *const names[] = {
		[BLK_IO_AUTO] = "auto",
		[BLK_IO_URING] = "uring",
		[BLK_IO_SYNC] = "sync",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			((struct vbd_driver *)data)->engine = (enum blk_io_engine)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_cache(void *data, const char *value)
{
	if (strcmp(value, "none") && strcmp(value, "page"))
		return -EINVAL;
	((struct vbd_driver *)data)->page_cache = value[0] == 'p';
	return 0;
}

static int set_barrier(void *data, const char *value)
{
	((struct vbd_driver *)data)->barrier = true;
	return 0;
}

static int set_number(const char *value, unsigned int max, unsigned int *ret_number)
{
	unsigned long long n;
	int r = options_number(value, 0, max, &n);

	if (r == 0)
		*ret_number = (unsigned int)n;
	return r;
}

static int set_threads(void *data, const char *value)
{
	return set_number(value, WORKERS_MAX, &((struct vbd_driver *)data)->nr_threads);
}

static int set_queues(void *data, const char *value)
{
	unsigned int *queues = &((struct vbd_driver *)data)->nr_queues;

	return *value == '0' ? -EINVAL : set_number(value, JOURNAL_QUEUES_MAX, queues);
}

static int set_poll(void *data, const char *value)
{
	struct vbd_driver *driver = data;
	unsigned int us;
	int r;

	if (!strcmp(value, "auto")) {
		driver->poll_us = -1;
		return 0;
	}
	r = set_number(value, 1000, &us);
	if (r == 0)
		driver->poll_us = (int)us;
	return r;
}

static const struct option_spec options[] = {
	{ "barrier", NULL, "offer write barriers, for front ends that know no flush", set_barrier },
	{ "cache", "NAME",
	  "none (past the host's page cache where it can be) or page (default: none)", set_cache },
	{ "engine", "NAME", "disk I/O by uring, sync or auto (default: auto)", set_engine },
	{ "poll", "US",
	  "look for more requests so long before sleeping, or auto: where it pays (default: auto)",
	  set_poll },
	{ "queues", "N", "queues that a disk may have (default: as many as threads)", set_queues },
	{ "threads", "N", "threads that serve queues (default: as many as CPUs, at most 16)",
	  set_threads },
	{ 0 },
};

static int start(void *data, struct event_base *base, struct opener *opener)
{
	struct vbd_driver *driver = data;
	int r;

	driver->base = base;
	driver->opener = opener;
	driver->workers.confined = true;
	r = mailbox_init(&driver->box, base);
	if (r == 0)
		r = workers_start(&driver->workers, driver->nr_threads);
	if (r < 0) {
		log_error("cannot start threads: %s", strerror(-r));
		return r;
	}
	if (driver->nr_queues == 0)
		driver->nr_queues = driver->workers.nr;
	return 0;
}

static void stop(void *data)
{
	struct vbd_driver *driver = data;

	workers_stop(&driver->workers);
	mailbox_fini(&driver->box);
}

int main(int argc, char **argv)
{
	struct vbd_driver driver = { .poll_us = -1 };
	const struct backend_daemon daemon = {
		.name = "xenhost-blkbackd",
		.purpose = "Serves guests' disks from files and block devices.",
		.service = SERVICE_BLKBACK,
		/* a predecessor's I/O may still reach the guest's memory: vbd_settle.c */
		.open_flags = XENHOST_OPEN_KEEP_MARKS,
		.confined = &vbd_filter,
		.ops = &vbd_ops,
		.options = options,
		.driver = &driver,
		.start = start,
		.stop = stop,
	};

	return backend_daemon_run(&daemon, argc, argv);
}
