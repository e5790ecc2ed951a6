/* SPDX-License-Identifier: MIT */
/*
 * Names of deposits: NAME the state, NAME.0, NAME.1 ... the TAP's descriptors, where NAME is the device's
 * ("vif-1-0"); and "vifs", the list of those that may exist, as the host does not tell. A card is in the
 * list before anything is left for it and leaves it after everything is dropped.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/keep.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "netbackd/vif.h"
#include "netbackd/vif_keep.h"

#define MAGIC 0x31706565666976ull /* "vifeep1", as bytes */
#define LIST "vifs"
#define LIST_MAX 2048u

struct listed {
	uint16_t used;
	uint16_t domid;
	uint32_t devid;
};

static int shared_memory(const char *name, size_t size, void **ret_addr)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *addr;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	*ret_addr = addr;
	return steal_fd(&fd);
}

/* a deposit of this size, or -errno */
static int map_deposit(xenhost_t *host, const char *name, size_t size, void **ret_addr)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	void *addr;
	int r = xenhost_keep_get(host, name, &fd);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((size_t)st.st_size != size)
		return -EINVAL;
	addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	*ret_addr = addr;
	return 0;
}

/* ---- the list ---- */

static struct listed *get_list(struct vif *vif)
{
	struct vif_driver *driver = vif->driver;
	xenhost_t *host = xenhost_device_host(vif->dev);
	size_t size = LIST_MAX * sizeof(struct listed);
	_cleanup_close_ int fd = -1;
	void *addr;

	if (driver->kept)
		return driver->kept;
	if (map_deposit(host, LIST, size, &addr) < 0) {
		fd = shared_memory(LIST, size, &addr);
		if (fd < 0)
			return NULL;
		(void)xenhost_keep_put(host, LIST, fd);
	}
	driver->kept = addr;
	return driver->kept;
}

static bool is_listed(const struct listed *l, uint16_t domid, uint32_t devid)
{
	return l->used && l->domid == domid && l->devid == devid;
}

static void list_card(struct vif *vif, bool add)
{
	uint16_t domid = xenhost_device_frontend_domid(vif->dev);
	uint32_t devid = xenhost_device_id(vif->dev);
	struct listed *list = get_list(vif), *free_entry = NULL;

	for (unsigned int i = 0; list && i < LIST_MAX; i++) {
		if (is_listed(&list[i], domid, devid)) {
			list[i].used = add;
			return;
		}
		if (!list[i].used && !free_entry)
			free_entry = &list[i];
	}
	if (add && free_entry)
		*free_entry = (struct listed){ 1, domid, devid };
}

/* ---- deposits of one card ---- */

static void tap_deposit(const char *card, unsigned int queue, char *name, size_t size)
{
	snprintf(name, size, "%s.%u", card, queue);
}

static void drop_all(xenhost_t *host, const char *card)
{
	char name[96];

	for (unsigned int i = 0; i < TAP_QUEUES_MAX; i++) {
		tap_deposit(card, i, name, sizeof(name));
		if (xenhost_keep_drop(host, name) < 0)
			break;
	}
	(void)xenhost_keep_drop(host, card);
}

static uint64_t domain_of(xenhost_t *host, uint16_t domid)
{
	struct xenhost_domain_info info;

	return xenhost_domain_info(host, domid, &info) == 0 ? info.unique_id : 0;
}

void vif_keep_sweep(struct vif *vif)
{
	xenhost_t *host = xenhost_device_host(vif->dev);
	struct listed *list = get_list(vif);

	for (unsigned int i = 0; list && i < LIST_MAX; i++) {
		void *addr = NULL;
		uint64_t left_for = 0;
		char card[64];

		if (!list[i].used)
			continue;
		snprintf(card, sizeof(card), "vif-%u-%u", list[i].domid, list[i].devid);
		if (map_deposit(host, card, sizeof(struct vif_state), &addr) == 0) {
			left_for = ((struct vif_state *)addr)->unique_id;
			munmap(addr, sizeof(struct vif_state));
		}
		if (left_for && left_for == domain_of(host, list[i].domid))
			continue;
		log_info("%s: its guest is gone", card);
		drop_all(host, card);
		list[i].used = 0;
	}
}

static int adopt_tap(struct vif *vif, const char *tap_name, unsigned int nr)
{
	const char *card = xenhost_device_name(vif->dev);
	int fds[TAP_QUEUES_MAX], r = 0;
	unsigned int n;
	char name[96];

	if (!tap_name)
		return 0;
	for (n = 0; n < nr; n++) {
		tap_deposit(card, n, name, sizeof(name));
		r = xenhost_keep_get(xenhost_device_host(vif->dev), name, &fds[n]);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = nr ? tap_adopt(tap_name, fds, nr, &vif->tap) : -ENOENT;
	while (r < 0 && n > 0)
		close(fds[--n]);
	return r;
}

static int adopt(struct vif *vif, const char *tap_name, uint64_t unique_id)
{
	xenhost_t *host = xenhost_device_host(vif->dev);
	struct vif_state *s;
	void *addr;
	int r = map_deposit(host, xenhost_device_name(vif->dev), sizeof(*s), &addr);

	if (r < 0)
		return r;
	s = addr;
	if (s->magic == MAGIC && s->unique_id == unique_id && s->nr_queues <= TAP_QUEUES_MAX)
		r = adopt_tap(vif, tap_name, s->nr_queues);
	else
		r = -ESTALE;
	if (r < 0) {
		vif->tap = tap_close(vif->tap);
		munmap(addr, sizeof(*s));
		return r;
	}
	vif->state = s;
	return 0;
}

static int new_state(struct vif *vif, uint64_t unique_id)
{
	_cleanup_close_ int fd = -1;
	void *addr;
	int r;

	fd = shared_memory("vif", sizeof(*vif->state), &addr);
	if (fd < 0)
		return fd;
	vif->state = addr;
	vif->state->unique_id = unique_id;
	vif->state->magic = MAGIC;
	list_card(vif, true);
	r = xenhost_keep_put(xenhost_device_host(vif->dev), xenhost_device_name(vif->dev), fd);
	if (r < 0)
		log_warning("%s: nobody keeps its interface (%s): it ends with this process",
			    xenhost_device_name(vif->dev), strerror(-r));
	return 0;
}

int vif_keep_adopt(struct vif *vif, const char *tap_name)
{
	xenhost_t *host = xenhost_device_host(vif->dev);
	uint64_t unique_id = domain_of(host, xenhost_device_frontend_domid(vif->dev));
	int r = adopt(vif, tap_name, unique_id);

	if (r == 0)
		return 1;
	if (r != -ENOENT && r != -EOPNOTSUPP)
		log_info("%s: what a predecessor left is of no use: %s",
			 xenhost_device_name(vif->dev), strerror(-r));
	drop_all(host, xenhost_device_name(vif->dev));
	return new_state(vif, unique_id);
}

void vif_keep_tap(struct vif *vif)
{
	xenhost_t *host = xenhost_device_host(vif->dev);
	const char *card = xenhost_device_name(vif->dev);
	unsigned int kept = 0;
	char name[96];

	for (; kept < vif->tap->nr; kept++) {
		tap_deposit(card, kept, name, sizeof(name));
		if (xenhost_keep_put(host, name, vif->tap->fds[kept]) < 0)
			break;
	}
	vif->state->nr_queues = kept;
	for (unsigned int i = kept; i < TAP_QUEUES_MAX; i++) {
		tap_deposit(card, i, name, sizeof(name));
		if (xenhost_keep_drop(host, name) < 0)
			break;
	}
}

void vif_keep_forget(struct vif *vif)
{
	drop_all(xenhost_device_host(vif->dev), xenhost_device_name(vif->dev));
	list_card(vif, false);
}

void vif_keep_free(struct vif *vif)
{
	if (vif->state)
		munmap(vif->state, sizeof(*vif->state));
	vif->state = NULL;
}
