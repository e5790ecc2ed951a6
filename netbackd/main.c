/* SPDX-License-Identifier: MIT */
/* xenhost-netbackd: one host, all network cards of its guests, one event loop. */
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

#include "netbackd/vif.h"

struct netbackd {
	struct daemon daemon;
	const char *uri;
	struct vif_driver driver;
	xenhost_t *host;
	xenhost_backend_t *backend;
	struct xenhost_event event;
	bool lost;
};

static int set_host(void *data, const char *value)
{
	((struct netbackd *)data)->uri = value;
	return 0;
}

static const struct option_spec options[] = {
	{ "host", "URI", "whom to serve (default: bridge:RUNDIR/bridge/netback.sock)", set_host },
	{ 0 },
};

static void on_lost(xenhost_t *host, int error, void *data)
{
	struct netbackd *n = data;

	log_error("lost the host %s: %s; start xenhost-bridged and this program again", n->uri,
		  strerror(-error));
	n->lost = true;
	event_base_loopbreak(n->daemon.base);
}

static int start(struct netbackd *n)
{
	int r;

	r = xenhost_open(n->uri, 0, &n->host);
	if (r < 0) {
		log_error("cannot reach the host %s: %s; is xenhost-bridged running?", n->uri,
			  strerror(-r));
		return r;
	}
	r = xenhost_backend_new(n->host, &vif_ops, &n->driver, &n->backend);
	if (r < 0) {
		log_error("cannot watch the Xenstore of %s: %s; is xenhost-xenstored running?",
			  n->uri, strerror(-r));
		return r;
	}
	return xenhost_event_init(&n->event, n->daemon.base, n->host, on_lost, n);
}

static void stop(struct netbackd *n)
{
	xenhost_event_fini(&n->event);
	xenhost_backend_free(n->backend);
	xenhost_close(n->host);
	daemon_loop_free(&n->daemon);
}

static int serve(struct netbackd *n)
{
	int r;

	r = daemon_loop_new(&n->daemon);
	if (r < 0)
		return r;
	n->driver.base = n->daemon.base;
	r = start(n);
	if (r < 0)
		return r;
	r = daemon_ready(&n->daemon);
	if (r < 0) {
		log_error("cannot write to the descriptor of --ready-fd: %s", strerror(-r));
		return r;
	}
	event_base_dispatch(n->daemon.base);
	return n->lost ? -ECONNRESET : 0;
}

int main(int argc, char **argv)
{
	struct netbackd n = {
		.daemon = { .name = "xenhost-netbackd",
			    .purpose = "Serves guests' network cards from TAP interfaces." },
	};
	char uri[PATH_MAX];
	int r = daemon_options(&n.daemon, argc, argv, options, &n);

	if (r != 0)
		return r > 0 ? 0 : 2;
	if (!n.uri) {
		r = daemon_service_uri(&n.daemon, service_builtin[SERVICE_NETBACK].name, uri,
				       sizeof(uri));
		if (r < 0)
			return 1;
		n.uri = uri;
	}
	r = serve(&n);
	stop(&n);
	return r < 0 ? 1 : 0;
}
