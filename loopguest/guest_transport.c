/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenhost/transport.h>

#include "common/cleanup.h"
#include "common/list.h"
#include "loopguest/guest.h"
#include "loopguest/guest_transport.h"

struct share {
	struct list link;
	size_t n;
	uint32_t grefs[XENHOST_GRANTS_MAX];
};

struct state {
	struct list shares; /* not taken back */
	char rundir[64];
	struct guest *guest;
};

static void guest_close(void *data)
{
	struct state *s = data;
	struct share *share, *tmp;

	list_for_each_safe(share, tmp, &s->shares, link)
		free(share);
	guest_free(s->guest);
	free(s);
}

static int guest_open(xenhost_t *host, const char *address, void **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));
	unsigned int pages;
	char name[32];
	int r = -EINVAL;

	if (!s)
		return -ENOMEM;
	list_init(&s->shares);
	if (sscanf(address, "%63[^,],%31[^,],%u", s->rundir, name, &pages) == 3)
		r = guest_new(s->rundir, name, pages, &s->guest);
	if (r < 0) {
		guest_close(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

static uint16_t get_domid(void *data)
{
	return guest_domid(((struct state *)data)->guest);
}

static int store_connect(void *data)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/xenstored.sock",
		 ((struct state *)data)->rundir);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return steal_fd(&sock);
}

static int port_alloc(void *data, uint16_t domid, struct xenhost_port_fds *ret)
{
	struct guest_port port;
	struct guest *g = ((struct state *)data)->guest;
	int r = guest_port_offer(g, domid, &port);

	if (r == 0)
		*ret = (struct xenhost_port_fds){
			.port = port.number,
			.wait_fd = fcntl(port.wait_fd, F_DUPFD_CLOEXEC, 0),
			.notify_fd = fcntl(port.notify_fd, F_DUPFD_CLOEXEC, 0),
		};
	if (r == 0 && (ret->wait_fd < 0 || ret->notify_fd < 0)) {
		closep(&ret->wait_fd);
		closep(&ret->notify_fd);
		guest_port_close(g, &port);
		return -EMFILE;
	}
	return r;
}

static int port_close(void *data, uint32_t number)
{
	struct guest_port port = { number, -1, -1 };

	guest_port_close(((struct state *)data)->guest, &port);
	return 0;
}

static int port_ack(void *data, const struct xenhost_port_fds *port)
{
	eventfd_t count;

	return eventfd_read(port->wait_fd, &count) == 0;
}

static int port_notify(void *data, const struct xenhost_port_fds *port)
{
	return eventfd_write(port->notify_fd, 1) < 0 ? -errno : 0;
}

static int do_share(void *data, uint16_t domid, size_t n, unsigned int prot, uint32_t *grefs,
		    void **ret_addr, void **ret_share)
{
	struct guest *g = ((struct state *)data)->guest;
	struct share *share;

	if (guest_free_frames(g) < n || guest_free_grants(g) < n)
		return -ENOSPC;
	share = calloc(1, sizeof(*share));
	if (!share)
		return -ENOMEM;
	share->n = n;
	for (size_t i = 0; i < n; i++) {
		uint32_t frame = guest_new_frame(g); /* one behind the other */

		if (i == 0)
			*ret_addr = guest_page(g, frame);
		grefs[i] = share->grefs[i] = guest_grant(g, domid, frame, !(prot & XENHOST_WRITE));
	}
	list_append(&((struct state *)data)->shares, &share->link);
	*ret_share = share;
	return 0;
}

static int do_unshare(void *data, void *p)
{
	struct guest *g = ((struct state *)data)->guest;
	struct share *share = p;

	for (size_t i = 0; i < share->n; i++)
		if (guest_grant_in_use(g, share->grefs[i]))
			return -EBUSY;
	for (size_t i = 0; i < share->n; i++)
		(void)guest_revoke(g, share->grefs[i]);
	list_remove(&share->link);
	free(share);
	return 0;
}

int guest_transport_register(void)
{
	static const struct xenhost_transport_ops ops = {
		.size = sizeof(ops),
		.scheme = "guest",
		.features = XENHOST_F_SHARE,
		.open = guest_open,
		.close = guest_close,
		.domid = get_domid,
		.store_connect = store_connect,
		.port_alloc = port_alloc,
		.port_close = port_close,
		.port_ack = port_ack,
		.port_notify = port_notify,
		.share = do_share,
		.unshare = do_unshare,
	};

	return xenhost_register_transport(&ops);
}
