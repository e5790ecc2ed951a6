/* SPDX-License-Identifier: MIT */
/*
 * xenhost block: disks of running guests, by the nodes that any toolstack writes, and by the orders that
 * xenhost-blkbackd takes in the node xenhost-control (see its page).
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xenhost/backend.h>
#include <xenhost/domain.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/json.h"

#define BLKBACK 32000u
#define SETTINGS_MAX 16
#define XVDA 51712u
#define EXTENDED (1u << 28)

struct block {
	const char *rundir;
	bool json, force, readonly, shrink;
	unsigned int timeout_s;
	unsigned int backend;
	const char *settings[SETTINGS_MAX];
	unsigned int nr_settings;

	xenhost_t *host;
	unsigned int domid;
	unsigned int devid;
	const char *image;
	char back[96], front[96];
	unsigned int printed;
};

static int set_rundir(void *data, const char *value)
{
	((struct block *)data)->rundir = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct block *)data)->json = true;
	return 0;
}

static int set_force(void *data, const char *value)
{
	((struct block *)data)->force = true;
	return 0;
}

static int set_readonly(void *data, const char *value)
{
	((struct block *)data)->readonly = true;
	return 0;
}

static int set_shrink(void *data, const char *value)
{
	((struct block *)data)->shrink = true;
	return 0;
}

static int set_timeout(void *data, const char *value)
{
	unsigned long long n;
	int r = options_number(value, 1, 86400, &n);

	if (r == 0)
		((struct block *)data)->timeout_s = (unsigned int)n;
	return r;
}

static int set_backend(void *data, const char *value)
{
	unsigned long long n;
	int r = options_number(value, 0, 32751, &n);

	if (r == 0)
		((struct block *)data)->backend = (unsigned int)n;
	return r;
}

/* KEY=VALUE for the back-end folder */
static int set_setting(void *data, const char *value)
{
	struct block *b = data;
	size_t len = strcspn(value, "=");

	if (b->nr_settings == SETTINGS_MAX || len == 0 || value[len] != '=' ||
	    strspn(value, "abcdefghijklmnopqrstuvwxyz-") != len)
		return -EINVAL;
	b->settings[b->nr_settings++] = value;
	return 0;
}

static const struct option_spec specs[] = {
	{ "backend", "DOMID", "service domain of the disks (default: 32000)", set_backend },
	{ "force", NULL, "detach: take it away if the guest does not let go in time", set_force },
	{ "json", NULL, "print JSON, for scripts", set_json },
	{ "read-only", NULL, "attach: the guest may not write", set_readonly },
	{ "rundir", "DIR", "run directory of xenhost-bridged (default: the system's)", set_rundir },
	{ "set", "KEY=VALUE", "attach: a node of xenhost-blkbackd(8), such as throttle-iops=500",
	  set_setting },
	{ "shrink", NULL, "resize: to a smaller size as well", set_shrink },
	{ "timeout", "S", "seconds to wait (default: 30)", set_timeout },
	{ NULL, NULL, NULL, NULL },
};

/* --- names --- */

/* xvda to xvdp by the old numbers, up to xvdiv by the extended ones; or a number as it is */
static int parse_device(const char *name, unsigned int *ret_devid)
{
	unsigned long long number;
	unsigned int disk;

	if (options_number(name, 0, UINT32_MAX, &number) == 0) {
		*ret_devid = (unsigned int)number;
		return 0;
	}
	if (strncmp(name, "xvd", 3) || !islower((unsigned char)name[3]))
		return -EINVAL;
	disk = (unsigned int)(name[3] - 'a');
	if (name[4] && (!islower((unsigned char)name[4]) || name[5]))
		return -EINVAL;
	if (name[4])
		disk = (disk + 1) * 26 + (unsigned int)(name[4] - 'a');
	*ret_devid = disk < 16 ? XVDA + disk * 16 : EXTENDED | disk << 8;
	return 0;
}

static void device_name(unsigned int devid, char *buf, size_t size)
{
	unsigned int disk = devid & EXTENDED ? (devid & ~EXTENDED) >> 8 : (devid - XVDA) / 16;

	if (devid & EXTENDED ? devid & 0xff : devid < XVDA || devid >= XVDA + 256 || devid % 16)
		snprintf(buf, size, "%u", devid);
	else if (disk < 26)
		snprintf(buf, size, "xvd%c", (char)('a' + disk));
	else
		snprintf(buf, size, "xvd%c%c", (char)('a' + disk / 26 - 1),
			 (char)('a' + disk % 26));
}

static int find_domain(struct block *b, const char *which)
{
	struct xenhost_domain_info info;
	unsigned long long domid;
	int r;

	if (options_number(which, 1, 31999, &domid) == 0)
		r = xenhost_domain_info(b->host, (uint16_t)domid, &info);
	else
		r = xenhost_domain_by_name(b->host, which, &info);
	if (r < 0) {
		log_error("there is no guest %s: %s; xenhost domain list shows those there are",
			  which, strerror(-r));
		return r;
	}
	b->domid = info.domid;
	return 0;
}

static void set_paths(struct block *b)
{
	snprintf(b->back, sizeof(b->back), "/local/domain/%u/backend/vbd/%u/%u", b->backend,
		 b->domid, b->devid);
	snprintf(b->front, sizeof(b->front), "/local/domain/%u/device/vbd/%u", b->domid, b->devid);
}

/* --- nodes --- */

/* the caller frees it; NULL when there is none */
static char *read_node(struct block *b, const char *folder, const char *node)
{
	char path[256], *value = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, node);
	return xenhost_store_read(b->host, 0, path, &value, NULL) < 0 ? NULL : value;
}

static int write_node(struct block *b, xenhost_txn_t txn, const char *folder, const char *node,
		      const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, node);
	return xenhost_store_write(b->host, txn, path, value, strlen(value));
}

static unsigned int back_state(struct block *b)
{
	_cleanup_free_ char *state = read_node(b, b->back, "state");

	return state ? (unsigned int)strtoul(state, NULL, 10) : 0;
}

static const char *state_name(unsigned int state)
{
	static const char *const names[] = { "gone",	 "new",	      "waiting",
					     "starting", "connected", "closing",
					     "closed",	 "changing",  "changed" };

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_change(xenhost_t *host, const char *path, void *data)
{
	*(bool *)data = true;
}

/* Looks again at each change of the back end's folder. 0, or -ETIMEDOUT and other errors */
static int wait_until(struct block *b, bool (*done)(struct block *b, void *data), void *data)
{
	int64_t end = now_ms() + (int64_t)b->timeout_s * 1000;
	xenhost_watch_t *watch = NULL;
	bool changed = true;
	int r = xenhost_watch(b->host, b->back, on_change, &changed, &watch);

	while (r >= 0) {
		struct pollfd p = { .fd = xenhost_get_fd(b->host), .events = POLLIN };
		int64_t left = end - now_ms();

		if (changed && done(b, data))
			break;
		changed = false;
		if (left <= 0)
			r = -ETIMEDOUT;
		else if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			r = -errno;
		else
			r = xenhost_process(b->host);
	}
	xenhost_unwatch(watch);
	return r < 0 ? r : 0;
}

static void log_device_error(struct block *b, const char *what)
{
	_cleanup_free_ char *text = NULL;
	char folder[128];

	snprintf(folder, sizeof(folder), "/local/domain/%u/error/backend/vbd/%u/%u", b->backend,
		 b->domid, b->devid);
	text = read_node(b, folder, "error");
	log_error("%s: %s", what, text ? text : "the back end does not say why; look at its log");
}

/* --- attach --- */

struct setting {
	const char *node, *value;
};

static int write_settings(struct block *b, xenhost_txn_t txn)
{
	for (unsigned int i = 0; i < b->nr_settings; i++) {
		size_t len = strcspn(b->settings[i], "=");
		char key[64];
		int r;

		if (len >= sizeof(key))
			return -E2BIG;
		memcpy(key, b->settings[i], len);
		key[len] = '\0';
		r = write_node(b, txn, b->back, key, b->settings[i] + len + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_folder(struct block *b, xenhost_txn_t txn, const char *path, unsigned int owner,
		       unsigned int reader)
{
	const struct xenhost_perm perms[] = { { 'n', (uint16_t)owner }, { 'r', (uint16_t)reader } };
	int r = xenhost_store_mkdir(b->host, txn, path);

	return r < 0 ? r : xenhost_store_set_perms(b->host, txn, path, perms, 2);
}

static int write_nodes(struct block *b, xenhost_txn_t txn, const char *folder,
		       const struct setting *nodes, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = write_node(b, txn, folder, nodes[i].node, nodes[i].value);
	return r;
}

static int attach_txn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct block *b = data;
	char domid[16], devid[16], backend[16], dev[16];
	const struct setting front[] = {
		{ "backend", b->back },	   { "backend-id", backend }, { "virtual-device", devid },
		{ "device-type", "disk" }, { "state", "1" },
	};
	const struct setting back[] = {
		{ "frontend", b->front },
		{ "frontend-id", domid },
		{ "online", "1" },
		{ "dev", dev },
		{ "type", "file" },
		{ "params", b->image },
		{ "mode", b->readonly ? "r" : "w" },
		{ "device-type", "disk" },
		{ "bootable", "0" },
		{ "removable", "0" },
		{ "state", "1" },
	};
	int r;

	snprintf(domid, sizeof(domid), "%u", b->domid);
	snprintf(devid, sizeof(devid), "%u", b->devid);
	snprintf(backend, sizeof(backend), "%u", b->backend);
	device_name(b->devid, dev, sizeof(dev));
	r = make_folder(b, txn, b->front, b->domid, b->backend);
	if (r == 0)
		r = make_folder(b, txn, b->back, b->backend, b->domid);
	if (r == 0)
		r = write_nodes(b, txn, b->front, front, ARRAY_SIZE(front));
	if (r == 0)
		r = write_settings(b, txn);
	return r < 0 ? r : write_nodes(b, txn, b->back, back, ARRAY_SIZE(back));
}

static bool is_taken(struct block *b, void *data)
{
	return back_state(b) != XENHOST_STATE_INITIALISING;
}

static void remove_folders(struct block *b)
{
	(void)xenhost_store_rm(b->host, 0, b->back);
	(void)xenhost_store_rm(b->host, 0, b->front);
}

static int choose_device(struct block *b)
{
	for (unsigned int i = 0; i < 256; i++) {
		_cleanup_free_ char *taken = NULL;

		b->devid = i < 16 ? XVDA + i * 16 : EXTENDED | i << 8;
		set_paths(b);
		taken = read_node(b, b->front, "state");
		if (!taken)
			return 0;
	}
	log_error("all device names of the guest are taken");
	return -ENOSPC;
}

static void print_attached(struct block *b)
{
	char dev[16];

	device_name(b->devid, dev, sizeof(dev));
	if (b->json)
		printf("{\"domid\": %u, \"device\": \"%s\", \"devid\": %u}\n", b->domid, dev,
		       b->devid);
	else
		printf("%s\n", dev);
}

/* Half a device would be worse than none, so what the back end does not take goes again. */
static int do_attach(struct block *b)
{
	unsigned int state;
	int r;

	if (back_state(b) != 0) {
		log_error("the guest has a disk of this name already; detach it first");
		return -EEXIST;
	}
	r = xenhost_txn_run(b->host, attach_txn, b);
	if (r < 0) {
		log_error("cannot write the disk's nodes: %s", strerror(-r));
		return r;
	}
	r = wait_until(b, is_taken, NULL);
	state = back_state(b);
	if (r == 0 && state >= XENHOST_STATE_INIT_WAIT && state <= XENHOST_STATE_CONNECTED) {
		print_attached(b);
		return 0;
	}
	if (r == -ETIMEDOUT)
		log_error("nobody takes the disk; does xenhost-blkbackd run?");
	else
		log_device_error(b, "the back end refuses the disk");
	remove_folders(b);
	return r < 0 ? r : -EIO;
}

/* --- detach --- */

static int detach_txn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct block *b = data;
	int r = write_node(b, txn, b->back, "online", "0");

	return r < 0 ? r : write_node(b, txn, b->back, "state", "5");
}

static bool is_closed(struct block *b, void *data)
{
	unsigned int state = back_state(b);

	return state == XENHOST_STATE_CLOSED || state == 0;
}

static int do_detach(struct block *b)
{
	int r;

	if (back_state(b) != XENHOST_STATE_CLOSED) {
		r = xenhost_txn_run(b->host, detach_txn, b);
		if (r == 0)
			r = wait_until(b, is_closed, NULL);
		if (r == -ETIMEDOUT && !b->force) {
			log_error(
				"the guest does not let go of the disk within %u s; it may still do so. "
				"--force takes it away",
				b->timeout_s);
			return r;
		}
		if (r < 0 && r != -ETIMEDOUT) {
			log_error("cannot detach the disk: %s", strerror(-r));
			return r;
		}
	}
	remove_folders(b);
	return 0;
}

/* --- list --- */

static void print_row(struct block *b, unsigned int state)
{
	_cleanup_free_ char *mode = read_node(b, b->back, "mode"),
			    *params = read_node(b, b->back, "params"),
			    *sectors = read_node(b, b->back, "sectors");
	unsigned long long size = sectors ? strtoull(sectors, NULL, 10) * 512 : 0;
	char dev[16];

	device_name(b->devid, dev, sizeof(dev));
	if (!b->json) {
		printf("%6u  %-8s %-10s %-4s %10llu  %s\n", b->domid, dev, state_name(state),
		       mode && *mode == 'r' ? "r" : "rw", size >> 20, params ? params : "");
		return;
	}
	printf("%s{\"domid\": %u, \"device\": \"%s\", \"devid\": %u, \"state\": \"%s\", "
	       "\"read_only\": %s, \"bytes\": %llu, \"image\": ",
	       b->printed ? ",\n " : "", b->domid, dev, b->devid, state_name(state),
	       mode && *mode == 'r' ? "true" : "false", size);
	json_string(stdout, params ? params : "");
	printf("}");
	b->printed++;
}

static void list_guest(struct block *b)
{
	_cleanup_free_ char **names = NULL;
	char path[96];

	snprintf(path, sizeof(path), "/local/domain/%u/backend/vbd/%u", b->backend, b->domid);
	if (xenhost_store_list(b->host, 0, path, &names) < 0)
		return;
	for (char **name = names; *name; name++) {
		unsigned long long devid;

		if (options_number(*name, 0, UINT32_MAX, &devid) < 0)
			continue;
		b->devid = (unsigned int)devid;
		set_paths(b);
		print_row(b, back_state(b));
	}
}

static void list_all(struct block *b)
{
	_cleanup_free_ char **names = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/backend/vbd", b->backend);
	if (xenhost_store_list(b->host, 0, path, &names) < 0)
		return;
	for (char **name = names; *name; name++) {
		unsigned long long domid;

		if (options_number(*name, 0, 32751, &domid) < 0)
			continue;
		b->domid = (unsigned int)domid;
		list_guest(b);
	}
}

static int do_list(struct block *b, bool all)
{
	printf(b->json ? "[" : " domid  device   state      mode        MiB  image\n");
	if (all)
		list_all(b);
	else
		list_guest(b);
	if (b->json)
		printf("]\n");
	return 0;
}

/* --- orders --- */

static bool has_reply(struct block *b, void *data)
{
	_cleanup_free_ char *reply = read_node(b, b->back, "xenhost-reply");
	const char *number = data;

	return reply && !strncmp(reply, number, strlen(number)) && reply[strlen(number)] == ' ';
}

/* *ret_text: what stands behind "ok", to be freed */
static int give_order(struct block *b, const char *order, char **ret_text)
{
	_cleanup_free_ char *reply = NULL;
	char number[32], text[64];
	const char *answer;
	int r;

	if (back_state(b) != XENHOST_STATE_CONNECTED) {
		log_error("the disk is not connected (%s)", state_name(back_state(b)));
		return -ENOTCONN;
	}
	snprintf(number, sizeof(number), "%" PRId64, now_ms() * 1000 + getpid() % 1000);
	snprintf(text, sizeof(text), "%s %s", number, order);
	r = write_node(b, 0, b->back, "xenhost-control", text);
	if (r == 0)
		r = wait_until(b, has_reply, number);
	if (r < 0) {
		log_error(
			"no answer to %s: %s; is the back end a xenhost-blkbackd, and does it run?",
			order, strerror(-r));
		return r;
	}
	reply = read_node(b, b->back, "xenhost-reply");
	answer = reply ? reply + strlen(number) + 1 : "";
	if (strncmp(answer, "ok", 2)) {
		log_error("%s: %s", order, answer + strcspn(answer, " ") + (*answer ? 1 : 0));
		return -EIO;
	}
	*ret_text = strdup(answer[2] == ' ' ? answer + 3 : "");
	return *ret_text ? 0 : -ENOMEM;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

/* "name=value name=value ..." line by line, or as an object */
static void print_pairs(struct block *b, char *text)
{
	const char *separator = "";
	char *save = NULL;

	if (b->json)
		printf("{");
	for (char *pair = strtok_r(text, " ", &save); pair; pair = strtok_r(NULL, " ", &save)) {
		char *value = strchr(pair, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (!b->json) {
			printf("%-16s %s\n", pair, value);
			continue;
		}
		printf("%s", separator);
		json_string(stdout, pair);
		printf(": ");
		if (is_number(value))
			printf("%s", value);
		else
			json_string(stdout, value);
		separator = ", ";
	}
	if (b->json)
		printf("}\n");
}

static int do_order(struct block *b, const char *order)
{
	_cleanup_free_ char *text = NULL;
	int r = give_order(b, order, &text);

	if (r < 0)
		return r;
	print_pairs(b, text);
	return 0;
}

static int do_resize(struct block *b)
{
	return do_order(b, b->shrink ? "resize shrink" : "resize");
}

/* --- the command --- */

static int with_device(struct block *b, const char *verb)
{
	if (!strcmp(verb, "attach"))
		return do_attach(b);
	if (back_state(b) == 0) {
		log_error("the guest has no such disk; xenhost block list shows those there are");
		return -ENOENT;
	}
	if (!strcmp(verb, "detach"))
		return do_detach(b);
	if (!strcmp(verb, "resize"))
		return do_resize(b);
	return do_order(b, verb); /* stat, pause, resume */
}

static int run(struct block *b, int n, char **words)
{
	bool attach = !strcmp(words[0], "attach");
	const char *device = attach ? (n > 3 ? words[3] : NULL) : n > 2 ? words[2] : NULL;
	int r;

	if (n == 1)
		return do_list(b, true);
	r = find_domain(b, words[1]);
	if (r < 0)
		return r;
	if (!strcmp(words[0], "list"))
		return do_list(b, false);
	if (attach)
		b->image = words[2];
	if (!device)
		r = choose_device(b);
	else
		r = parse_device(device, &b->devid);
	if (r == -EINVAL)
		log_error("%s is no disk's name: xvda, xvdb ... or a number", device);
	if (r < 0)
		return r;
	set_paths(b);
	return with_device(b, words[0]);
}

static bool words_ok(int n, char **words)
{
	static const struct {
		const char *verb;
		int least, most;
	} verbs[] = { { "attach", 3, 4 }, { "detach", 3, 3 }, { "list", 1, 2 },	 { "stat", 3, 3 },
		      { "resize", 3, 3 }, { "pause", 3, 3 },  { "resume", 3, 3 } };

	for (size_t i = 0; n > 0 && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(words[0], verbs[i].verb))
			return n >= verbs[i].least && n <= verbs[i].most;
	return false;
}

/* The back end opens the image, from another folder than ours. */
static int absolute_image(int n, char **words, char *path)
{
	if (n < 3 || strcmp(words[0], "attach") || *words[2] == '/' || strchr(words[2], ':'))
		return 0;
	if (!realpath(words[2], path)) {
		log_error("cannot find the image %s: %s", words[2], strerror(errno));
		return -errno;
	}
	words[2] = path;
	return 0;
}

int cmd_block(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost block",
		.operands = "attach DOMAIN IMAGE [DEVICE] | list [DOMAIN] | "
			    "detach|stat|resize|pause|resume DOMAIN DEVICE",
		.purpose = "Disks of running guests.",
		.page = "xenhost-block(1)",
	};
	struct block b = { .timeout_s = 30, .backend = BLKBACK };
	const struct option_table table = { specs, &b };
	char path[PATH_MAX];
	int i = options_parse(&options, argc, argv, &table, 1), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (!words_ok(argc - i, argv + i)) {
		log_error(
			"block takes attach, detach, list, stat, resize, pause or resume, a domain and a "
			"device; xenhost block --help");
		return EXIT_USAGE;
	}
	r = absolute_image(argc - i, argv + i, path);
	if (r == 0)
		r = connect_host(b.rundir, &b.host);
	if (r == 0)
		r = run(&b, argc - i, argv + i);
	xenhost_close(b.host);
	return r < 0 ? 1 : 0;
}
