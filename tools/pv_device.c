/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/domain.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/connect.h"
#include "tools/json.h"
#include "tools/pv_device.h"

int pv_set_rundir(void *data, const char *value)
{
	((struct pv_device *)data)->rundir = value;
	return 0;
}

int pv_set_json(void *data, const char *value)
{
	((struct pv_device *)data)->json = true;
	return 0;
}

int pv_set_force(void *data, const char *value)
{
	((struct pv_device *)data)->force = true;
	return 0;
}

int pv_set_timeout(void *data, const char *value)
{
	unsigned long long n;
	int r = options_number(value, 1, 86400, &n);

	if (r == 0)
		((struct pv_device *)data)->timeout_s = (unsigned int)n;
	return r;
}

int pv_set_backend(void *data, const char *value)
{
	unsigned long long n;
	int r = options_number(value, 0, 32751, &n);

	if (r == 0)
		((struct pv_device *)data)->backend = (unsigned int)n;
	return r;
}

/* KEY=VALUE for the back-end folder */
int pv_set_setting(void *data, const char *value)
{
	struct pv_device *d = data;
	size_t len = strcspn(value, "=");

	if (d->nr_settings == PV_SETTINGS_MAX || len == 0 || value[len] != '=' ||
	    strspn(value, "abcdefghijklmnopqrstuvwxyz-") != len)
		return -EINVAL;
	d->settings[d->nr_settings++] = value;
	return 0;
}

int pv_find_domain(struct pv_device *d, const char *which)
{
	struct xenhost_domain_info info;
	unsigned long long domid;
	int r;

	if (options_number(which, 1, 31999, &domid) == 0)
		r = xenhost_domain_info(d->host, (uint16_t)domid, &info);
	else
		r = xenhost_domain_by_name(d->host, which, &info);
	if (r < 0) {
		connect_no_domain("guest", which, r);
		return r;
	}
	d->domid = info.domid;
	return 0;
}

void pv_set_paths(struct pv_device *d)
{
	snprintf(d->back, sizeof(d->back), "/local/domain/%u/backend/%s/%u/%u", d->backend,
		 d->class, d->domid, d->devid);
	snprintf(d->front, sizeof(d->front), "/local/domain/%u/device/%s/%u", d->domid, d->class,
		 d->devid);
}

/* --- nodes --- */

/* the caller frees it; NULL when there is none */
char *pv_read_node(struct pv_device *d, const char *folder, const char *node)
{
	char path[256], *value = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, node);
	return xenhost_store_read(d->host, 0, path, &value, NULL) < 0 ? NULL : value;
}

static int write_node(struct pv_device *d, xenhost_txn_t txn, const char *folder, const char *node,
		      const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, node);
	return xenhost_store_write(d->host, txn, path, value, strlen(value));
}

unsigned int pv_back_state(struct pv_device *d)
{
	_cleanup_free_ char *state = pv_read_node(d, d->back, "state");

	return state ? (unsigned int)strtoul(state, NULL, 10) : 0;
}

const char *pv_state_name(unsigned int state)
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
static int wait_until(struct pv_device *d, bool (*done)(struct pv_device *d, void *data),
		      void *data)
{
	int64_t end = now_ms() + (int64_t)d->timeout_s * 1000;
	xenhost_watch_t *watch = NULL;
	bool changed = true;
	int r = xenhost_watch(d->host, d->back, on_change, &changed, &watch);

	while (r >= 0) {
		struct pollfd p = { .fd = xenhost_get_fd(d->host), .events = POLLIN };
		int64_t left = end - now_ms();

		if (changed && done(d, data))
			break;
		changed = false;
		if (left <= 0)
			r = -ETIMEDOUT;
		else if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			r = -errno;
		else
			r = xenhost_process(d->host);
	}
	xenhost_unwatch(watch);
	return r < 0 ? r : 0;
}

static void log_device_error(struct pv_device *d, const char *what)
{
	_cleanup_free_ char *text = NULL;
	char folder[128];

	snprintf(folder, sizeof(folder), "/local/domain/%u/error/backend/%s/%u/%u", d->backend,
		 d->class, d->domid, d->devid);
	text = pv_read_node(d, folder, "error");
	log_error("%s: %s", what, text ? text : "the back end does not say why; look at its log");
}

int pv_write_settings(struct pv_device *d, xenhost_txn_t txn)
{
	for (unsigned int i = 0; i < d->nr_settings; i++) {
		size_t len = strcspn(d->settings[i], "=");
		char key[64];
		int r;

		if (len >= sizeof(key))
			return -E2BIG;
		memcpy(key, d->settings[i], len);
		key[len] = '\0';
		r = write_node(d, txn, d->back, key, d->settings[i] + len + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_folder(struct pv_device *d, xenhost_txn_t txn, const char *path, unsigned int owner,
		       unsigned int reader)
{
	const struct xenhost_perm perms[] = { { 'n', (uint16_t)owner }, { 'r', (uint16_t)reader } };
	int r = xenhost_store_mkdir(d->host, txn, path);

	return r < 0 ? r : xenhost_store_set_perms(d->host, txn, path, perms, 2);
}

int pv_write_nodes(struct pv_device *d, xenhost_txn_t txn, const char *folder,
		   const struct pv_node *nodes, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = write_node(d, txn, folder, nodes[i].node, nodes[i].value);
	return r;
}

int pv_write_device(struct pv_device *d, xenhost_txn_t txn, const struct pv_node *front,
		    size_t nr_front, const struct pv_node *back, size_t nr_back)
{
	char domid[16], backend[16];
	const struct pv_node both_front[] = {
		{ "backend", d->back },
		{ "backend-id", backend },
		{ "state", "1" },
	};
	const struct pv_node both_back[] = {
		{ "frontend", d->front },
		{ "frontend-id", domid },
		{ "online", "1" },
		{ "state", "1" },
	};
	int r;

	snprintf(domid, sizeof(domid), "%u", d->domid);
	snprintf(backend, sizeof(backend), "%u", d->backend);
	r = make_folder(d, txn, d->front, d->domid, d->backend);
	if (r == 0)
		r = make_folder(d, txn, d->back, d->backend, d->domid);
	if (r == 0)
		r = pv_write_nodes(d, txn, d->front, front, nr_front);
	if (r == 0)
		r = pv_write_nodes(d, txn, d->front, both_front, ARRAY_SIZE(both_front));
	if (r == 0)
		r = pv_write_settings(d, txn);
	if (r == 0)
		r = pv_write_nodes(d, txn, d->back, back, nr_back);
	return r < 0 ? r : pv_write_nodes(d, txn, d->back, both_back, ARRAY_SIZE(both_back));
}

static bool is_taken(struct pv_device *d, void *data)
{
	return pv_back_state(d) != XENHOST_STATE_INITIALISING;
}

static void remove_folders(struct pv_device *d)
{
	(void)xenhost_store_rm(d->host, 0, d->back);
	(void)xenhost_store_rm(d->host, 0, d->front);
}

/* Half a device would be worse than none, so what the back end does not take goes again. */
int pv_attach(struct pv_device *d, pv_txn_fn *fn, void *data)
{
	unsigned int state;
	int r;

	if (pv_back_state(d) != 0) {
		log_error("the guest has a %s of this name already; detach it first", d->what);
		return -EEXIST;
	}
	r = xenhost_txn_run(d->host, fn, data);
	if (r < 0) {
		log_error("cannot write the %s's nodes: %s", d->what, strerror(-r));
		return r;
	}
	r = wait_until(d, is_taken, NULL);
	state = pv_back_state(d);
	if (r == 0 && state >= XENHOST_STATE_INIT_WAIT && state <= XENHOST_STATE_CONNECTED)
		return 0;
	if (r == -ETIMEDOUT)
		log_error("nobody takes the %s; does %s run?", d->what, d->program);
	else
		log_device_error(d, "the back end refuses it");
	remove_folders(d);
	return r < 0 ? r : -EIO;
}

/* --- detach --- */

static int detach_txn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct pv_device *d = data;
	int r = write_node(d, txn, d->back, "online", "0");

	return r < 0 ? r : write_node(d, txn, d->back, "state", "5");
}

static bool is_closed(struct pv_device *d, void *data)
{
	unsigned int state = pv_back_state(d);

	return state == XENHOST_STATE_CLOSED || state == 0;
}

int pv_detach(struct pv_device *d)
{
	int r;

	if (pv_back_state(d) != XENHOST_STATE_CLOSED) {
		r = xenhost_txn_run(d->host, detach_txn, d);
		if (r == 0)
			r = wait_until(d, is_closed, NULL);
		if (r == -ETIMEDOUT && !d->force) {
			log_error(
				"the guest does not let go of the %s within %u s; it may still do so. "
				"--force takes it away",
				d->what, d->timeout_s);
			return r;
		}
		if (r < 0 && r != -ETIMEDOUT) {
			log_error("cannot detach the %s: %s", d->what, strerror(-r));
			return r;
		}
	}
	remove_folders(d);
	return 0;
}

/* --- list --- */

static void list_guest(struct pv_device *d, void (*print)(struct pv_device *d, unsigned int state))
{
	_cleanup_free_ char **names = NULL;
	char path[96];

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", d->backend, d->class,
		 d->domid);
	if (xenhost_store_list(d->host, 0, path, &names) < 0)
		return;
	for (char **name = names; *name; name++) {
		unsigned long long devid;

		if (options_number(*name, 0, UINT32_MAX, &devid) < 0)
			continue;
		d->devid = (unsigned int)devid;
		pv_set_paths(d);
		print(d, pv_back_state(d));
	}
}

static void list_all(struct pv_device *d, void (*print)(struct pv_device *d, unsigned int state))
{
	_cleanup_free_ char **names = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s", d->backend, d->class);
	if (xenhost_store_list(d->host, 0, path, &names) < 0)
		return;
	for (char **name = names; *name; name++) {
		unsigned long long domid;

		if (options_number(*name, 0, 32751, &domid) < 0)
			continue;
		d->domid = (unsigned int)domid;
		list_guest(d, print);
	}
}

void pv_each(struct pv_device *d, void (*fn)(struct pv_device *d, unsigned int state))
{
	list_all(d, fn);
}

int pv_list(struct pv_device *d, bool all, const char *head,
	    void (*print)(struct pv_device *d, unsigned int state))
{
	printf("%s", d->json ? "[" : head);
	if (all)
		list_all(d, print);
	else
		list_guest(d, print);
	if (d->json)
		printf("]\n");
	return 0;
}

/* --- orders --- */

static bool has_reply(struct pv_device *d, void *data)
{
	_cleanup_free_ char *reply = pv_read_node(d, d->back, "xenhost-reply");
	const char *number = data;

	return reply && !strncmp(reply, number, strlen(number)) && reply[strlen(number)] == ' ';
}

/* *ret_reply: "ok ..." or "error ...", to be freed */
static int get_reply(struct pv_device *d, const char *order, char **ret_reply)
{
	_cleanup_free_ char *reply = NULL;
	char number[32], text[64];
	int r;

	snprintf(number, sizeof(number), "%" PRId64, now_ms() * 1000 + getpid() % 1000);
	snprintf(text, sizeof(text), "%s %s", number, order);
	r = write_node(d, 0, d->back, "xenhost-control", text);
	if (r == 0)
		r = wait_until(d, has_reply, number);
	if (r < 0)
		return r;
	reply = pv_read_node(d, d->back, "xenhost-reply");
	*ret_reply = strdup(reply ? reply + strlen(number) + 1 : "");
	return *ret_reply ? 0 : -ENOMEM;
}

static char *behind_ok(const char *answer)
{
	return strdup(answer[2] == ' ' ? answer + 3 : "");
}

/* *ret_text: what stands behind "ok", to be freed */
static int give_order(struct pv_device *d, const char *order, char **ret_text)
{
	_cleanup_free_ char *answer = NULL;
	int r;

	if (pv_back_state(d) != XENHOST_STATE_CONNECTED) {
		log_error("the %s is not connected (%s)", d->what, pv_state_name(pv_back_state(d)));
		return -ENOTCONN;
	}
	r = get_reply(d, order, &answer);
	if (r < 0) {
		log_error("no answer to %s: %s; is the back end a %s, and does it run?", order,
			  strerror(-r), d->program);
		return r;
	}
	if (strncmp(answer, "ok", 2)) {
		log_error("%s: %s", order, answer + strcspn(answer, " ") + (*answer ? 1 : 0));
		return -EIO;
	}
	*ret_text = behind_ok(answer);
	return *ret_text ? 0 : -ENOMEM;
}

int pv_stat(struct pv_device *d, char **ret_text)
{
	_cleanup_free_ char *answer = NULL;
	int r = get_reply(d, "stat", &answer);

	if (r < 0)
		return r;
	if (strncmp(answer, "ok", 2))
		return -EIO;
	*ret_text = behind_ok(answer);
	return *ret_text ? 0 : -ENOMEM;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

/* "name=value name=value ..." line by line, or as an object */
static void print_pairs(struct pv_device *d, char *text)
{
	const char *separator = "";
	char *save = NULL;

	if (d->json)
		printf("{");
	for (char *pair = strtok_r(text, " ", &save); pair; pair = strtok_r(NULL, " ", &save)) {
		char *value = strchr(pair, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (!d->json) {
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
	if (d->json)
		printf("}\n");
}

int pv_order(struct pv_device *d, const char *order)
{
	_cleanup_free_ char *text = NULL;
	int r = give_order(d, order, &text);

	if (r < 0)
		return r;
	print_pairs(d, text);
	return 0;
}
