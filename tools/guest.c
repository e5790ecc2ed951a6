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
#include "common/ifname.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/guest.h"

#define MEMORY_DEFAULT (256ULL << 20)
#define XVDA 51712 /* 202 << 8: xvda */

_Static_assert(sizeof(((struct guest_disk *)0)->path) >= PATH_MAX, "realpath needs PATH_MAX");

static bool has_devid(const struct guest *g, unsigned int devid)
{
	for (unsigned int i = 0; i < g->nr_disks; i++)
		if (g->disks[i].devid == devid)
			return true;
	return false;
}

int guest_new_disk(struct guest *g, unsigned int devid, struct guest_disk **ret_disk)
{
	if (g->nr_disks == GUEST_DISKS_MAX)
		return -ENOSPC;
	if (devid && has_devid(g, devid))
		return -EEXIST;
	/* there are as many names as disks: one is free */
	for (unsigned int i = 0; !devid; i++)
		if (!has_devid(g, XVDA + i * 16))
			devid = XVDA + i * 16;
	g->disks[g->nr_disks] = (struct guest_disk){ .devid = devid };
	*ret_disk = &g->disks[g->nr_disks++];
	return 0;
}

int guest_disk_set_format(struct guest_disk *disk, const char *format)
{
	static const char ending[] = ".qcow2";
	size_t len = strlen(disk->path);

	if (!format)
		format = len > strlen(ending) && !strcmp(disk->path + len - strlen(ending), ending)
				 ? "qcow2"
				 : "raw";
	if (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0)
		return -EINVAL;
	strcpy(disk->format, *format == 'r' ? "" : format);
	return 0;
}

bool guest_disk_is_served(const struct guest_disk *disk)
{
	return *disk->format != '\0';
}

void guest_disk_server(struct guest_disk *disk)
{
	disk->server.path = disk->path;
	disk->server.format = disk->format;
	disk->server.read_only = disk->read_only;
	disk->server.backing = disk->backing;
}

/* one word behind the last comma, which is cut off: 1; 0: it belongs to the name */
static int take_disk_word(char *spec, struct guest_disk *disk, char *format)
{
	static const char key[] = "format=";
	char *comma = strrchr(spec, ',');

	if (!comma || comma == spec)
		return 0;
	if (!strcmp(comma + 1, "ro"))
		disk->read_only = true;
	else if (!strcmp(comma + 1, "backing"))
		disk->backing = true;
	else if (!strncmp(comma + 1, key, strlen(key)))
		snprintf(format, sizeof(disk->format), "%s", comma + 1 + strlen(key));
	else
		return 0;
	*comma = '\0';
	return 1;
}

/* names with commas stay names: what follows the last one may only be one of ours */
static int parse_disk(char *spec, struct guest_disk *ret_disk)
{
	char format[sizeof(ret_disk->format)] = "", real[PATH_MAX];
	int r;

	while (take_disk_word(spec, ret_disk, format))
		;
	if (snprintf(ret_disk->path, sizeof(ret_disk->path), "%s", spec) >=
	    (int)sizeof(ret_disk->path))
		return -ENAMETOOLONG;
	if (!strncmp(spec, "nbd://", 6) || !strncmp(spec, "nbd+unix://", 11))
		return *format && strcmp(format, "raw") != 0 ? -EINVAL : 0;
	r = guest_disk_set_format(ret_disk, *format ? format : NULL);
	if (r < 0)
		return r;
	if (!realpath(spec, real))
		return -errno;
	strcpy(ret_disk->path, real);
	return 0;
}

int guest_add_disk(struct guest *g, const char *spec)
{
	_cleanup_free_ struct guest_disk *parsed = calloc(1, sizeof(*parsed));
	_cleanup_free_ char *copy = strdup(spec);
	struct guest_disk *disk = NULL;
	int r;

	if (!copy || !parsed)
		return -ENOMEM;
	r = parse_disk(copy, parsed);
	if (r == 0)
		r = guest_new_disk(g, 0, &disk);
	if (r < 0)
		return r;
	parsed->devid = disk->devid;
	*disk = *parsed;
	return 0;
}

static int set_device_name(char *dst, const char *value)
{
	if (!ifname_ok(value))
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
	if (!strcmp(item, "user")) {
		vif->user = true;
		return 0;
	}
	if (!strncmp(item, "tap=", 4))
		return set_device_name(vif->tap, item + 4);
	if (!strncmp(item, "bridge=", 7))
		return set_device_name(vif->bridge, item + 7);
	if (!strncmp(item, "mac=", 4))
		return set_mac(vif->mac, item + 4);
	return -EINVAL;
}

int guest_new_vif(struct guest *g, int devid, struct guest_vif **ret_vif)
{
	unsigned int number = devid < 0 ? g->nr_vifs : (unsigned int)devid;

	if (g->nr_vifs == GUEST_VIFS_MAX)
		return -ENOSPC;
	for (unsigned int i = 0; i < g->nr_vifs; i++)
		if (g->vifs[i].devid == number)
			return -EEXIST;
	g->vifs[g->nr_vifs] = (struct guest_vif){ .devid = number };
	*ret_vif = &g->vifs[g->nr_vifs++];
	return 0;
}

int guest_add_vif(struct guest *g, const char *spec)
{
	_cleanup_free_ char *copy = strdup(spec);
	struct guest_vif *vif;
	char *save, *item;
	int r;

	if (!copy)
		return -ENOMEM;
	r = guest_new_vif(g, -1, &vif);
	for (item = r == 0 ? strtok_r(copy, ",", &save) : NULL; item && r == 0;
	     item = strtok_r(NULL, ",", &save))
		r = set_vif_key(vif, item);
	if (r == 0 && (vif->user ? *vif->tap || *vif->bridge : !*vif->tap))
		r = -EINVAL;
	return r;
}

int guest_make_uuid(char *uuid)
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

/* in Xen's range, 00:16:3e; made from the guest's identity and the card's number (FNV-1a) */
static void complete_mac(const struct guest *g, struct guest_vif *vif)
{
	static const uint8_t none[6];
	uint32_t hash = 2166136261u;

	if (memcmp(vif->mac, none, sizeof(none)) != 0)
		return;
	for (const char *c = g->uuid; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	hash = (hash ^ vif->devid) * 16777619u;
	hash ^= hash >> 24; /* the last steps reach the high bits only */
	vif->mac[1] = 0x16;
	vif->mac[2] = 0x3e;
	vif->mac[3] = (uint8_t)(hash >> 16 & 0x7f);
	vif->mac[4] = (uint8_t)(hash >> 8);
	vif->mac[5] = (uint8_t)hash;
}

/* Who publishes a port wants a card for it. */
static int give_ports(struct guest *g)
{
	if (g->publish.nr_ports == 0)
		return 0;
	for (unsigned int i = 0; i < g->nr_vifs; i++) {
		if (!g->vifs[i].user)
			continue;
		g->vifs[i].passt = g->publish;
		return 0;
	}
	log_error("--publish is for a card with user-mode networking: give the guest --net user");
	return -EINVAL;
}

int guest_complete(struct guest *g)
{
	int r = give_ports(g);

	if (r < 0)
		return r;
	if (!*g->uuid)
		r = guest_make_uuid(g->uuid);
	if (!*g->name)
		snprintf(g->name, sizeof(g->name), "guest-%d", (int)getpid());
	for (unsigned int i = 0; i < g->nr_vifs; i++)
		complete_mac(g, &g->vifs[i]);
	if (r < 0)
		log_error("cannot make up an identity for the guest: %s", strerror(-r));
	return r;
}

/* --- options --- */

int guest_set_text(char **where, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*where);
	*where = copy;
	return 0;
}

static int set_kernel(void *data, const char *value)
{
	return guest_set_text(&((struct guest *)data)->kernel, value);
}

static int set_initrd(void *data, const char *value)
{
	return guest_set_text(&((struct guest *)data)->initrd, value);
}

static int set_append(void *data, const char *value)
{
	return guest_set_text(&((struct guest *)data)->append, value);
}

static int set_memory(void *data, const char *value)
{
	return options_size(value, &((struct guest *)data)->memory_bytes);
}

static int set_sparse(void *data, const char *value)
{
	((struct guest *)data)->sparse = true;
	return 0;
}

static int set_vcpus(void *data, const char *value)
{
	return options_number(value, 1, GUEST_VCPUS_MAX, &((struct guest *)data)->vcpus);
}

/* a name becomes part of paths and of the store, and is shown to people */
int guest_set_name(struct guest *g, const char *value)
{
	if (!*value || strlen(value) >= sizeof(g->name) || strchr(value, '/') || *value == '.')
		return -EINVAL;
	for (const char *c = value; *c; c++)
		if (*c <= ' ' || *c > '~')
			return -EINVAL;
	strcpy(g->name, value);
	return 0;
}

static int set_name(void *data, const char *value)
{
	return guest_set_name(data, value);
}

int guest_set_uuid(struct guest *g, const char *value)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(value) != sizeof(form) - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == '-' ? value[i] != '-' : !isxdigit((unsigned char)value[i]))
			return -EINVAL;
	for (size_t i = 0; i < sizeof(form); i++)
		g->uuid[i] = (char)tolower((unsigned char)value[i]);
	return 0;
}

static int set_uuid(void *data, const char *value)
{
	return guest_set_uuid(data, value);
}

static int set_disk(void *data, const char *value)
{
	return guest_add_disk(data, value);
}

static int set_net(void *data, const char *value)
{
	return guest_add_vif(data, value);
}

static int set_publish(void *data, const char *value)
{
	return passt_publish(&((struct guest *)data)->publish, value);
}

static int set_console_pty(void *data, const char *value)
{
	return guest_set_text(&((struct guest *)data)->console_pty, value);
}

static int set_console_log(void *data, const char *value)
{
	return guest_set_text(&((struct guest *)data)->console_log, value);
}

int guest_parse_action(const char *value, enum guest_action *ret_action)
{
	static const char *const names[] = {
		[GUEST_DESTROY] = "destroy",
		[GUEST_RESTART] = "restart",
		[GUEST_PRESERVE] = "preserve",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i])) {
			*ret_action = (enum guest_action)i;
			return 0;
		}
	return -EINVAL;
}

static int set_on_poweroff(void *data, const char *value)
{
	return guest_parse_action(value, &((struct guest *)data)->on_poweroff);
}

static int set_on_reboot(void *data, const char *value)
{
	return guest_parse_action(value, &((struct guest *)data)->on_reboot);
}

static int set_on_watchdog(void *data, const char *value)
{
	return guest_parse_action(value, &((struct guest *)data)->on_watchdog);
}

static int set_on_crash(void *data, const char *value)
{
	return guest_parse_action(value, &((struct guest *)data)->on_crash);
}

const struct option_spec guest_specs[] = {
	{ "kernel", "FILE", "kernel with a PVH entry: bzImage or vmlinux", set_kernel },
	{ "initrd", "FILE", "initial RAM disk", set_initrd },
	{ "append", "TEXT", "kernel command line (default: console=hvc0)", set_append },
	{ "memory", "SIZE", "memory of the guest (default: 256M)", set_memory },
	{ "sparse", NULL, "allocate memory only when the guest touches it", set_sparse },
	{ "vcpus", "N", "virtual processors, 1 to 32 (default: 1)", set_vcpus },
	{ "disk", "FILE[,ro]", "raw image file that becomes xvda", set_disk },
	{ "net", "tap=NAME[,...]|user",
	  "network card on a TAP device; also bridge=NAME, mac=ADDRESS; or on the host's network, by passt",
	  set_net },
	{ "publish", "[ADDRESS:]HOST:GUEST[/udp]",
	  "with --net user: connections to this port of the host are the guest's", set_publish },
	{ "name", "NAME", "name of the guest", set_name },
	{ "uuid", "UUID", "identity of the guest (default: made up)", set_uuid },
	{ "console-pty", "LINK", "also make a pseudoterminal for the console, with this link to it",
	  set_console_pty },
	{ "console-log", "FILE", "also write what the guest prints there", set_console_log },
	{ "on-poweroff", "ACTION", "destroy, restart or preserve (default: destroy)",
	  set_on_poweroff },
	{ "on-reboot", "ACTION", "the same (default: restart)", set_on_reboot },
	{ "on-crash", "ACTION", "the same (default: destroy)", set_on_crash },
	{ "on-watchdog", "ACTION", "the same (default: destroy)", set_on_watchdog },
	{ NULL, NULL, NULL, NULL },
};

void guest_init(struct guest *g)
{
	*g = (struct guest){ .memory_bytes = MEMORY_DEFAULT,
			     .vcpus = 1,
			     .on_poweroff = GUEST_DESTROY,
			     .on_reboot = GUEST_RESTART,
			     .on_crash = GUEST_DESTROY,
			     .on_watchdog = GUEST_DESTROY };
}

void guest_fini(struct guest *g)
{
	free(g->kernel);
	free(g->initrd);
	free(g->append);
	free(g->console_pty);
	free(g->console_log);
	g->kernel = g->initrd = g->append = g->console_pty = g->console_log = NULL;
}

/* --- the file --- */

/* cuts blanks off both ends, in place */
static char *trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* NULL, or why the line is wrong */
static const char *read_line(struct guest *g, char *line)
{
	char *value = strchr(line, '='), *name;
	const struct option_spec *s = guest_specs;

	if (value)
		*value++ = '\0';
	name = trim(line);
	while (s->name && strcmp(s->name, name) != 0)
		s++;
	if (!s->name)
		return "there is no such option";
	if (s->arg && !value)
		return "a value is missing: write OPTION = VALUE";
	if (!s->arg && value)
		return "this option takes no value";
	return s->set(g, value ? trim(value) : NULL) < 0 ? "bad value" : NULL;
}

static void closefilep(FILE **f)
{
	if (*f)
		fclose(*f);
}

int guest_read(struct guest *g, const char *path)
{
	_cleanup_(closefilep) FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;
	int r;

	if (!f) {
		r = -errno;
		log_error("cannot read the guest's configuration %s: %s", path, strerror(errno));
		return r;
	}
	while (getline(&line, &size, f) >= 0) {
		char *text = trim(line);
		const char *why;

		number++;
		if (!*text || *text == '#')
			continue;
		why = read_line(g, text);
		if (!why)
			continue;
		log_error("%s, line %u: %s (%s)", path, number, why, text);
		return -EINVAL;
	}
	return 0;
}
