/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/store.h>
#include <xenhost/xenhost.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/service.h"
#include "tools/bridge_tool.h"
#include "tools/domain_show.h"
#include "tools/json.h"
#include "tools/trace_guest.h"

struct trace {
	struct bridge_tool *tool;
	struct xenhost_domain_info guest;
	unsigned long long left; /* lines, 0: without end */
	bool first[3];		 /* what a watch tells when it is set is no change */
	bool over;
};

struct watched {
	struct trace *trace;
	unsigned int i;
};

static void begin_line(struct trace *t, const char *what)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t->tool->json)
		printf("{\"time\": %lld.%06ld, \"what\": \"%s\"", (long long)now.tv_sec,
		       now.tv_nsec / 1000, what);
	else
		printf("%lld.%06ld %s", (long long)now.tv_sec, now.tv_nsec / 1000, what);
}

static void end_line(struct trace *t)
{
	printf(t->tool->json ? "}\n" : "\n");
	if (t->left && --t->left == 0)
		t->over = true;
}

/* what is not printable is a guest's, and must not get to the terminal */
static void print_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len && i < 256; i++)
		if (value[i] >= ' ' && value[i] <= '~' && value[i] != '\\')
			putchar(value[i]);
		else
			printf("\\x%02x", (unsigned char)value[i]);
	if (len > 256)
		printf("...");
}

static void print_node(struct trace *t, const char *path, const char *value, size_t len)
{
	begin_line(t, "store");
	if (!t->tool->json) {
		printf(" %s", path);
		printf(value ? " = " : " is gone");
		if (value)
			print_value(value, len);
		end_line(t);
		return;
	}
	printf(", \"path\": ");
	json_string(stdout, path);
	printf(", \"value\": ");
	if (value) {
		putchar('"');
		for (size_t i = 0; i < len; i++)
			json_char(stdout, (unsigned char)value[i]);
		putchar('"');
	} else {
		printf("null");
	}
	end_line(t);
}

static void on_node(xenhost_t *host, const char *path, void *data)
{
	struct watched *w = data;
	struct trace *t = w->trace;
	_cleanup_free_ char *value = NULL;
	size_t len = 0;
	int r;

	if (!t->first[w->i]) {
		t->first[w->i] = true;
		return;
	}
	if (t->over)
		return;
	r = xenhost_store_read(host, 0, path, &value, &len);
	if (r == 0 || r == -ENOENT)
		print_node(t, path, r == 0 ? value : NULL, len);
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct trace *t = data;
	const char *reason = domain_reason_name(info);

	if (info->unique_id != t->guest.unique_id || t->over)
		return;
	begin_line(t, "domain");
	if (t->tool->json)
		printf(", \"state\": \"%s\", \"shutdown_reason\": \"%s\"", domain_state_name(info),
		       reason);
	else
		printf(" %u %s%s%s", info->domid, domain_state_name(info), *reason ? ": " : "",
		       reason);
	end_line(t);
	t->over = t->over || info->state == XENHOST_DOMAIN_GONE;
}

static int follow(struct trace *t, int signals)
{
	struct pollfd p[2] = { { .fd = xenhost_get_fd(t->tool->host), .events = POLLIN },
			       { .fd = signals, .events = POLLIN } };

	while (!t->over) {
		int r = xenhost_process(t->tool->host);

		fflush(stdout);
		if (ferror(stdout))
			return 0; /* nobody reads it any more */
		if (r < 0)
			log_error("xenhost-bridged is gone: %s", strerror(-r));
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return 0;
	}
	fflush(stdout);
	return 0;
}

int trace_guest(struct bridge_tool *tool, const char *which, unsigned long long left)
{
	struct trace t = { .tool = tool, .left = left };
	struct watched watched[3] = { { &t, 0 }, { &t, 1 }, { &t, 2 } };
	xenhost_watch_t *watches[3] = { NULL };
	_cleanup_close_ int signals = -1;
	char paths[3][96];
	sigset_t set;
	int r = domain_find(tool->host, which, &t.guest);

	if (r < 0)
		return r;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	snprintf(paths[0], sizeof(paths[0]), "/local/domain/%u", t.guest.domid);
	snprintf(paths[1], sizeof(paths[1]), "/local/domain/%u/backend/vbd/%u",
		 service_builtin[SERVICE_BLKBACK].domid, t.guest.domid);
	snprintf(paths[2], sizeof(paths[2]), "/local/domain/%u/backend/vif/%u",
		 service_builtin[SERVICE_NETBACK].domid, t.guest.domid);
	r = signals < 0 ? -errno : xenhost_domain_watch(tool->host, on_domain, &t);
	for (unsigned int i = 0; i < 3 && r == 0; i++)
		r = xenhost_watch(tool->host, paths[i], on_node, &watched[i], &watches[i]);
	if (r < 0)
		log_error("cannot watch the guest %s: %s", which, strerror(-r));
	else
		r = follow(&t, signals);
	for (unsigned int i = 0; i < 3; i++)
		xenhost_unwatch(watches[i]);
	(void)xenhost_domain_watch(tool->host, NULL, NULL);
	return r;
}
