/* SPDX-License-Identifier: MIT */
/*
 * The transport "files:DIR": guests that a test plays by files, for the Xenstore alone.
 *   DIR/ring.N  the store page of domain N; made when it is first mapped
 *   DIR/dom.N   is there as long as domain N is, and holds its state: run, shutdown or dying
 *   DIR/evt     FIFO of native 32-bit numbers: 1000 + N is a kick of domain N's port, 3 says that the
 *               state of some domain changed
 *   DIR/keep.X  deposit X, a link to the descriptor that a process of ours holds until the link is gone
 * Ports of ours go nowhere: the player looks at the page. A plug-in that is not installed: tests/files.la.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenhost/transport.h>

#include "common/cleanup.h"

#define KICKS 1000u
#define DOMIDS 32768u

struct files {
	xenhost_t *host;
	char *dir;
	int evt;
	bool telling;
	struct {
		uint64_t unique_id; /* 0: not there */
		uint8_t state;
		bool seen;
		int wait_fd; /* of the bound port, ours to write to; 0: none */
	} domains[DOMIDS];
};

static void tell(struct files *f, uint16_t domid, uint8_t state)
{
	const struct xenhost_domain_info info = {
		.domid = domid,
		.kind = XENHOST_DOMAIN_GUEST,
		.state = state,
		.unique_id = f->domains[domid].unique_id,
	};

	xenhost_transport_domain(f->host, &info);
}

static uint8_t read_state(const struct files *f, const char *name)
{
	char path[PATH_MAX], text[16] = "";
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return XENHOST_DOMAIN_GONE;
	if (!strncmp(text, "dying", 5))
		return XENHOST_DOMAIN_GONE;
	return strncmp(text, "shutdown", 8) ? XENHOST_DOMAIN_RUNNING : XENHOST_DOMAIN_SHUTDOWN;
}

/* The same for as long as the file is, whoever looks. */
static uint64_t birth(const struct files *f, const char *name)
{
	char path[PATH_MAX];
	struct statx st;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st) < 0)
		return 1;
	return (uint64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec + st.stx_ino + 1;
}

static void look_at(struct files *f, const char *name)
{
	unsigned int domid;
	uint8_t state;

	if (sscanf(name, "dom.%u", &domid) != 1 || domid >= DOMIDS)
		return;
	state = read_state(f, name);
	if (state == XENHOST_DOMAIN_GONE)
		return;
	f->domains[domid].seen = true;
	if (f->domains[domid].unique_id && f->domains[domid].state == state)
		return;
	if (!f->domains[domid].unique_id)
		f->domains[domid].unique_id = birth(f, name);
	f->domains[domid].state = state;
	tell(f, (uint16_t)domid, state);
}

static void look_around(struct files *f)
{
	DIR *dir = opendir(f->dir);
	struct dirent *e;

	if (!dir)
		return;
	for (unsigned int i = 0; i < DOMIDS; i++)
		f->domains[i].seen = false;
	while ((e = readdir(dir)))
		look_at(f, e->d_name);
	closedir(dir);
	for (unsigned int i = 0; i < DOMIDS; i++) {
		if (!f->domains[i].unique_id || f->domains[i].seen)
			continue;
		tell(f, (uint16_t)i, XENHOST_DOMAIN_GONE);
		f->domains[i].unique_id = 0;
	}
}

static void kick(struct files *f, uint32_t port)
{
	const uint64_t one = 1;

	if (port < KICKS || port - KICKS >= DOMIDS || !f->domains[port - KICKS].wait_fd)
		return;
	(void)!write(f->domains[port - KICKS].wait_fd, &one, sizeof(one));
}

static void files_close(void *state)
{
	struct files *f = state;

	closep(&f->evt);
	free(f->dir);
	free(f);
}

static int open_evt(struct files *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/evt", f->dir);
	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		return -errno;
	f->evt = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return f->evt < 0 ? -errno : 0;
}

static int files_open(xenhost_t *host, const char *address, void **ret_state)
{
	struct files *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->host = host;
	f->evt = -1;
	f->dir = strdup(address);
	r = f->dir ? open_evt(f) : -ENOMEM;
	if (r < 0) {
		files_close(f);
		return r;
	}
	*ret_state = f;
	return 0;
}

static uint16_t files_domid(void *state)
{
	return 0;
}

static int files_get_fd(void *state)
{
	return ((struct files *)state)->evt;
}

static int files_process(void *state)
{
	struct files *f = state;
	uint32_t ports[256];
	int done = 0;
	ssize_t n;

	if (f->telling)
		look_around(f);
	while ((n = read(f->evt, ports, sizeof(ports))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(ports[0]); i++)
			kick(f, ports[i]);
		done = 1;
	}
	return done;
}

static int files_domain_watch(void *state)
{
	((struct files *)state)->telling = true;
	return 0;
}

static int files_port_bind(void *state, uint16_t domid, uint32_t port, struct xenhost_port_fds *ret)
{
	struct files *f = state;
	int fd;

	if (domid >= DOMIDS)
		return -EINVAL;
	fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	f->domains[domid].wait_fd = fd;
	*ret = (struct xenhost_port_fds){ .port = KICKS + domid, .wait_fd = fd, .notify_fd = fd };
	return 0;
}

static int files_port_close(void *state, uint32_t port)
{
	((struct files *)state)->domains[port - KICKS].wait_fd = 0;
	return 0;
}

static int files_port_ack(void *state, const struct xenhost_port_fds *port)
{
	uint64_t v;

	return read(port->wait_fd, &v, sizeof(v)) == sizeof(v);
}

static int files_port_notify(void *state, const struct xenhost_port_fds *port)
{
	return 0;
}

static int files_map(void *state, uint16_t domid, const uint32_t *grefs, size_t n,
		     unsigned int prot, void **ret_addr, void **ret_map)
{
	struct files *f = state;
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	void *p;

	if (n != 1 || grefs[0] != 1)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/ring.%u", f->dir, domid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, XENHOST_PAGE_SIZE) < 0)
		return -errno;
	p = mmap(NULL, XENHOST_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret_addr = *ret_map = p;
	return 0;
}

static void files_unmap(void *state, void *map)
{
	munmap(map, XENHOST_PAGE_SIZE);
}

/* --- deposits --- */

static void keep_path(const struct files *f, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s/keep.%s", f->dir, name);
}

/* Holds the descriptor as number 3 as long as the link says so. */
static void hold(const char *dir, const char *link)
{
	char target[64], mine[64];
	int events;

	snprintf(mine, sizeof(mine), "/proc/%d/fd/3", (int)getpid());
	events = inotify_init1(0);
	if (events < 0 ||
	    inotify_add_watch(events, dir, IN_DELETE | IN_MOVED_TO | IN_DELETE_SELF) < 0)
		_exit(1);
	for (;;) {
		char buf[4096];
		ssize_t n = readlink(link, target, sizeof(target) - 1);

		if (n < 0)
			_exit(0);
		target[n] = 0;
		if (strcmp(target, mine) || read(events, buf, sizeof(buf)) <= 0)
			_exit(0);
	}
}

/* In a child: fd and `go` become 3 and 4, all else is closed; waits until the link is there. */
static void be_holder(const char *dir, const char *link, int fd, int go)
{
	int held = fcntl(fd, F_DUPFD, 10), start = fcntl(go, F_DUPFD, 10);
	char c;

	if (held < 0 || start < 0 || dup2(held, 3) < 0 || dup2(start, 4) < 0)
		_exit(1);
	close_range(5, ~0u, 0);
	for (int i = 0; i < 3; i++)
		close(i);
	if (write(4, "", 1) == 1 && read(4, &c, 1) == 1)
		hold(dir, link);
	_exit(1);
}

/* The link appears in one step, in place of an older one. */
static int put_link(const char *link, pid_t pid)
{
	char target[64], tmp[PATH_MAX + 8];

	snprintf(target, sizeof(target), "/proc/%d/fd/3", (int)pid);
	snprintf(tmp, sizeof(tmp), "%s.new", link);
	unlink(tmp);
	return symlink(target, tmp) < 0 || rename(tmp, link) < 0 ? -errno : 0;
}

static int files_keep_put(void *state, const char *name, int fd)
{
	const struct files *f = state;
	char link[PATH_MAX];
	int go[2], r;
	pid_t pid;
	char c;

	keep_path(f, name, link);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		be_holder(f->dir, link, fd, go[0]);
	}
	r = pid < 0 ? -errno : 0;
	close(go[0]);
	if (r == 0 && read(go[1], &c, 1) != 1)
		r = -EIO;
	if (r == 0)
		r = put_link(link, pid);
	if (r == 0 && write(go[1], "", 1) != 1)
		r = -EIO;
	close(go[1]);
	return r;
}

static int files_keep_get(void *state, const char *name, int *ret_fd)
{
	char link[PATH_MAX];
	int fd;

	keep_path(state, name, link);
	fd = open(link, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int files_keep_drop(void *state, const char *name)
{
	char link[PATH_MAX];

	keep_path(state, name, link);
	return unlink(link) < 0 ? -errno : 0;
}

const struct xenhost_transport_ops xenhost_transport_plugin = {
	.size = sizeof(xenhost_transport_plugin),
	.scheme = "files",
	.features = XENHOST_F_MAP | XENHOST_F_DOMAINS,
	.open = files_open,
	.close = files_close,
	.domid = files_domid,
	.get_fd = files_get_fd,
	.process = files_process,
	.domain_watch = files_domain_watch,
	.port_bind = files_port_bind,
	.port_close = files_port_close,
	.port_ack = files_port_ack,
	.port_notify = files_port_notify,
	.map = files_map,
	.unmap = files_unmap,
	.keep_put = files_keep_put,
	.keep_get = files_keep_get,
	.keep_drop = files_keep_drop,
};
