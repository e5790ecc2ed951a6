/* SPDX-License-Identifier: MIT */
/* xenhost-blkbackd: one host, all disks of its guests, one event loop. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/service.h"

#include <xenhost/event.h>

#include "blkbackd/vbd.h"

struct blkbackd {
	struct daemon daemon;
	const char *uri;
	struct vbd_driver driver;
	xenhost_t *host;
	xenhost_backend_t *backend;
	struct xenhost_event event;
	bool lost;
};

static int set_host(void *data, const char *value)
{
	((struct blkbackd *)data)->uri = value;
	return 0;
}

static int set_engine(void *data, const char *value)
{
	static const char *const names[] = {
		[BLK_IO_AUTO] = "auto",
		[BLK_IO_URING] = "uring",
		[BLK_IO_SYNC] = "sync",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			((struct blkbackd *)data)->driver.engine = (enum blk_io_engine)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const struct option_spec options[] = {
	{ "host", "URI", "whom to serve (default: bridge:RUNDIR/bridge/blkback.sock)", set_host },
	{ "engine", "NAME", "disk I/O by uring, sync or auto (default: auto)", set_engine },
	{ 0 },
};

static void on_lost(xenhost_t *host, int error, void *data)
{
	struct blkbackd *b = data;

	log_error("lost the host %s: %s; start xenhost-bridged and this program again", b->uri,
		  strerror(-error));
	b->lost = true;
	event_base_loopbreak(b->daemon.base);
}

static int start(struct blkbackd *b)
{
	int r;

	r = xenhost_open(b->uri, 0, &b->host);
	if (r < 0) {
		log_error("cannot reach the host %s: %s; is xenhost-bridged running?", b->uri,
			  strerror(-r));
		return r;
	}
	r = xenhost_backend_new(b->host, &vbd_ops, &b->driver, &b->backend);
	if (r < 0) {
		log_error("cannot watch the Xenstore of %s: %s; is xenhost-xenstored running?",
			  b->uri, strerror(-r));
		return r;
	}
	return xenhost_event_init(&b->event, b->daemon.base, b->host, on_lost, b);
}

static void stop(struct blkbackd *b)
{
	xenhost_event_fini(&b->event);
	xenhost_backend_free(b->backend);
	xenhost_close(b->host);
	daemon_loop_free(&b->daemon);
}

static int serve(struct blkbackd *b)
{
	int r;

	r = daemon_loop_new(&b->daemon);
	if (r < 0)
		return r;
	b->driver.base = b->daemon.base;
	r = start(b);
	if (r < 0)
		return r;
	r = daemon_ready(&b->daemon);
	if (r < 0) {
		log_error("cannot write to the descriptor of --ready-fd: %s", strerror(-r));
		return r;
	}
	event_base_dispatch(b->daemon.base);
	return b->lost ? -ECONNRESET : 0;
}

int main(int argc, char **argv)
{
	struct blkbackd b = {
		.daemon = { .name = "xenhost-blkbackd",
			    .purpose = "Serves guests' disks from files and block devices." },
	};
	char uri[PATH_MAX];
	int r = daemon_options(&b.daemon, argc, argv, options, &b);

	if (r != 0)
		return r > 0 ? 0 : 2;
	if (!b.uri) {
		r = daemon_service_uri(&b.daemon, service_builtin[SERVICE_BLKBACK].name, uri,
				       sizeof(uri));
		if (r < 0)
			return 1;
		b.uri = uri;
	}
	r = serve(&b);
	stop(&b);
	return r < 0 ? 1 : 0;
}
