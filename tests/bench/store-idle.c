/* SPDX-License-Identifier: MIT */
/*
 * The transport "idle:N" for the benchmark: domains 1 to N exist and never do anything, their ring pages are
 * empty. Deposits are held, in this process only: the daemon keeps its journal as it does for a real host.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenhost/transport.h>

struct idle {
	xenhost_t *host;
	int fd, kept;
	uint16_t nr;
	bool watched, told;
};

static void idle_close(void *state)
{
	struct idle *i = state;

	if (i->kept >= 0)
		close(i->kept);
	close(i->fd);
	free(i);
}

static int idle_open(xenhost_t *host, const char *address, void **ret_state)
{
	struct idle *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->host = host;
	i->nr = (uint16_t)atoi(address);
	i->kept = -1;
	i->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*ret_state = i;
	return 0;
}

static uint16_t idle_domid(void *state)
{
	return 0;
}

static int idle_get_fd(void *state)
{
	return ((struct idle *)state)->fd;
}

static int idle_process(void *state)
{
	struct idle *i = state;

	if (!i->watched || i->told)
		return 0;
	i->told = true;
	for (uint16_t domid = 1; domid <= i->nr; domid++) {
		const struct xenhost_domain_info info = { .domid = domid,
							  .kind = XENHOST_DOMAIN_GUEST,
							  .state = XENHOST_DOMAIN_RUNNING,
							  .unique_id = domid };

		xenhost_transport_domain(i->host, &info);
	}
	return 1;
}

static int idle_domain_watch(void *state)
{
	((struct idle *)state)->watched = true;
	return 0;
}

static int idle_port_bind(void *state, uint16_t domid, uint32_t port, struct xenhost_port_fds *ret)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	*ret = (struct xenhost_port_fds){ .port = 1000u + domid, .wait_fd = fd, .notify_fd = fd };
	return 0;
}

static int idle_port_close(void *state, uint32_t port)
{
	return 0;
}

static int idle_port_ack(void *state, const struct xenhost_port_fds *port)
{
	uint64_t v;

	return read(port->wait_fd, &v, sizeof(v)) == sizeof(v);
}

static int idle_port_notify(void *state, const struct xenhost_port_fds *port)
{
	return 0;
}

static int idle_map(void *state, uint16_t domid, const uint32_t *grefs, size_t n, unsigned int prot,
		    void **ret_addr, void **ret_map)
{
	void *p = mmap(NULL, n * XENHOST_PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret_addr = *ret_map = p;
	return 0;
}

static void idle_unmap(void *state, void *map)
{
	munmap(map, XENHOST_PAGE_SIZE);
}

static int idle_keep_put(void *state, const char *name, int fd)
{
	struct idle *i = state;

	if (i->kept >= 0)
		close(i->kept);
	i->kept = dup(fd);
	return i->kept < 0 ? -errno : 0;
}

static int idle_keep_get(void *state, const char *name, int *ret_fd)
{
	return -ENOENT;
}

static int idle_keep_drop(void *state, const char *name)
{
	return 0;
}

const struct xenhost_transport_ops xenhost_transport_plugin = {
	.size = sizeof(xenhost_transport_plugin),
	.scheme = "idle",
	.features = XENHOST_F_MAP | XENHOST_F_DOMAINS,
	.open = idle_open,
	.close = idle_close,
	.domid = idle_domid,
	.get_fd = idle_get_fd,
	.process = idle_process,
	.domain_watch = idle_domain_watch,
	.port_bind = idle_port_bind,
	.port_close = idle_port_close,
	.port_ack = idle_port_ack,
	.port_notify = idle_port_notify,
	.map = idle_map,
	.unmap = idle_unmap,
	.keep_put = idle_keep_put,
	.keep_get = idle_keep_get,
	.keep_drop = idle_keep_drop,
};
