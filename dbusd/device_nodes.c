/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <xenhost/backend.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/service.h"
#include "dbusd/device_nodes.h"

#define XVDA 51712u /* 202 << 8 */
#define DISKS_MAX 16u
#define CARDS_MAX 64u
#define PATH_SIZE 160

static const char *class_of(const struct device_nodes *n)
{
	return n->disk ? "vbd" : "vif";
}

static void back_path(const struct device_nodes *n, const char *node, char *path)
{
	snprintf(path, PATH_SIZE, "/local/domain/%u/backend/%s/%u/%u%s%s", n->service, class_of(n),
		 n->guest, n->devid, *node ? "/" : "", node);
}

static void front_path(const struct device_nodes *n, const char *node, char *path)
{
	snprintf(path, PATH_SIZE, "/local/domain/%u/device/%s/%u%s%s", n->guest, class_of(n),
		 n->devid, *node ? "/" : "", node);
}

/* --- where they are --- */

static int number(const char **text, uint32_t *ret_number)
{
	char *end;
	unsigned long value;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	value = strtoul(*text, &end, 10);
	if (value > UINT32_MAX || (*end && *end != '/'))
		return -EINVAL;
	*text = end;
	*ret_number = (uint32_t)value;
	return 0;
}

int device_nodes_parse(const char *path, struct device_nodes *n)
{
	uint32_t guest, devid;

	if (strncmp(path, "/vbd/", 5) != 0 && strncmp(path, "/vif/", 5) != 0)
		return -EINVAL;
	n->disk = path[2] == 'b';
	path += 5;
	if (number(&path, &guest) < 0 || guest > UINT16_MAX || *path++ != '/' ||
	    number(&path, &devid) < 0)
		return -EINVAL;
	n->guest = (uint16_t)guest;
	n->devid = devid;
	return 0;
}

void device_nodes_object(const struct device_nodes *n, uint64_t id, char *path, size_t size)
{
	snprintf(path, size, "/org/xenhost/%s/u%016llx_%u_%u", n->disk ? "disk" : "network",
		 (unsigned long long)id, n->service, n->devid);
}

static void each_of(xenhost_t *host, struct device_nodes n, device_nodes_fn *fn, void *data)
{
	char path[PATH_SIZE], **list = NULL;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", n.service, class_of(&n),
		 n.guest);
	if (xenhost_store_list(host, 0, path, &list) < 0)
		return;
	for (size_t i = 0; list[i]; i++) {
		const char *text = list[i];

		if (number(&text, &n.devid) == 0 && !*text)
			fn(data, &n);
	}
	free(list);
}

void device_nodes_each(xenhost_t *host, uint16_t service, uint16_t guest, device_nodes_fn *fn,
		       void *data)
{
	for (int disk = 0; disk < 2; disk++) {
		struct device_nodes n = {
			.host = host, .service = service, .guest = guest, .disk = disk
		};
		char path[PATH_SIZE], **list = NULL;

		if (guest) {
			each_of(host, n, fn, data);
			continue;
		}
		snprintf(path, sizeof(path), "/local/domain/%u/backend/%s", service, class_of(&n));
		if (xenhost_store_list(host, 0, path, &list) < 0)
			continue;
		for (size_t i = 0; list[i]; i++) {
			const char *text = list[i];
			uint32_t domid;

			if (number(&text, &domid) < 0 || *text || domid > UINT16_MAX)
				continue;
			n.guest = (uint16_t)domid;
			each_of(host, n, fn, data);
		}
		free(list);
	}
}

/* --- reading and writing --- */

int device_nodes_read(const struct device_nodes *n, const char *node, char **ret_value)
{
	char path[PATH_SIZE];

	back_path(n, node, path);
	return xenhost_store_read(n->host, 0, path, ret_value, NULL);
}

int device_nodes_state(const struct device_nodes *n, unsigned int *ret_state)
{
	_cleanup_free_ char *value = NULL;
	int r = device_nodes_read(n, "state", &value);

	if (r < 0)
		return r;
	*ret_state = (unsigned int)strtoul(value, NULL, 10);
	return 0;
}

int device_nodes_write(const struct device_nodes *n, const char *node, const char *value)
{
	char path[PATH_SIZE];

	back_path(n, node, path);
	return xenhost_store_write(n->host, 0, path, value, strlen(value));
}

int device_nodes_close(const struct device_nodes *n)
{
	int r = device_nodes_write(n, "online", "0");

	return r < 0 ? r : device_nodes_write(n, "state", "5");
}

void device_nodes_remove(const struct device_nodes *n)
{
	char path[PATH_SIZE];

	front_path(n, "", path);
	(void)xenhost_store_rm(n->host, 0, path);
	back_path(n, "", path);
	(void)xenhost_store_rm(n->host, 0, path);
}

/* --- a new device --- */

struct node {
	bool front;
	const char *name, *value;
};

struct writer {
	const struct device_nodes *n;
	const struct node *nodes;
	size_t nr;
};

static int write_one(const struct device_nodes *n, xenhost_txn_t txn, const struct node *node)
{
	char path[PATH_SIZE];

	(node->front ? front_path : back_path)(n, node->name, path);
	return xenhost_store_write(n->host, txn, path, node->value, strlen(node->value));
}

static int make_folder(const struct device_nodes *n, xenhost_txn_t txn, bool front)
{
	struct xenhost_perm perms[2] = { { 'n', front ? n->guest : n->service },
					 { 'r', front ? n->service : n->guest } };
	char path[PATH_SIZE];
	int r;

	(front ? front_path : back_path)(n, "", path);
	r = xenhost_store_mkdir(n->host, txn, path);
	return r < 0 ? r : xenhost_store_set_perms(n->host, txn, path, perms, 2);
}

static int write_all(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	const struct writer *w = data;
	char front[PATH_SIZE], back[PATH_SIZE], service[16], guest[16];
	const struct node common[] = {
		{ true, "backend", back },    { true, "backend-id", service },
		{ false, "frontend", front }, { false, "frontend-id", guest },
		{ false, "online", "1" },     { true, "state", "1" },
		{ false, "state", "1" },
	};
	int r;

	front_path(w->n, "", front);
	back_path(w->n, "", back);
	snprintf(service, sizeof(service), "%u", w->n->service);
	snprintf(guest, sizeof(guest), "%u", w->n->guest);
	r = make_folder(w->n, txn, true);
	if (r == 0)
		r = make_folder(w->n, txn, false);
	for (size_t i = 0; i < w->nr && r == 0; i++)
		r = write_one(w->n, txn, &w->nodes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(common) && r == 0; i++)
		r = write_one(w->n, txn, &common[i]);
	return r;
}

static bool is_taken(const struct device_nodes *n)
{
	_cleanup_free_ char *value = NULL;
	char path[PATH_SIZE];

	front_path(n, "state", path);
	return xenhost_store_read(n->host, 0, path, &value, NULL) == 0;
}

static int choose_disk(struct device_nodes *n, const char *device)
{
	if (*device) {
		if (strlen(device) != 4 || strncmp(device, "xvd", 3) != 0 || device[3] < 'a' ||
		    device[3] > 'p')
			return -EINVAL;
		n->devid = XVDA + (uint32_t)(device[3] - 'a') * 16;
		return is_taken(n) ? -EEXIST : 0;
	}
	for (uint32_t i = 0; i < DISKS_MAX; i++) {
		n->devid = XVDA + i * 16;
		if (!is_taken(n))
			return 0;
	}
	return -ENOSPC;
}

int device_nodes_attach_disk(struct device_nodes *n, const char *image, const char *device,
			     bool read_only)
{
	char devid[16], name[8];
	const struct node nodes[] = {
		{ true, "virtual-device", devid },
		{ true, "device-type", "disk" },
		{ false, "dev", name },
		{ false, "type", "file" },
		{ false, "params", image },
		{ false, "mode", read_only ? "r" : "w" },
		{ false, "device-type", "disk" },
		{ false, "bootable", "0" },
		{ false, "removable", "0" },
	};
	const struct writer w = { n, nodes, ARRAY_SIZE(nodes) };
	int r;

	n->service = service_builtin[SERVICE_BLKBACK].domid;
	if (!*image)
		return -EINVAL;
	r = choose_disk(n, device);
	if (r < 0)
		return r;
	snprintf(devid, sizeof(devid), "%u", n->devid);
	snprintf(name, sizeof(name), "xvd%c", (char)('a' + (n->devid - XVDA) / 16));
	return xenhost_txn_run(n->host, write_all, (void *)(uintptr_t)&w);
}

static int check_mac(const char *mac)
{
	unsigned int b[6];
	int end = 0;

	if (strlen(mac) != 17 ||
	    sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    end != 17 || b[0] & 1)
		return -EINVAL;
	return 0;
}

/* in Xen's range */
static int make_mac(char *mac, size_t size)
{
	uint8_t b[3];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -errno;
	snprintf(mac, size, "00:16:3e:%02x:%02x:%02x", b[0] & 0x7f, b[1], b[2]);
	return 0;
}

int device_nodes_attach_network(struct device_nodes *n, const char *bridge, const char *mac)
{
	char handle[16], name[16], made[18];
	const struct node nodes[] = {
		{ true, "handle", handle },  { true, "mac", made },
		{ false, "handle", handle }, { false, "mac", made },
		{ false, "vifname", name },  { false, "type", "vif" },
		{ false, "bridge", bridge },
	};
	/* the last one only with a bridge */
	const struct writer w = { n, nodes, ARRAY_SIZE(nodes) - (*bridge ? 0 : 1) };
	int r = *mac ? check_mac(mac) : make_mac(made, sizeof(made));

	if (r < 0 || strlen(bridge) > 15 || strpbrk(bridge, "/ \t\n"))
		return r < 0 ? r : -EINVAL;
	if (*mac)
		memcpy(made, mac, sizeof(made));
	n->service = service_builtin[SERVICE_NETBACK].domid;
	for (n->devid = 0; is_taken(n); n->devid++)
		if (n->devid >= CARDS_MAX)
			return -ENOSPC;
	snprintf(handle, sizeof(handle), "%u", n->devid);
	snprintf(name, sizeof(name), "vif%u.%u", n->guest, n->devid);
	return xenhost_txn_run(n->host, write_all, (void *)(uintptr_t)&w);
}
