/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xenhost/backend.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/service.h"
#include "tools/guest.h"
#include "tools/guest_nodes.h"

#define SD 2048u /* 8 << 8: sda */
#define EXTENDED (1u << 28)

/* Where nodes are being written. The first error sticks, so that a list of writes needs one check. */
struct writer {
	xenhost_t *host;
	xenhost_txn_t txn;
	const struct guest *guest;
	const struct xenhost_domain_info *info;
	char base[256];
	int error;
};

static void node(struct writer *w, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void base(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void base(struct writer *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->base, sizeof(w->base), fmt, ap);
	va_end(ap);
}

static void path_of(const struct writer *w, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s%s%s", w->base, *name ? "/" : "", name);
}

static void node(struct writer *w, const char *name, const char *fmt, ...)
{
	char path[512], value[4096];
	va_list ap;
	int n;

	if (w->error)
		return;
	path_of(w, name, path, sizeof(path));
	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	w->error = n < 0 || (size_t)n >= sizeof(value)
			   ? -E2BIG
			   : xenhost_store_write(w->host, w->txn, path, value, (size_t)n);
}

/* owner has everything, reader (if not the owner) may read */
static void folder(struct writer *w, const char *name, uint16_t owner, uint16_t reader)
{
	struct xenhost_perm perms[2] = { { 'n', owner }, { 'r', reader } };
	char path[512];

	if (w->error)
		return;
	path_of(w, name, path, sizeof(path));
	w->error = xenhost_store_mkdir(w->host, w->txn, path);
	if (w->error == 0)
		w->error = xenhost_store_set_perms(w->host, w->txn, path, perms,
						   owner == reader ? 1 : 2);
}

static void write_control(struct writer *w)
{
	static const char *const guests_own[] = { "control/shutdown",
						  "control/feature-poweroff",
						  "control/feature-reboot",
						  "control/feature-suspend",
						  "control/sysrq",
						  "data",
						  "drivers",
						  "feature",
						  "attr",
						  "error" };
	uint16_t domid = w->info->domid;

	folder(w, "control", 0, domid);
	node(w, "control/platform-feature-xs_reset_watches", "1");
	node(w, "control/platform-feature-multiprocessor-suspend", "1");
	for (size_t i = 0; i < ARRAY_SIZE(guests_own); i++)
		folder(w, guests_own[i], domid, domid);
}

/* where xenconsole and its like look for the console */
static void write_tty(struct writer *w)
{
	char tty[256];
	ssize_t n = -1;

	if (w->guest->console_pty)
		n = readlink(w->guest->console_pty, tty, sizeof(tty) - 1);
	if (n <= 0)
		return;
	tty[n] = '\0';
	node(w, "console/tty", "%s", tty);
}

/* a guest takes a processor that it knows and does not find here for one that is to be switched off */
static void write_cpus(struct writer *w)
{
	for (unsigned int i = 0; i < w->guest->vcpus; i++) {
		char name[32];

		snprintf(name, sizeof(name), "cpu/%u/availability", i);
		node(w, name, "%s",
		     w->guest->vcpus_online && i >= w->guest->vcpus_online ? "offline" : "online");
	}
}

static void write_home(struct writer *w)
{
	const struct xenhost_domain_info *info = w->info;
	unsigned long long kib = info->memory_bytes / 1024;
	unsigned long long target = w->guest->target_bytes / 1024;

	base(w, "/local/domain/%u", info->domid);
	folder(w, "", 0, info->domid);
	node(w, "vm", "/vm/%s", w->guest->uuid);
	node(w, "name", "%s", w->guest->name);
	node(w, "domid", "%u", info->domid);
	node(w, "memory/static-max", "%llu", kib);
	node(w, "memory/target", "%llu", target && target < kib ? target : kib);
	node(w, "store/ring-ref", "%llu", (unsigned long long)info->store_gfn);
	node(w, "store/port", "%u", info->store_port);
	node(w, "console/ring-ref", "%llu", (unsigned long long)info->console_gfn);
	node(w, "console/port", "%u", info->console_port);
	node(w, "console/type", "xenhost-vmm");
	if (w->guest->console_log)
		node(w, "console/log", "%s", w->guest->console_log);
	write_tty(w);
	write_cpus(w);
	write_control(w);
	folder(w, "device", 0, info->domid);
	base(w, "/vm/%s", w->guest->uuid);
	folder(w, "", 0, info->domid);
	node(w, "uuid", "%s", w->guest->uuid);
	node(w, "name", "%s", w->guest->name);
}

/* both folders of a device, with the nodes that all classes have; leaves the base at the back-end's */
static void write_device(struct writer *w, uint16_t service, const char *class, unsigned int devid,
			 const char *front_extra, const char *front_value)
{
	uint16_t domid = w->info->domid;

	base(w, "/local/domain/%u/device/%s/%u", domid, class, devid);
	folder(w, "", domid, service);
	node(w, "backend", "/local/domain/%u/backend/%s/%u/%u", service, class, domid, devid);
	node(w, "backend-id", "%u", service);
	node(w, front_extra, "%s", front_value);
	node(w, "state", "%u", XENHOST_STATE_INITIALISING);
	base(w, "/local/domain/%u/backend/%s/%u/%u", service, class, domid, devid);
	folder(w, "", service, domid);
	node(w, "frontend", "/local/domain/%u/device/%s/%u", domid, class, devid);
	node(w, "frontend-id", "%u", domid);
	node(w, "online", "1");
}

/* for people, in the node dev: those of the first number, with a partition */
static void disk_name(unsigned int devid, char *name, size_t size)
{
	unsigned int disk = (devid & 0xff) >> 4, part = devid & 0xf;
	const char *kind = "xvd";

	if (devid & EXTENDED) {
		disk = devid >> 8 & 0xfffff;
		part = devid & 0xff;
	} else if (devid >> 8 == 3 || devid >> 8 == 22) {
		kind = "hd";
		disk = (devid >> 6 & 3) + (devid >> 8 == 22 ? 2 : 0);
		part = devid & 0x3f;
	} else if (devid >> 8 == SD >> 8) {
		kind = "sd";
	}
	if (disk < 26)
		snprintf(name, size, "%s%c", kind, (char)('a' + disk));
	else
		snprintf(name, size, "d%u", disk);
	if (part)
		snprintf(name + strlen(name), size - strlen(name), "%s%u", disk < 26 ? "" : "p",
			 part);
}

static void write_disk(struct writer *w, const struct guest_disk *disk)
{
	const char *type = disk->cdrom ? "cdrom" : "disk";
	char number[16], name[32];

	snprintf(number, sizeof(number), "%u", disk->devid);
	disk_name(disk->devid, name, sizeof(name));
	write_device(w, service_builtin[SERVICE_BLKBACK].domid, "vbd", disk->devid,
		     "virtual-device", number);
	node(w, "dev", "%s", name);
	node(w, "type", "file");
	if (guest_disk_is_served(disk))
		node(w, "params", "nbd:unix:%s", disk->server.socket);
	else
		node(w, "params", "%s", disk->path);
	node(w, "mode", "%s", disk->read_only ? "r" : "w");
	node(w, "device-type", "%s", type);
	node(w, "bootable", "%d", disk == w->guest->disks);
	node(w, "removable", "0");
	if (disk->no_discard)
		node(w, "discard-enable", "0");
	node(w, "state", "%u", XENHOST_STATE_INITIALISING);
	base(w, "/local/domain/%u/device/vbd/%u", w->info->domid, disk->devid);
	node(w, "device-type", "%s", type);
	if (disk->untrusted)
		node(w, "trusted", "0");
}

static void write_vif(struct writer *w, const struct guest_vif *vif)
{
	const uint8_t *m = vif->mac;
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	write_device(w, service_builtin[SERVICE_NETBACK].domid, "vif", vif->devid, "mac", mac);
	node(w, "mac", "%s", mac);
	node(w, "handle", "%u", vif->devid);
	node(w, "type", "vif");
	if (vif->user)
		node(w, "passt", "%s", vif->passt.socket);
	else if (*vif->tap)
		node(w, "vifname", "%s", vif->tap);
	else
		node(w, "vifname", "vif%u.%u", w->info->domid, vif->devid);
	if (*vif->bridge)
		node(w, "bridge", "%s", vif->bridge);
	if (vif->rate_bytes)
		node(w, "rate", "%llu,%u", vif->rate_bytes, vif->rate_us);
	node(w, "state", "%u", XENHOST_STATE_INITIALISING);
	base(w, "/local/domain/%u/device/vif/%u", w->info->domid, vif->devid);
	node(w, "handle", "%u", vif->devid);
	if (vif->mtu)
		node(w, "mtu", "%u", vif->mtu);
	if (vif->untrusted)
		node(w, "trusted", "0");
}

static int write_all(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct writer *w = data;

	w->txn = txn;
	w->error = 0;
	write_home(w);
	for (unsigned int i = 0; i < w->guest->nr_disks; i++)
		write_disk(w, &w->guest->disks[i]);
	for (unsigned int i = 0; i < w->guest->nr_vifs; i++)
		write_vif(w, &w->guest->vifs[i]);
	return w->error;
}

int guest_nodes_write(xenhost_t *host, const struct guest *g,
		      const struct xenhost_domain_info *info)
{
	struct writer w = { .host = host, .guest = g, .info = info };

	return xenhost_txn_run(host, write_all, &w);
}

int guest_nodes_backend(const struct guest *g, uint16_t domid, unsigned int i, char *path,
			size_t size)
{
	if (i < g->nr_disks)
		snprintf(path, size, "/local/domain/%u/backend/vbd/%u/%u",
			 service_builtin[SERVICE_BLKBACK].domid, domid, g->disks[i].devid);
	else if (i - g->nr_disks < g->nr_vifs)
		snprintf(path, size, "/local/domain/%u/backend/vif/%u/%u",
			 service_builtin[SERVICE_NETBACK].domid, domid,
			 g->vifs[i - g->nr_disks].devid);
	else
		return -ENOENT;
	return 0;
}

static int remove_path(xenhost_t *host, const char *path)
{
	int r = xenhost_store_rm(host, 0, path);

	return r == -ENOENT ? 0 : r;
}

int guest_nodes_remove(xenhost_t *host, const struct guest *g, uint16_t domid)
{
	char path[256];
	int r;

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	r = remove_path(host, path);
	snprintf(path, sizeof(path), "/vm/%s", g->uuid);
	if (r == 0)
		r = remove_path(host, path);
	for (unsigned int i = 0;
	     r == 0 && guest_nodes_backend(g, domid, i, path, sizeof(path)) == 0; i++)
		r = remove_path(host, path);
	return r;
}
