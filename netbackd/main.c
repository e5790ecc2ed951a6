/* SPDX-License-Identifier: MIT */
/* xenhost-netbackd: one host, all network cards of its guests, one event loop. */
#include "config.h"

#include "backend/backend_daemon.h"

#include "netbackd/vif.h"

static int start(void *driver, struct event_base *base)
{
	((struct vif_driver *)driver)->base = base;
	return 0;
}

int main(int argc, char **argv)
{
	struct vif_driver driver = { 0 };
	const struct backend_daemon daemon = {
		.name = "xenhost-netbackd",
		.purpose = "Serves guests' network cards from TAP interfaces.",
		.service = SERVICE_NETBACK,
		.ops = &vif_ops,
		.driver = &driver,
		.start = start,
	};

	return backend_daemon_run(&daemon, argc, argv);
}
