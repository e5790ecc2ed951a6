/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tools/guest.h"
#include "tools/guest_cfg.h"

#define MEMORY_MIN_MB 16
#define MEMORY_MAX_MB (1 << 20)
#define TEXT_MAX 4096
#define DEFAULT_BRIDGE "xenbr0"

static int wrong(struct guest_cfg *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct guest_cfg *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* --- values --- */

static int get_text(struct guest_cfg *c, const struct xl_value *v, char *buf, size_t size)
{
	int r = xl_string(v, buf, size);

	if (r == -E2BIG)
		return wrong(c, "is too long: %zu characters at most", size - 1);
	return r < 0 ? wrong(c, "is no list: write a 'string'") : 0;
}

static int get_number(struct guest_cfg *c, const struct xl_value *v, long long min, long long max,
		      unsigned long long *ret_number)
{
	long long n;
	int r = xl_number(v, min, max, &n);

	if (r < 0)
		return wrong(c, "has to be a number from %lld to %lld", min, max);
	*ret_number = (unsigned long long)n;
	return 0;
}

static int replace(char **where, const char *text)
{
	return guest_set_text(where, text);
}

/* += puts it behind what is there */
static int keep_text(struct guest_cfg *c, const struct xl_value *v, bool add, char **where)
{
	char text[TEXT_MAX], both[TEXT_MAX];
	int r = get_text(c, v, text, sizeof(text));

	if (r < 0)
		return r;
	if (!add || !*where)
		return replace(where, text);
	r = snprintf(both, sizeof(both), "%s%s", *where, text);
	if (r < 0 || (size_t)r >= sizeof(both))
		return wrong(c, "is too long: %d characters at most", TEXT_MAX - 1);
	return replace(where, both);
}

/* 0, "" and []: it is as if the key were not there */
static bool is_nothing(const struct xl_value *v)
{
	struct xl_reader list = v->list;
	struct xl_value element;

	switch (v->kind) {
	case XL_NUMBER:
		return v->number == 0;
	case XL_STRING:
		return v->len == 0 || (v->len == 1 && v->text[0] == '0');
	default:
		return xl_element(&list, &element) == 0;
	}
}

static int refuse(struct guest_cfg *c, const struct xl_value *v, const char *why)
{
	return is_nothing(v) ? 0 : wrong(c, "is refused: %s", why);
}

/* --- what the guest is --- */

static int set_name(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	char text[TEXT_MAX];
	int r = get_text(c, v, text, sizeof(text));

	if (r == 0 && guest_set_name(c->guest, text) < 0)
		r = wrong(c, "is no name for a guest: at most 63 characters, no slash, no blanks");
	return r;
}

static int set_uuid(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	char text[TEXT_MAX];
	int r = get_text(c, v, text, sizeof(text));

	if (r == 0 && guest_set_uuid(c->guest, text) < 0)
		r = wrong(c, "is no uuid: uuidgen(1) makes one");
	c->has_uuid |= r == 0;
	return r;
}

#define NO_PV                                                                             \
	"PV guests cannot run here; a Linux kernel since 4.11 runs with type = \"pvh\", " \
	"without kernel and bootloader by GRUB from its own disk"
#define NO_HVM                                                                                   \
	"HVM guests cannot run here; a Linux guest runs with type = \"pvh\", by its kernel, or " \
	"without kernel by GRUB from its own disk"

static int set_type(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	char text[TEXT_MAX];
	int r = get_text(c, v, text, sizeof(text));

	if (r < 0 || !strcmp(text, "pvh"))
		return r;
	if (!strcmp(text, "pv"))
		return wrong(c, "is refused: %s", NO_PV);
	if (!strcmp(text, "hvm"))
		return wrong(c, "is refused: %s", NO_HVM);
	return wrong(c, "is no type of a guest: write \"pvh\"");
}

static int set_builder(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	char text[TEXT_MAX];

	if (is_nothing(v))
		return 0;
	if (get_text(c, v, text, sizeof(text)) < 0)
		return -EINVAL;
	return wrong(c, "is refused: %s", strcmp(text, "hvm") ? NO_PV : NO_HVM);
}

/* --- processors, memory, boot --- */

static int set_vcpus(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return get_number(c, v, 1, GUEST_VCPUS_MAX, &c->vcpus);
}

static int set_maxvcpus(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return get_number(c, v, 1, GUEST_VCPUS_MAX, &c->maxvcpus);
}

static int set_memory(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return get_number(c, v, MEMORY_MIN_MB, MEMORY_MAX_MB, &c->memory);
}

static int set_maxmem(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return get_number(c, v, MEMORY_MIN_MB, MEMORY_MAX_MB, &c->maxmem);
}

static int set_sparse(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	unsigned long long number = 0;
	int r = get_number(c, v, 0, 1, &number);

	if (r == 0)
		c->guest->sparse = number != 0;
	return r;
}

static int set_kernel(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, false, &c->guest->kernel);
}

static int set_ramdisk(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, false, &c->guest->initrd);
}

static int set_cmdline(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, add, &c->cmdline);
}

static int set_root(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, add, &c->root);
}

static int set_extra(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, add, &c->extra);
}

static int set_console_log(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, false, &c->guest->console_log);
}

static int set_console_pty(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return keep_text(c, v, false, &c->guest->console_pty);
}

/* --- its end --- */

static int set_action(struct guest_cfg *c, const struct xl_value *v, enum guest_action *where)
{
	char text[TEXT_MAX];
	int r = get_text(c, v, text, sizeof(text));

	if (r == 0 && guest_parse_action(text, where) < 0)
		r = wrong(c, "can be destroy, restart or preserve");
	return r;
}

static int set_on_poweroff(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return set_action(c, v, &c->guest->on_poweroff);
}

static int set_on_reboot(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return set_action(c, v, &c->guest->on_reboot);
}

static int set_on_crash(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return set_action(c, v, &c->guest->on_crash);
}

static int set_on_watchdog(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return set_action(c, v, &c->guest->on_watchdog);
}

/* a refused key that has one value which asks for what is so anyway */
static int only(struct guest_cfg *c, const struct xl_value *v, const char *word, const char *why)
{
	char text[TEXT_MAX];

	if (xl_string(v, text, sizeof(text)) >= 0 && !strcmp(text, word))
		return 0;
	return refuse(c, v, why);
}

static int set_on_soft_reset(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return only(c, v, "soft-reset", "a guest that starts another kernel goes on");
}

static int set_passthrough(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return only(c, v, "disabled", "no devices are passed through");
}

static int set_altp2m(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return only(c, v, "disabled", "there is one view of a guest's memory");
}

static int set_none(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return only(c, v, "none", "it is for Arm");
}

static int set_default(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	return only(c, v, "default", "it is for Arm");
}

/* --- devices --- */

static int new_device(struct guest_cfg *c, int r, const char *spec, int most)
{
	if (r == -EEXIST)
		return wrong(c, "has two of one name or number: '%s'", spec);
	return r < 0 ? wrong(c, "has too many, %d is the most", most) : 0;
}

static int add_disk(struct guest_cfg *c, const char *spec)
{
	char word[XL_WORD_MAX];
	struct guest_disk *disk;
	struct xl_disk parsed;
	const char *why;
	int r;

	if (xl_disk_parse(spec, &parsed, &why, word) < 0)
		return wrong(c, "has a mistake at '%s': %s", word, why);
	r = new_device(c, guest_new_disk(c->guest, parsed.devid, &disk), spec, GUEST_DISKS_MAX);
	if (r < 0)
		return r;
	memcpy(disk->path, parsed.target, sizeof(disk->path));
	if (guest_disk_set_format(disk, parsed.has_format ? parsed.format : NULL) < 0)
		return wrong(
			c,
			"has an image of format %s: only raw and qcow2 can be served; qemu-img convert -O qcow2 makes one",
			parsed.format);
	disk->backing = parsed.backing;
	disk->read_only = parsed.read_only;
	disk->cdrom = parsed.cdrom;
	disk->no_discard = parsed.no_discard;
	disk->untrusted = parsed.device.untrusted;
	return 0;
}

static int add_vif(struct guest_cfg *c, const char *spec)
{
	char word[XL_WORD_MAX];
	struct guest_vif *vif;
	struct xl_vif parsed;
	const char *why;
	int r;

	if (xl_vif_parse(spec, &parsed, &why, word) < 0)
		return wrong(c, "has a mistake at '%s': %s", word, why);
	if (parsed.has_script)
		return wrong(c, "has a mistake at '%s': no scripts but vif-bridge's work is done",
			     spec);
	r = new_device(c, guest_new_vif(c->guest, parsed.devid, &vif), spec, GUEST_VIFS_MAX);
	if (r < 0)
		return r;
	strcpy(vif->tap, parsed.vifname);
	vif->user = parsed.user;
	if (!parsed.user)
		strcpy(vif->bridge, *parsed.bridge ? parsed.bridge : DEFAULT_BRIDGE);
	memcpy(vif->mac, parsed.mac, sizeof(vif->mac));
	vif->rate_bytes = parsed.rate_bytes;
	vif->rate_us = parsed.rate_us;
	vif->mtu = parsed.mtu;
	vif->untrusted = parsed.device.untrusted;
	return 0;
}

static int add_publish(struct guest_cfg *c, const char *spec)
{
	int r = passt_publish(&c->guest->publish, spec);

	if (r == -ENOSPC)
		return wrong(c, "has too many, %u is the most", PASST_PORTS_MAX);
	return r < 0 ? wrong(c, "has a mistake at '%s': write [ADDRESS:]HOST:GUEST[/udp]", spec)
		     : 0;
}

static int each(struct guest_cfg *c, const struct xl_value *v,
		int (*add_one)(struct guest_cfg *c, const char *spec))
{
	struct xl_reader list = v->list;
	struct xl_value element;
	char text[XL_PATH_MAX];
	int r;

	if (v->kind != XL_LIST)
		return wrong(c, "has to be a list: write [ 'string', ... ]");
	while ((r = xl_element(&list, &element)) > 0) {
		c->line = element.line;
		if (xl_string(&element, text, sizeof(text)) < 0)
			return wrong(c, "has something in its list that is no string, or too long");
		r = add_one(c, text);
		if (r < 0)
			break;
	}
	return r;
}

static int set_disk(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	if (!add)
		c->guest->nr_disks = 0;
	return each(c, v, add_disk);
}

static int set_vif(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	if (!add)
		c->guest->nr_vifs = 0;
	return each(c, v, add_vif);
}

static int set_publish(struct guest_cfg *c, const struct xl_value *v, bool add)
{
	if (!add)
		c->guest->publish.nr_ports = 0;
	return each(c, v, add_publish);
}

/* --- the table --- */

const struct guest_cfg_key guest_cfg_keys[] = {
#define K(name, form, use, set, text) { name, form, use, text, set },
#include "tools/guest_cfg_keys.h"
#undef K
	{ NULL, NULL, XL_USED, NULL, NULL },
};

static const struct guest_cfg_key *find_key(const struct xl_setting *s)
{
	for (const struct guest_cfg_key *k = guest_cfg_keys; k->name; k++)
		if (strlen(k->name) == s->key_len && !memcmp(k->name, s->key, s->key_len))
			return k;
	return NULL;
}

static void note_ignored(struct guest_cfg *c, const char *name)
{
	size_t len = strlen(c->ignored), room = sizeof(c->ignored) - len;

	if (room > strlen(name) + sizeof(", , ..."))
		snprintf(c->ignored + len, room, "%s%s", len ? ", " : "", name);
	else if (len < 4 || strcmp(c->ignored + len - 4, " ...") != 0)
		snprintf(c->ignored + len, room, " ...");
}

static int take(struct guest_cfg *c, const struct xl_setting *s)
{
	const struct guest_cfg_key *k = find_key(s);
	char why[sizeof(c->why)];
	int r = 0;

	c->line = s->value.line;
	if (!k)
		return wrong(c, "there is no key %.*s", s->key_len > 64 ? 64 : (int)s->key_len,
			     s->key);
	if (k->set)
		r = k->set(c, &s->value, s->add);
	else if (k->use == XL_REFUSED)
		r = refuse(c, &s->value, k->text);
	else
		note_ignored(c, k->name);
	if (r != -EINVAL)
		return r;
	memcpy(why, c->why, sizeof(why));
	snprintf(c->why, sizeof(c->why), "%s %.*s", k->name, (int)sizeof(why) - 64, why);
	return r;
}

int guest_cfg_parse(struct guest_cfg *c, const char *text, size_t len)
{
	struct xl_reader reader;
	struct xl_setting s;
	int r;

	xl_reader_init(&reader, text, len);
	while ((r = xl_setting(&reader, &s)) > 0) {
		r = take(c, &s);
		if (r < 0)
			return r;
	}
	if (r < 0) {
		c->line = reader.line;
		wrong(c, "%s", reader.why);
	}
	return r;
}

/* cmdline, or root and extra as xl puts them together */
static int make_append(struct guest_cfg *c)
{
	char text[2 * TEXT_MAX + 16];

	if (c->cmdline)
		return replace(&c->guest->append, c->cmdline);
	if (!c->root && !c->extra)
		return 0;
	snprintf(text, sizeof(text), "%s%s%s%s", c->root ? "root=" : "", c->root ? c->root : "",
		 c->root && c->extra ? " " : "", c->extra ? c->extra : "");
	return replace(&c->guest->append, text);
}

static void drop_if_empty(char **text)
{
	if (*text && !**text) {
		free(*text);
		*text = NULL;
	}
}

int guest_cfg_complete(struct guest_cfg *c)
{
	struct guest *g = c->guest;

	c->line = 0;
	if (c->maxmem && c->memory && c->maxmem < c->memory)
		return wrong(c, "maxmem is less than memory");
	if (c->maxvcpus && c->vcpus && c->maxvcpus < c->vcpus)
		return wrong(c, "maxvcpus is less than vcpus");
	if (c->memory || c->maxmem)
		g->memory_bytes = (c->maxmem ? c->maxmem : c->memory) << 20;
	g->target_bytes = c->maxmem > c->memory ? c->memory << 20 : 0;
	if (c->vcpus || c->maxvcpus)
		g->vcpus = c->maxvcpus ? c->maxvcpus : c->vcpus;
	g->vcpus_online = c->maxvcpus > c->vcpus ? c->vcpus : 0;
	drop_if_empty(&g->kernel);
	drop_if_empty(&g->initrd);
	drop_if_empty(&g->console_log);
	drop_if_empty(&g->console_pty);
	if (!*g->name)
		return wrong(c, "name is missing");
	return make_append(c);
}

void guest_cfg_fini(struct guest_cfg *c)
{
	free(c->cmdline);
	free(c->root);
	free(c->extra);
	c->cmdline = c->root = c->extra = NULL;
}
