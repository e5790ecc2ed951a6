/* SPDX-License-Identifier: MIT */
/* xenhost-blkbackd: one host, all disks of its guests. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "backend/backend_daemon.h"
#include "common/cleanup.h"

#include "blkbackd/vbd.h"

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

static const struct option_spec options[] = {
	{ "engine", "NAME", "disk I/O by uring, sync or auto (default: auto)", set_engine },
	{ 0 },
};

static int start(void *driver, struct event_base *base)
{
	((struct vbd_driver *)driver)->base = base;
	return 0;
}

int main(int argc, char **argv)
{
	struct vbd_driver driver = { 0 };
	const struct backend_daemon daemon = {
		.name = "xenhost-blkbackd",
		.purpose = "Serves guests' disks from files and block devices.",
		.service = SERVICE_BLKBACK,
		.ops = &vbd_ops,
		.options = options,
		.driver = &driver,
		.start = start,
	};

	return backend_daemon_run(&daemon, argc, argv);
}
