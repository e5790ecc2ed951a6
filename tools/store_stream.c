/* SPDX-License-Identifier: MIT */
/* xenhost store export, import, live-update: the store as a whole. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/filemap.h"
#include "common/log.h"
#include "tools/store_control.h"
#include "tools/store_verbs.h"

/* --- how far it is, when that takes long --- */

struct progress {
	const char *what;
	time_t start, said;
};

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void say_progress(struct progress *p, size_t done, size_t all)
{
	const time_t t = now();

	if (!p->start)
		p->start = p->said = t;
	if (t - p->start < 2 || t == p->said)
		return;
	p->said = t;
	fprintf(stderr, "%s: %zu of %zu KiB\n", p->what, done >> 10, all >> 10);
}

static int refused(const struct control *c, const char *what, int r)
{
	if (r == -EREMOTEIO)
		log_error("cannot %s: xenhost-xenstored answered %s; its log may say more", what,
			  c->answer);
	return r;
}

/* --- export --- */

static int fetch(struct control *c, unsigned long long version, char **ret_data, size_t *ret_len)
{
	struct progress p = { .what = "export" };
	_cleanup_free_ char *data = NULL;
	char words[64];
	size_t len, at;
	int r;

	snprintf(words, sizeof(words), "stream out %llu", version);
	r = control_words(c, words);
	if (r < 0)
		return refused(c, "export the store", r);
	len = strtoul(c->answer, NULL, 10);
	data = malloc(len ? len : 1);
	if (!data)
		return -ENOMEM;
	for (at = 0; at < len; at += c->len) {
		snprintf(words, sizeof(words), "stream get %zu", at);
		r = control_words(c, words);
		if (r < 0)
			return refused(c, "export the store", r);
		if (!c->len || c->len > len - at)
			return -EPROTO;
		memcpy(data + at, c->answer, c->len);
		say_progress(&p, at, len);
	}
	*ret_data = steal_ptr(&data);
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		const ssize_t n = write(fd, data, len);

		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int compare(const char *path, const char *data, size_t len)
{
	char *map;
	size_t map_len;
	int r = filemap_read(path, &map, &map_len);

	if (r < 0)
		return r;
	r = map_len == len && !memcmp(map, data, len) ? 0 : -EIO;
	munmap(map, map_len);
	return r;
}

/* The file appears under its name only when all of it is there. */
static int put_file(const char *path, const char *data, size_t len)
{
	char tmp[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.part", path) >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r == 0)
		r = compare(tmp, data, len);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

int store_export(const char *rundir, unsigned long long version, const char *path)
{
	_cleanup_(control_close) struct control c = { .fd = -1 };
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	int r = control_open(rundir, &c);

	if (r == 0)
		r = fetch(&c, version, &data, &len);
	if (r < 0)
		return r;
	r = put_file(path, data, len);
	if (r < 0)
		log_error("cannot write %s: %s", path, strerror(-r));
	return r;
}

/* --- import --- */

static int send_pieces(struct control *c, const char *data, size_t len)
{
	static const char put[] = "stream\0put"; /* and a NUL */
	struct progress p = { .what = "import" };
	char payload[CONTROL_MAX];

	memcpy(payload, put, sizeof(put));
	for (size_t at = 0; at < len;) {
		const size_t n = len - at < sizeof(payload) - sizeof(put)
					 ? len - at
					 : sizeof(payload) - sizeof(put);
		int r;

		memcpy(payload + sizeof(put), data + at, n);
		r = control_ask(c, payload, sizeof(put) + n);
		if (r < 0)
			return refused(c, "import", r);
		at += n;
		say_progress(&p, at, len);
	}
	return 0;
}

int store_import(const char *rundir, const char *path)
{
	_cleanup_(control_close) struct control c = { .fd = -1 };
	char *map;
	size_t len;
	int r = filemap_read(path, &map, &len);

	if (r < 0) {
		log_error("cannot read %s: %s", path, strerror(-r));
		return r;
	}
	r = control_open(rundir, &c);
	if (r == 0)
		r = send_pieces(&c, map, len);
	munmap(map, len);
	if (r == 0)
		r = refused(&c, "import", control_words(&c, "stream in"));
	if (r < 0 || !strcmp(c.answer, "OK"))
		return r;
	log_error("cannot import %s: %s", path, c.answer);
	return -EPROTO;
}

/* --- live-update --- */

static int start(struct control *c)
{
	static const struct timespec moment = { 0, 10000000 };
	int r;

	do {
		r = control_words(c, "live-update -s");
		if (r == 0 && !strcmp(c->answer, "BUSY"))
			nanosleep(&moment, NULL);
	} while (r == 0 && !strcmp(c->answer, "BUSY"));
	return r;
}

int store_live_update(const char *rundir, const char *path)
{
	_cleanup_(control_close) struct control c = { .fd = -1 };
	char payload[CONTROL_MAX];
	const int n = snprintf(payload, sizeof(payload), "live-update%c-f%c%s", 0, 0, path);
	int r = control_open(rundir, &c);

	if (r < 0)
		return r;
	r = control_ask(&c, payload,
			(size_t)n + 1 < sizeof(payload) ? (size_t)n + 1 : sizeof(payload));
	if (r == 0 && !strcmp(c.answer, "OK"))
		r = start(&c);
	if (r == 0 && strcmp(c.answer, "OK") != 0)
		r = -EREMOTEIO;
	if (r == -EREMOTEIO)
		log_error("the daemon goes on as it was: %s", c.answer);
	return r;
}
