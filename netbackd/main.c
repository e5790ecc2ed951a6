/* SPDX-License-Identifier: MIT */
/* xenhost-netbackd: one host, all network cards of its guests. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "backend/backend_daemon.h"
#include "common/log.h"

#include "netbackd/vif.h"
#include "netbackd/vif_filter.h"

#define STALL_DEFAULT_MS 60000

static int set_number(const char *value, unsigned int min, unsigned int max,
		      unsigned int *ret_number)
{
	unsigned long long n;
	int r = options_number(value, min, max, &n);

	if (r == 0)
		*ret_number = (unsigned int)n;
	return r;
}

static int set_anti_spoof(void *data, const char *value)
{
	((struct vif_driver *)data)->anti_spoof = true;
	return 0;
}

static int set_queues(void *data, const char *value)
{
	return set_number(value, 1, TAP_QUEUES_MAX, &((struct vif_driver *)data)->nr_queues);
}

static int set_stall(void *data, const char *value)
{
	unsigned int seconds;
	int r = set_number(value, 0, 86400, &seconds);

	if (r == 0)
		((struct vif_driver *)data)->stall_ms = seconds * 1000;
	return r;
}

static int set_threads(void *data, const char *value)
{
	return set_number(value, 0, WORKERS_MAX, &((struct vif_driver *)data)->nr_threads);
}

static const struct option_spec options[] = {
	{ "anti-spoof", NULL,
	  "cards send from their own address only, unless their nodes say otherwise",
	  set_anti_spoof },
	{ "queues", "N", "queues that a card may have (default: as many as threads)", set_queues },
	{ "stall", "SECONDS",
	  "a guest without buffers for so long has no carrier; 0: never (default: 60)", set_stall },
	{ "threads", "N", "threads that serve queues (default: as many as CPUs, at most 16)",
	  set_threads },
	{ 0 },
};

static int start(void *data, struct event_base *base, struct opener *opener)
{
	struct vif_driver *driver = data;
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
	struct vif_driver *driver = data;

	workers_stop(&driver->workers);
	mailbox_fini(&driver->box);
}

int main(int argc, char **argv)
{
	struct vif_driver driver = { .stall_ms = STALL_DEFAULT_MS };
	const struct backend_daemon daemon = {
		.name = "xenhost-netbackd",
		.purpose = "Serves guests' network cards from TAP interfaces and passt.",
		.service = SERVICE_NETBACK,
		.confined = &vif_filter,
		.ops = &vif_ops,
		.options = options,
		.driver = &driver,
		.start = start,
		.stop = stop,
	};

	return backend_daemon_run(&daemon, argc, argv);
}
