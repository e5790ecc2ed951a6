/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "hypercall-bridge/vmm/conlog.h"

#define BURST_S 10
#define NS 1000000000ull

struct conlog {
	int fd, old_fd;
	uint64_t cap, size;
	uint64_t rate, tokens; /* bytes that may be written now */
	uint64_t then_ns;      /* when tokens was right */
	uint64_t lost;	       /* bytes since the last one that was written */
};

static int open_log(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int conlog_open(const struct conlog_config *config, uint64_t now_ns, struct conlog **ret)
{
	struct conlog *l = calloc(1, sizeof(*l));
	char old[PATH_MAX];
	struct stat st;
	int r;

	if (!l)
		return -ENOMEM;
	l->cap = config->cap < CONLOG_CAP_MIN ? CONLOG_CAP_MIN : config->cap;
	l->rate = config->rate;
	l->tokens = l->rate * BURST_S;
	l->then_ns = now_ns;
	r = snprintf(old, sizeof(old), "%s.1", config->path);
	l->fd = open_log(config->path);
	l->old_fd = r > 0 && r < PATH_MAX ? open_log(old) : -ENAMETOOLONG;
	r = l->fd < 0 ? l->fd : l->old_fd < 0 ? l->old_fd : 0;
	if (r == 0 && fstat(l->fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		conlog_close(l);
		return r;
	}
	l->size = (uint64_t)st.st_size;
	*ret = l;
	return 0;
}

struct conlog *conlog_close(struct conlog *l)
{
	if (!l)
		return NULL;
	if (l->fd >= 0)
		close(l->fd);
	if (l->old_fd >= 0)
		close(l->old_fd);
	free(l);
	return NULL;
}

static int write_at(int fd, const char *buf, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, buf, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		buf += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* A rename would need the folder. */
static int rotate(struct conlog *l)
{
	char buf[16384];
	uint64_t done = 0;

	while (done < l->size) {
		ssize_t n = pread(l->fd, buf, sizeof(buf), (off_t)done);
		int r;

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		r = write_at(l->old_fd, buf, (size_t)n, done);
		if (r < 0)
			return r;
		done += (uint64_t)n;
	}
	if (ftruncate(l->old_fd, (off_t)done) < 0 || ftruncate(l->fd, 0) < 0)
		return -errno;
	l->size = 0;
	return 0;
}

static int append(struct conlog *l, const char *buf, size_t len)
{
	int r = 0;

	while (len && r == 0) {
		size_t part = len;

		if (l->size >= l->cap)
			r = rotate(l);
		if (part > l->cap - l->size)
			part = (size_t)(l->cap - l->size);
		if (r == 0)
			r = write_at(l->fd, buf, part, l->size);
		l->size += part;
		buf += part;
		len -= part;
	}
	return r;
}

/* how many of len bytes may be written now */
static size_t grant(struct conlog *l, size_t len, uint64_t now_ns)
{
	uint64_t full = l->rate * BURST_S, more;

	if (!l->rate)
		return len;
	/* a long silence must not overflow */
	if (now_ns - l->then_ns >= BURST_S * NS)
		more = full;
	else
		more = (now_ns - l->then_ns) * l->rate / NS;
	if (more) {
		l->tokens = l->tokens + more > full ? full : l->tokens + more;
		l->then_ns = now_ns;
	}
	if (len > l->tokens)
		len = (size_t)l->tokens;
	l->tokens -= len;
	return len;
}

static int say_lost(struct conlog *l)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "\n[%" PRIu64 " bytes too fast for this log]\n",
			 l->lost);

	l->lost = 0;
	return append(l, text, (size_t)n);
}

int conlog_write(struct conlog *l, const char *buf, size_t len, uint64_t now_ns)
{
	size_t n;
	int r = 0;

	if (l->fd < 0)
		return 0;
	n = grant(l, len, now_ns);
	if (n && l->lost)
		r = say_lost(l);
	if (r == 0)
		r = append(l, buf, n);
	l->lost += len - n;
	if (r < 0) {
		close(l->fd);
		l->fd = -1;
	}
	return r;
}
