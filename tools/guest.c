/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tools/guest.h"

_Static_assert(sizeof(((struct guest_disk *)0)->path) >= PATH_MAX, "realpath needs PATH_MAX");

int guest_add_disk(struct guest *g, const char *spec)
{
	struct guest_disk *disk = &g->disks[g->nr_disks];
	_cleanup_free_ char *path = NULL;
	size_t len = strlen(spec);

	if (g->nr_disks == GUEST_DISKS_MAX)
		return -ENOSPC;
	path = strdup(spec);
	if (!path)
		return -ENOMEM;
	if (len > 3 && !strcmp(spec + len - 3, ",ro")) {
		disk->read_only = true;
		path[len - 3] = '\0';
	}
	if (!realpath(path, disk->path))
		return -errno;
	g->nr_disks++;
	return 0;
}

/* a network device's name: what the kernel takes, less what would confuse a path in the store */
static int set_device_name(char *dst, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || len > 15)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) && !strchr("._-", value[i]))
			return -EINVAL;
	strcpy(dst, value);
	return 0;
}

static int set_mac(uint8_t *mac, const char *value)
{
	int end = 0;

	if (strlen(value) != 17 ||
	    sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    end != 17)
		return -EINVAL;
	return mac[0] & 1 ? -EINVAL : 0; /* a group address is nobody's */
}

static int set_vif_key(struct guest_vif *vif, const char *item)
{
	if (!strncmp(item, "tap=", 4))
		return set_device_name(vif->tap, item + 4);
	if (!strncmp(item, "bridge=", 7))
		return set_device_name(vif->bridge, item + 7);
	if (!strncmp(item, "mac=", 4))
		return set_mac(vif->mac, item + 4);
	return -EINVAL;
}

int guest_add_vif(struct guest *g, const char *spec)
{
	struct guest_vif *vif = &g->vifs[g->nr_vifs];
	_cleanup_free_ char *copy = NULL;
	char *save, *item;
	int r = 0;

	if (g->nr_vifs == GUEST_VIFS_MAX)
		return -ENOSPC;
	copy = strdup(spec);
	if (!copy)
		return -ENOMEM;
	for (item = strtok_r(copy, ",", &save); item && r == 0; item = strtok_r(NULL, ",", &save))
		r = set_vif_key(vif, item);
	if (r == 0 && !*vif->tap)
		r = -EINVAL;
	if (r == 0)
		g->nr_vifs++;
	return r;
}

static int set_uuid(char *uuid)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -errno;
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(uuid, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
	return 0;
}

/* in Xen's range, 00:16:3e */
static int complete_mac(uint8_t *mac)
{
	static const uint8_t none[6];

	if (memcmp(mac, none, sizeof(none)) != 0)
		return 0;
	mac[1] = 0x16;
	mac[2] = 0x3e;
	if (getrandom(mac + 3, 3, 0) != 3)
		return -errno;
	mac[3] &= 0x7f;
	return 0;
}

int guest_complete(struct guest *g)
{
	int r = set_uuid(g->uuid);

	if (!*g->name)
		snprintf(g->name, sizeof(g->name), "guest-%d", (int)getpid());
	for (unsigned int i = 0; i < g->nr_vifs && r == 0; i++)
		r = complete_mac(g->vifs[i].mac);
	return r;
}
