/* SPDX-License-Identifier: MIT */
/*
 * A million random requests of eight clients of three domains, many at once and inside of transactions, with
 * lost connections, against a model (support/xs_model.h): each answer, the events, and now and then the whole tree
 * and what is counted must be the same. In between the daemon is killed without warning: what was answered must
 * be there afterwards, and what was not is there up to some request of the last batch.
 *
 * XS_MODEL_OPS, XS_MODEL_KILLS: how many; SEED: as a failure prints it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "tests/support/xs_model.h"

#define BATCH 40
#define MESSAGE_MAX 4200
#define OUT_MAX (BATCH * 256)
#define EVENTS_MAX 8192
#define TOKENS 3
#define SET_QUOTA 26 /* newer than the headers */

#ifdef XENHOST_SANITIZED
#define OPS 150000
#else
#define OPS 1000000
#endif

/* what is expected of one answer */
struct want {
	int error;
	bool any; /* whatever: it is looked at elsewhere */
	size_t len;
	char data[512];
};

struct event {
	int path;
	unsigned int token;
	unsigned int expected, got;
};

struct peer {
	int fd;
	size_t in_len;
	char in[65536];
	struct event events[EVENTS_MAX];
	size_t nr_events;
};

static char dir[] = "/tmp/xenhost-model-XXXXXX";
static struct m_store model;
static struct peer peers[M_CLIENTS];
static struct m_tree states[BATCH + 1]; /* of a batch in which the daemon is killed */
static struct want wants[BATCH];
static size_t nr_wants;
static char out[OUT_MAX];
static size_t out_len;
static pid_t daemon_pid;
static uint64_t seed, rng;
static unsigned long nr_done, nr_events, nr_again, nr_refused;

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *fmt, ...)
{
	va_list args;

	printf("FAILED after %lu requests (SEED=%llu): ", nr_done, (unsigned long long)seed);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

/* the plug-in's keepers end with the folder */
static void clean_up(void)
{
	if (daemon_pid > 0)
		kill(daemon_pid, SIGKILL);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static unsigned int rnd(unsigned int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned int)(rng >> 33) % n;
}

/* --- the daemon --- */

static void start_daemon(void)
{
	char host[64], ready[16], line[6];
	int fds[2];

	snprintf(host, sizeof(host), "files:%s/rings", dir);
	if (pipe(fds) < 0)
		fail("pipe: %s", strerror(errno));
	snprintf(ready, sizeof(ready), "%d", fds[1]);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		close(fds[0]);
		execlp("xenhost-xenstored", "xenhost-xenstored", "--rundir", dir, "--host", host,
		       "--exit-with-parent", "--ready-fd", ready, NULL);
		_exit(127);
	}
	close(fds[1]);
	if (read(fds[0], line, sizeof(line)) != 6 || memcmp(line, "READY\n", 6))
		fail("the daemon did not start");
	close(fds[0]);
}

static void kill_daemon(void)
{
	kill(daemon_pid, SIGKILL);
	if (waitpid(daemon_pid, NULL, 0) < 0)
		fail("waitpid: %s", strerror(errno));
	daemon_pid = 0;
}

static void peer_open(int client)
{
	static const char *const sockets[M_DOMAINS] = { "xenstored.sock", "store/blkback.sock",
							"store/netback.sock" };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct peer *p = &peers[client];

	p->in_len = 0;
	p->nr_events = 0;
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", dir,
		 sockets[model.clients[client].domain]);
	if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		fail("cannot connect to %s: %s", un.sun_path, strerror(errno));
}

/* --- messages --- */

static void put(uint32_t type, uint32_t tx, const void *data, size_t len)
{
	const struct xsd_sockmsg h = { type, (uint32_t)nr_wants, tx, (uint32_t)len };

	memcpy(out + out_len, &h, sizeof(h));
	memcpy(out + out_len + sizeof(h), data, len);
	out_len += sizeof(h) + len;
}

static struct want *want(int error)
{
	struct want *w = &wants[nr_wants++];

	w->error = error;
	w->any = false;
	w->len = 3;
	memcpy(w->data, "OK", 3);
	return w;
}

/* Sends all that was put. A peer that has gone is noticed when its answers are read. */
static void flush(const struct peer *p)
{
	for (size_t at = 0; at < out_len;) {
		const ssize_t n = send(p->fd, out + at, out_len - at, MSG_NOSIGNAL);

		if (n < 0)
			break;
		at += (size_t)n;
	}
	out_len = 0;
}

/* the next message; false at the end of the stream */
static bool take(struct peer *p, struct xsd_sockmsg *ret_h, char *data)
{
	for (;;) {
		if (p->in_len >= sizeof(*ret_h)) {
			memcpy(ret_h, p->in, sizeof(*ret_h));
			if (ret_h->len > XENSTORE_PAYLOAD_MAX)
				fail("an answer of %u bytes", ret_h->len);
			if (p->in_len >= sizeof(*ret_h) + ret_h->len)
				break;
		}
		const ssize_t n = recv(p->fd, p->in + p->in_len, sizeof(p->in) - p->in_len, 0);

		if (n <= 0)
			return false;
		p->in_len += (size_t)n;
	}
	memcpy(data, p->in + sizeof(*ret_h), ret_h->len);
	p->in_len -= sizeof(*ret_h) + ret_h->len;
	memmove(p->in, p->in + sizeof(*ret_h) + ret_h->len, p->in_len);
	return true;
}

/* --- events --- */

static struct event *event_of(int client, int path, unsigned int token)
{
	struct peer *p = &peers[client];

	for (size_t i = 0; i < p->nr_events; i++)
		if (p->events[i].path == path && p->events[i].token == token)
			return &p->events[i];
	if (p->nr_events == EVENTS_MAX)
		fail("client %d: too many different events", client);
	p->events[p->nr_events] = (struct event){ path, token, 0, 0 };
	return &p->events[p->nr_events++];
}

static void on_event(void *data, int client, int path, unsigned int token)
{
	event_of(client, path, token)->expected++;
}

static int path_of(const char *s)
{
	for (int i = M_ROOT; i < M_NODES; i++)
		if (!strcmp(m_path(i), s))
			return i;
	fail("an event for %s", s);
}

static void got_event(int client, const char *data, size_t len)
{
	const char *token = memchr(data, 0, len);

	if (!token || token[1] != 't' || data[len - 1])
		fail("client %d: an odd event", client);
	event_of(client, path_of(data), (unsigned int)atoi(token + 2))->got++;
	nr_events++;
}

/* All that was expected came, equal ones perhaps as one. */
static void compare_events(int client)
{
	struct peer *p = &peers[client];

	for (size_t i = 0; i < p->nr_events; i++) {
		const struct event *e = &p->events[i];

		if (e->got > e->expected || (e->expected && !e->got))
			fail("client %d: %u events for %s token %u, expected %u", client, e->got,
			     m_path(e->path), e->token, e->expected);
	}
	p->nr_events = 0;
}

/* --- answers --- */

/* false: the connection ended */
static bool answer(int client, struct xsd_sockmsg *ret_h, char *data)
{
	while (take(&peers[client], ret_h, data)) {
		if (ret_h->type != XS_WATCH_EVENT)
			return true;
		got_event(client, data, ret_h->len);
	}
	return false;
}

static const char *error_name(int error)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {
		{ EACCES, "EACCES" }, { ENOENT, "ENOENT" }, { ENOSPC, "ENOSPC" },
		{ EEXIST, "EEXIST" }, { EPERM, "EPERM" },   { EAGAIN, "EAGAIN" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].error == error)
			return names[i].name;
	return "success";
}

static void compare_answer(int client, size_t nr, const struct xsd_sockmsg *h, const char *data)
{
	const struct want *w = &wants[nr];

	if (h->req_id != nr)
		fail("client %d: answer %u, expected %zu", client, h->req_id, nr);
	if (w->error) {
		if (h->type != XS_ERROR || strcmp(data, error_name(w->error)))
			fail("client %d, request %zu: %.*s, expected %s", client, nr, (int)h->len,
			     data, error_name(w->error));
		nr_again += w->error == EAGAIN;
		nr_refused += w->error == ENOSPC;
	} else if (h->type == XS_ERROR) {
		fail("client %d, request %zu: %s, expected success", client, nr, data);
	} else if (!w->any && (h->len != w->len || memcmp(data, w->data, w->len))) {
		fail("client %d, request %zu of type %u: '%.*s', expected '%.*s'", client, nr,
		     h->type, (int)h->len, data, (int)w->len, w->data);
	}
}

/* Waits until all that the client was told before is here. */
static void fence(bool all)
{
	char data[MESSAGE_MAX];
	struct xsd_sockmsg h;

	for (int c = 0; c < M_CLIENTS; c++) {
		if (!all && !peers[c].nr_events)
			continue;
		put(XS_GET_DOMAIN_PATH, 0, "0", 2);
		flush(&peers[c]);
	}
	for (int c = 0; c < M_CLIENTS; c++) {
		if (!all && !peers[c].nr_events)
			continue;
		if (!answer(c, &h, data) || h.type != XS_GET_DOMAIN_PATH)
			fail("client %d: the connection ended", c);
		compare_events(c);
	}
}

/* --- requests --- */

static struct m_txn *some_txn(int client)
{
	struct m_txn *t = &model.clients[client].txns[rnd(M_TXNS)];

	return t->open ? t : NULL;
}

static int some_path(void)
{
	return rnd(3) ? (int)rnd(M_INNER) : (int)rnd(M_NODES);
}

static void put_path(uint32_t type, const struct m_txn *t, int path)
{
	put(type, t ? t->id : 0, m_path(path), strlen(m_path(path)) + 1);
}

static void do_read(int client, struct m_txn *t, int path)
{
	const struct m_node *n;
	struct want *w;

	put_path(XS_READ, t, path);
	w = want(m_read(&model, client, t, path, &n));
	w->len = n->len;
	memcpy(w->data, n->value, n->len);
}

static void do_list(int client, struct m_txn *t, int path)
{
	const struct m_tree *tree;
	struct want *w;

	put_path(XS_DIRECTORY, t, path);
	w = want(m_list(&model, client, t, path, &tree));
	w->len = 0;
	for (int kid = path * M_KIDS + 1; path < M_INNER && kid <= (path + 1) * M_KIDS; kid++)
		if (tree->nodes[kid].there) {
			w->data[w->len++] = strrchr(m_path(kid), '/')[1];
			w->data[w->len++] = 0;
		}
}

static size_t format_perms(char *buf, const struct m_perm *perms, int nr)
{
	size_t len = 0;

	for (int i = 0; i < nr; i++)
		len += (size_t)sprintf(buf + len, "%c%u", "nrwb"[perms[i].rights], perms[i].domid) +
		       1;
	return len;
}

static void do_get_perms(int client, struct m_txn *t, int path)
{
	const struct m_node *n;
	struct want *w;

	put_path(XS_GET_PERMS, t, path);
	w = want(m_read(&model, client, t, path, &n));
	w->len = format_perms(w->data, n->perms, n->nr_perms);
}

static void do_set_perms(int client, struct m_txn *t, int path)
{
	static const uint16_t others[] = { 0, 32000, 32001, 77 };
	struct m_perm perms[M_PERMS_MAX];
	const int nr = 1 + (int)rnd(M_PERMS_MAX);
	char buf[128];
	size_t len = strlen(strcpy(buf, m_path(path))) + 1;

	for (int i = 0; i < nr; i++)
		perms[i] = (struct m_perm){ others[rnd(4)], (uint8_t)rnd(4) };
	if (rnd(4)) /* mostly one that is allowed, and open for the others */
		perms[0] =
			(struct m_perm){ m_domids[model.clients[client].domain], rnd(3) ? 3 : 1 };
	if (path == 0)
		perms[0] = (struct m_perm){ 0, 3 };
	len += format_perms(buf + len, perms, nr);
	put(XS_SET_PERMS, t ? t->id : 0, buf, len);
	want(m_set_perms(&model, client, t, path, perms, nr));
}

static void do_write(int client, struct m_txn *t, int path)
{
	char buf[128];
	const size_t len = strlen(strcpy(buf, m_path(path))) + 1, n = rnd(M_VALUE_MAX);

	for (size_t i = 0; i < n; i++)
		buf[len + i] = (char)rnd(256);
	put(XS_WRITE, t ? t->id : 0, buf, len + n);
	want(m_write(&model, client, t, path, buf + len, n));
}

static void do_mkdir(int client, struct m_txn *t, int path)
{
	put_path(XS_MKDIR, t, path);
	want(m_mkdir(&model, client, t, path));
}

static void do_rm(int client, struct m_txn *t, int path)
{
	path = path ? path : 1;
	put_path(XS_RM, t, path);
	want(m_rm(&model, client, t, path));
}

static unsigned int free_watches(int client)
{
	unsigned int n = 0;

	for (int i = 0; i < M_WATCHES; i++)
		n += !model.clients[client].watches[i].used;
	return n;
}

static void do_watch(int client, int path)
{
	const int depth = (int)rnd(4) - 1;
	const unsigned int token = rnd(TOKENS);
	char buf[128];
	size_t len;

	if (!free_watches(client))
		return;
	path = rnd(20) ? path : M_ROOT;
	len = (size_t)sprintf(buf, "%s%ct%u", m_path(path), 0, token) + 1;
	if (depth >= 0)
		len += (size_t)sprintf(buf + len, "%d", depth) + 1;
	put(XS_WATCH, 0, buf, len);
	want(m_watch(&model, client, path, token, depth));
}

static void do_unwatch(int client)
{
	const struct m_watch *w = &model.clients[client].watches[rnd(M_WATCHES)];
	const int path = w->used ? w->path : some_path();
	const unsigned int token = w->used ? w->token : rnd(TOKENS);
	char buf[128];

	put(XS_UNWATCH, 0, buf, (size_t)sprintf(buf, "%s%ct%u", m_path(path), 0, token) + 1);
	want(m_unwatch(&model, client, path, token));
}

static void do_end(int client, struct m_txn *t)
{
	const bool keep = rnd(4);
	const uint32_t id = t->id;

	put(XS_TRANSACTION_END, id, keep ? "T" : "F", 2);
	want(m_end(&model, client, t, keep));
}

static void do_reset(int client)
{
	put(XS_RESET_WATCHES, 0, "", 1);
	want(0);
	m_disconnect(&model, client);
}

static void one_request(int client)
{
	struct m_txn *t = some_txn(client);
	const int path = some_path();
	const unsigned int what = rnd(100);

	if (what < 18)
		do_read(client, t, path);
	else if (what < 28)
		do_list(client, t, path);
	else if (what < 33)
		do_get_perms(client, t, path);
	else if (what < 40)
		do_set_perms(client, t, path);
	else if (what < 66)
		do_write(client, t, path);
	else if (what < 74)
		do_mkdir(client, t, path);
	else if (what < 81)
		do_rm(client, t, some_path());
	else if (what < 87)
		do_watch(client, path);
	else if (what < 93)
		do_unwatch(client);
	else if (t)
		do_end(client, t);
	else if (what == 99 && !rnd(20))
		do_reset(client);
}

/* By itself, as nobody knows the number before the answer. */
static void start_txn(int client)
{
	char data[MESSAGE_MAX];
	struct xsd_sockmsg h;
	struct m_txn *t;
	const int r = m_start(&model, client, &t);

	if (!t)
		return;
	nr_wants = 0;
	put(XS_TRANSACTION_START, 0, "", 1);
	want(r)->any = true;
	flush(&peers[client]);
	if (!answer(client, &h, data))
		fail("client %d: the connection ended", client);
	compare_answer(client, 0, &h, data);
	if (!r)
		t->id = (uint32_t)strtoul(data, NULL, 10);
	nr_done++;
}

/* --- batches --- */

static void make_batch(int client, bool keep_states)
{
	const unsigned int nr = 1 + rnd(BATCH - 1);

	nr_wants = 0;
	states[0] = model.now;
	for (unsigned int i = 0; i < nr && out_len + 256 < OUT_MAX; i++) {
		one_request(client);
		if (keep_states)
			states[nr_wants] = model.now;
	}
}

static void run_batch(int client)
{
	char data[MESSAGE_MAX];
	struct xsd_sockmsg h;

	make_batch(client, false);
	flush(&peers[client]);
	for (size_t i = 0; i < nr_wants; i++) {
		if (!answer(client, &h, data))
			fail("client %d: the connection ended", client);
		compare_answer(client, i, &h, data);
	}
	nr_done += nr_wants;
	nr_wants = 0;
	fence(false);
}

/* Half a request, and gone. The fence is behind it: the daemon has seen the end before anything else. */
static void disconnect(int client)
{
	put(XS_WRITE, 0, "/m/a/never", 11);
	out_len -= rnd(20) + 1;
	flush(&peers[client]);
	close(peers[client].fd);
	m_disconnect(&model, client);
	peer_open(client);
}

/* --- the whole --- */

static bool same_node(int path, const struct m_tree *tree, const char *value, size_t len,
		      const char *perms, size_t perms_len)
{
	const struct m_node *n = &tree->nodes[path];
	char buf[128];

	return n->there && n->len == len && !memcmp(n->value, value, len) &&
	       format_perms(buf, n->perms, n->nr_perms) == perms_len &&
	       !memcmp(buf, perms, perms_len);
}

struct found {
	bool there;
	size_t len, perms_len;
	char value[M_VALUE_MAX], perms[128];
};

static struct found found[M_NODES];

static void keep(const struct xsd_sockmsg *h, const char *data, char *buf, size_t size,
		 size_t *ret_len)
{
	if (h->len > size)
		fail("%u bytes where the longest was %zu", h->len, size);
	memcpy(buf, data, h->len);
	*ret_len = h->len;
}

/* all nodes, as domain 0 sees them */
static void look(void)
{
	char data[MESSAGE_MAX];
	struct xsd_sockmsg h;

	for (int i = 0; i < M_NODES; i++) {
		struct found *f = &found[i];

		put_path(XS_READ, NULL, i);
		put_path(XS_GET_PERMS, NULL, i);
		flush(&peers[0]);
		if (!answer(0, &h, data))
			fail("the connection ended");
		f->there = h.type != XS_ERROR;
		if (f->there)
			keep(&h, data, f->value, sizeof(f->value), &f->len);
		if (!answer(0, &h, data))
			fail("the connection ended");
		if (f->there)
			keep(&h, data, f->perms, sizeof(f->perms), &f->perms_len);
	}
}

/* M_NODES: all as it is in tree; else the first that is not */
static int first_difference(const struct m_tree *tree)
{
	int i;

	for (i = 0; i < M_NODES; i++) {
		const struct found *f = &found[i];

		if (f->there != tree->nodes[i].there)
			break;
		if (f->there && !same_node(i, tree, f->value, f->len, f->perms, f->perms_len))
			break;
	}
	return i;
}

static void control(const char *request, size_t len, char *ret_text)
{
	struct xsd_sockmsg h;

	put(XS_CONTROL, 0, request, len);
	flush(&peers[0]);
	if (!answer(0, &h, ret_text))
		fail("the connection ended");
	ret_text[h.len] = 0;
}

static unsigned long number_behind(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	if (!p || !strchr(p, ':'))
		fail("no %s in:\n%s", name, text);
	return strtoul(strchr(p, ':') + 1, NULL, 10);
}

static void compare_number(int domain, const char *text, const char *name, unsigned long n)
{
	if (number_behind(text, name) != n)
		fail("domain %u: %lu %s in its account, expected %lu", m_domids[domain],
		     number_behind(text, name), name, n);
}

static void compare_all(void)
{
	char text[MESSAGE_MAX + 1], request[32];
	int i;

	fence(true);
	look();
	i = first_difference(&model.now);
	if (i != M_NODES)
		fail("%s is not as expected", m_path(i));
	control("check", 6, text);
	if (strcmp(text, "OK"))
		fail("check: %s", text);
	for (int d = 1; d < M_DOMAINS; d++) {
		control(request, (size_t)sprintf(request, "quota%c%u", 0, m_domids[d]) + 1, text);
		/* its home has three nodes */
		compare_number(d, text, "nodes ", 3 + m_count_nodes(&model.now, m_domids[d]));
		compare_number(d, text, "watches ", m_count_watches(&model, d));
		compare_number(d, text, "transactions ", m_count_txns(&model, d));
	}
}

/* --- kills --- */

static size_t drain(int client)
{
	char data[MESSAGE_MAX];
	struct xsd_sockmsg h;
	size_t n = 0;

	for (; answer(client, &h, data); n++)
		compare_answer(client, n, &h, data);
	return n;
}

static void reconnect_all(void)
{
	for (int c = 0; c < M_CLIENTS; c++) {
		close(peers[c].fd);
		m_disconnect(&model, c);
		peer_open(c);
	}
}

static void kill_in_batch(int client)
{
	struct pollfd first = { .fd = peers[client].fd, .events = POLLIN };
	const struct timespec pause = { 0, (long)rnd(200) * 1000 };
	size_t answered, at, nr;
	int differs = 0;

	make_batch(client, true);
	nr = nr_wants;
	flush(&peers[client]);
	if (rnd(2))
		poll(&first, 1, 30000); /* as soon as anything is answered */
	else
		nanosleep(&pause, NULL);
	kill_daemon();
	answered = drain(client);
	start_daemon();
	reconnect_all();
	look();
	for (at = answered; at <= nr; at++) {
		differs = first_difference(&states[at]);
		if (differs == M_NODES)
			break;
	}
	if (at > nr)
		fail("after a kill, %zu of %zu requests answered: %s is not as it was", answered,
		     nr, m_path(differs));
	model.now = states[at];
	model.version++;
	nr_done += answered;
	compare_all();
}

/* --- everything --- */

static void set_limit(int domain, const char *name, unsigned int value, unsigned int *ret)
{
	char data[MESSAGE_MAX], buf[64];
	struct xsd_sockmsg h;

	*ret = value;
	put(SET_QUOTA, 0, buf,
	    (size_t)sprintf(buf, "%u%c%s%c%u", m_domids[domain], 0, name, 0, value) + 1);
	flush(&peers[0]);
	if (!answer(0, &h, data) || h.type == XS_ERROR)
		fail("cannot set a quota");
}

static void set_limits(void)
{
	for (int d = 1; d < M_DOMAINS; d++) {
		struct m_limits *l = &model.limits[d];

		set_limit(d, "nodes", 63, &l->nodes);
		l->nodes -= 3; /* of its home */
		set_limit(d, "watches", 40, &l->watches);
		set_limit(d, "transactions", 5, &l->transactions);
		set_limit(d, "node-size", 44, &l->node_size);
		set_limit(d, "node-permissions", 3, &l->node_permissions);
	}
}

/* bytes of the nodes before anything is there */
static unsigned long set_up(void)
{
	char data[MESSAGE_MAX + 1];
	struct xsd_sockmsg h;
	unsigned long bytes;

	m_init(&model, on_event, NULL);
	for (int c = 0; c < M_CLIENTS; c++)
		model.clients[c].domain = c % M_DOMAINS;
	start_daemon();
	for (int c = 0; c < M_CLIENTS; c++)
		peer_open(c);
	set_limits();
	control("memreport", 10, data);
	bytes = number_behind(data, "nodes");
	put(XS_MKDIR, 0, "/m", 3);
	put(XS_SET_PERMS, 0, "/m\0b0", 6);
	flush(&peers[0]);
	if (!answer(0, &h, data) || h.type == XS_ERROR || !answer(0, &h, data) ||
	    h.type == XS_ERROR)
		fail("cannot make /m: %s", data);
	return bytes;
}

/* Nothing of all that is left, and the daemon ends as it should. bytes: 0 do not compare */
static void tear_down(unsigned long bytes)
{
	char text[MESSAGE_MAX + 1];
	struct xsd_sockmsg h;
	int status;

	for (int c = 1; c < M_CLIENTS; c++)
		close(peers[c].fd);
	put(XS_RESET_WATCHES, 0, "", 1);
	put(XS_RM, 0, "/m", 3);
	flush(&peers[0]);
	if (!answer(0, &h, text) || h.type == XS_ERROR || !answer(0, &h, text) ||
	    h.type == XS_ERROR)
		fail("cannot remove /m");
	control("memreport", 10, text);
	if ((bytes && number_behind(text, "nodes") != bytes) || number_behind(text, "watches") ||
	    number_behind(text, "transactions"))
		fail("left over, of %lu bytes at the start:\n%s", bytes, text);
	close(peers[0].fd);
	kill(daemon_pid, SIGTERM);
	if (waitpid(daemon_pid, &status, 0) < 0 || status)
		fail("the daemon ended with status %d", status);
	daemon_pid = 0;
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoul(s, NULL, 10) : otherwise;
}

static void run(unsigned long ops, unsigned long kills)
{
	const unsigned long end = nr_done + ops, step = ops / (kills + 1);
	unsigned long next_look = 0, next_kill = nr_done + step, bytes = set_up();

	while (nr_done < end) {
		const int client = (int)rnd(M_CLIENTS);

		if (!rnd(4))
			start_txn(client);
		if (!rnd(300))
			disconnect(client);
		if (kills && nr_done >= next_kill) {
			kill_in_batch(client);
			next_kill += step;
		} else {
			run_batch(client);
		}
		if (nr_done >= next_look) {
			compare_all();
			next_look = nr_done + ops / 25;
		}
	}
	compare_all();
	/* a restarted daemon hashes names otherwise, and its directories take some bytes more or less */
	tear_down(kills ? 0 : bytes);
}

int main(void)
{
	const unsigned long ops = from_environment("XS_MODEL_OPS", OPS);
	const unsigned long kills = from_environment("XS_MODEL_KILLS", 20);
	char rings[64];

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return 1;
	seed = from_environment("SEED", seed >> 33);
	rng = seed * 2 + 1;
	if (!mkdtemp(dir) || snprintf(rings, sizeof(rings), "%s/rings", dir) < 0 ||
	    mkdir(rings, 0700) < 0 || atexit(clean_up))
		return 1;
	setenv("XENHOST_TRANSPORTS", PLUGIN_DIR, 1);
	run(ops / 2, 0);
	run(ops / 2, kills);
	printf("SEED=%llu: %lu requests, %lu events, %lu transactions lost, %lu quota refusals, "
	       "%lu kills\n",
	       (unsigned long long)seed, nr_done, nr_events, nr_again, nr_refused, kills);
	return 0;
}
