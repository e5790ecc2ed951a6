/* SPDX-License-Identifier: MIT */
/*
 * xenhost block: disks of running guests, by the nodes that any toolstack writes, and by the orders that
 * xenhost-blkbackd takes in the node xenhost-control (see its page).
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/backend.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/json.h"
#include "tools/pv_device.h"

#define BLKBACK 32000u
#define XVDA 51712u
#define EXTENDED (1u << 28)
#define LIST_HEAD " domid  device   state      mode        MiB  image\n"

struct block {
	struct pv_device d;
	bool readonly, shrink;
	const char *image;
};

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

static const struct option_spec specs[] = {
	{ "backend", "DOMID", "service domain of the disks (default: 32000)", pv_set_backend },
	{ "force", NULL, "detach: take it away if the guest does not let go in time",
	  pv_set_force },
	{ "json", NULL, "print JSON, for scripts", pv_set_json },
	{ "rundir", "DIR", "run directory of xenhost-bridged (default: the system's)",
	  pv_set_rundir },
	{ "set", "KEY=VALUE", "attach: a node of xenhost-blkbackd(8), such as throttle-iops=500",
	  pv_set_setting },
	{ "timeout", "S", "seconds to wait (default: 30)", pv_set_timeout },
	{ NULL, NULL, NULL, NULL },
};

static const struct option_spec block_specs[] = {
	{ "read-only", NULL, "attach: the guest may not write", set_readonly },
	{ "shrink", NULL, "resize: to a smaller size as well", set_shrink },
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

/* --- attach --- */

static int attach_txn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct block *b = data;
	char devid[16], dev[16];
	const struct pv_node front[] = {
		{ "virtual-device", devid },
		{ "device-type", "disk" },
	};
	const struct pv_node back[] = {
		{ "dev", dev },
		{ "type", "file" },
		{ "params", b->image },
		{ "mode", b->readonly ? "r" : "w" },
		{ "device-type", "disk" },
		{ "bootable", "0" },
		{ "removable", "0" },
	};

	snprintf(devid, sizeof(devid), "%u", b->d.devid);
	device_name(b->d.devid, dev, sizeof(dev));
	return pv_write_device(&b->d, txn, front, ARRAY_SIZE(front), back, ARRAY_SIZE(back));
}

static int choose_device(struct pv_device *d)
{
	for (unsigned int i = 0; i < 256; i++) {
		_cleanup_free_ char *taken = NULL;

		d->devid = i < 16 ? XVDA + i * 16 : EXTENDED | i << 8;
		pv_set_paths(d);
		taken = pv_read_node(d, d->front, "state");
		if (!taken)
			return 0;
	}
	log_error("all device names of the guest are taken");
	return -ENOSPC;
}

static void print_attached(struct pv_device *d)
{
	char dev[16];

	device_name(d->devid, dev, sizeof(dev));
	if (d->json)
		printf("{\"domid\": %u, \"device\": \"%s\", \"devid\": %u}\n", d->domid, dev,
		       d->devid);
	else
		printf("%s\n", dev);
}

static int do_attach(struct block *b)
{
	int r = pv_attach(&b->d, attach_txn, b);

	if (r == 0)
		print_attached(&b->d);
	return r;
}

/* --- list --- */

static void print_row(struct pv_device *d, unsigned int state)
{
	_cleanup_free_ char *mode = pv_read_node(d, d->back, "mode"),
			    *params = pv_read_node(d, d->back, "params"),
			    *sectors = pv_read_node(d, d->back, "sectors");
	unsigned long long size = sectors ? strtoull(sectors, NULL, 10) * 512 : 0;
	char dev[16];

	device_name(d->devid, dev, sizeof(dev));
	if (!d->json) {
		printf("%6u  %-8s %-10s %-4s %10llu  %s\n", d->domid, dev, pv_state_name(state),
		       mode && *mode == 'r' ? "r" : "rw", size >> 20, params ? params : "");
		return;
	}
	printf("%s{\"domid\": %u, \"device\": \"%s\", \"devid\": %u, \"state\": \"%s\", "
	       "\"read_only\": %s, \"bytes\": %llu, \"image\": ",
	       d->printed ? ",\n " : "", d->domid, dev, d->devid, pv_state_name(state),
	       mode && *mode == 'r' ? "true" : "false", size);
	json_string(stdout, params ? params : "");
	printf("}");
	d->printed++;
}

static int do_resize(struct block *b)
{
	return pv_order(&b->d, b->shrink ? "resize shrink" : "resize");
}

/* --- the command --- */

static int with_device(struct block *b, const char *verb)
{
	if (!strcmp(verb, "attach"))
		return do_attach(b);
	if (pv_back_state(&b->d) == 0) {
		log_error("the guest has no such disk; xenhost block list shows those there are");
		return -ENOENT;
	}
	if (!strcmp(verb, "detach"))
		return pv_detach(&b->d);
	if (!strcmp(verb, "resize"))
		return do_resize(b);
	return pv_order(&b->d, verb); /* stat, pause, resume */
}

static int run(struct block *b, int n, char **words)
{
	bool attach = !strcmp(words[0], "attach");
	const char *device = attach ? (n > 3 ? words[3] : NULL) : n > 2 ? words[2] : NULL;
	int r;

	if (n == 1)
		return pv_list(&b->d, true, LIST_HEAD, print_row);
	r = pv_find_domain(&b->d, words[1]);
	if (r < 0)
		return r;
	if (!strcmp(words[0], "list"))
		return pv_list(&b->d, false, LIST_HEAD, print_row);
	if (attach)
		b->image = words[2];
	if (!device)
		r = choose_device(&b->d);
	else
		r = parse_device(device, &b->d.devid);
	if (r == -EINVAL)
		log_error("%s is no disk's name: xvda, xvdb ... or a number", device);
	if (r < 0)
		return r;
	pv_set_paths(&b->d);
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
	struct block b = {
		.d = { .class = "vbd",
		       .what = "disk",
		       .program = "xenhost-blkbackd",
		       .timeout_s = 30,
		       .backend = BLKBACK },
	};
	const struct option_table tables[] = { { specs, &b.d }, { block_specs, &b } };
	char path[PATH_MAX];
	int i = options_parse(&options, argc, argv, tables, ARRAY_SIZE(tables)), r;

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
		r = connect_host(b.d.rundir, &b.d.host);
	if (r == 0)
		r = run(&b, argc - i, argv + i);
	xenhost_close(b.d.host);
	return r < 0 ? 1 : 0;
}
