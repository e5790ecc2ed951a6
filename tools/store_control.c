/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "tools/store_control.h"

#define CONTROL 0u
#define ERROR 16u

struct header {
	uint32_t type, req_id, tx_id, len;
};

int control_open(const char *rundir, struct control *ret_control)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *dir = rundir ? rundir : getenv("XENHOST_RUNDIR");
	int n, r = 0;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" STORE_SOCKET,
		     dir && *dir ? dir : XENHOST_RUNSTATEDIR);
	if (fd < 0)
		r = -errno;
	else if ((size_t)n >= sizeof(addr.sun_path))
		r = -ENAMETOOLONG;
	else if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = -errno;
	if (r < 0) {
		log_error("cannot reach xenhost-xenstored at %s: %s; does it run? --rundir names "
			  "another place",
			  addr.sun_path, strerror(-r));
		return r;
	}
	ret_control->fd = steal_fd(&fd);
	return 0;
}

void control_close(struct control *c)
{
	closep(&c->fd);
	c->fd = -1;
}

static int transfer(int fd, void *data, size_t len, ssize_t (*fn)(int fd, void *data, size_t len))
{
	for (size_t at = 0; at < len;) {
		const ssize_t n = fn(fd, (char *)data + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		at += (size_t)n;
	}
	return 0;
}

static ssize_t put(int fd, void *data, size_t len)
{
	return send(fd, data, len, MSG_NOSIGNAL);
}

static ssize_t get(int fd, void *data, size_t len)
{
	return read(fd, data, len);
}

static int talk(struct control *c, const void *payload, size_t len)
{
	char message[sizeof(struct header) + CONTROL_MAX];
	struct header h = { CONTROL, 1, 0, (uint32_t)len };
	int r;

	if (len > CONTROL_MAX)
		return -E2BIG;
	memcpy(message, &h, sizeof(h));
	memcpy(message + sizeof(h), payload, len);
	r = transfer(c->fd, message, sizeof(h) + len, put);
	if (r == 0)
		r = transfer(c->fd, &h, sizeof(h), get);
	if (r == 0 && h.len > CONTROL_MAX)
		r = -EPROTO;
	if (r == 0)
		r = transfer(c->fd, c->answer, h.len, get);
	if (r < 0)
		return r;
	c->len = h.len;
	c->answer[h.len] = 0;
	return h.type == ERROR ? -EREMOTEIO : 0;
}

int control_ask(struct control *c, const void *payload, size_t len)
{
	const int r = talk(c, payload, len);

	if (r < 0 && r != -EREMOTEIO)
		log_error("lost xenhost-xenstored: %s", strerror(-r));
	return r;
}

int control_words(struct control *c, const char *words)
{
	char payload[CONTROL_MAX];
	const size_t len = strlen(words) + 1;

	if (len > sizeof(payload))
		return -E2BIG;
	memcpy(payload, words, len);
	for (size_t i = 0; i < len; i++)
		if (payload[i] == ' ')
			payload[i] = 0;
	return control_ask(c, payload, len);
}
