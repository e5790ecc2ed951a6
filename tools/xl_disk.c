/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/xl_spec.h"

#define XVD_MAJOR 202u
#define EXTENDED (1u << 28)
#define DISKS_MAX (1u << 20) /* of the extended numbers */

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

/* --- names of devices --- */

/* "a" is 0, "z" 25, "aa" 26. Where it ends, NULL: it does not begin */
static const char *parse_letters(const char *s, unsigned int *ret_disk)
{
	unsigned int n = 0;

	if (!is_letter(*s))
		return NULL;
	for (; is_letter(*s); s++) {
		if (n > DISKS_MAX)
			return NULL;
		n = n * 26 + (unsigned int)(*s - 'a') + 1;
	}
	*ret_disk = n - 1;
	return s;
}

static const char *parse_digits(const char *s, unsigned int *ret_number)
{
	unsigned int n = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (n > DISKS_MAX)
			return NULL;
		n = n * 10 + (unsigned int)(*s - '0');
	}
	*ret_number = n;
	return s;
}

/* d5p1 */
static int parse_numbered(const char *s, unsigned int *ret_disk, unsigned int *ret_part)
{
	s = parse_digits(s, ret_disk);
	if (s && *s == 'p')
		s = parse_digits(s + 1, ret_part);
	return s && !*s ? 0 : -EINVAL;
}

static int xvd_number(unsigned int disk, unsigned int part, unsigned int *ret_devid)
{
	if (disk < 16 && part < 16)
		*ret_devid = XVD_MAJOR << 8 | disk << 4 | part;
	else if (disk < DISKS_MAX && part < 256)
		*ret_devid = EXTENDED | disk << 8 | part;
	else
		return -EINVAL;
	return 0;
}

int xl_vdev_parse(const char *vdev, unsigned int *ret_devid)
{
	unsigned int disk = 0, part = 0;
	const char *s;
	bool xvd = !strncmp(vdev, "xvd", 3);

	if (vdev[0] == 'd' && parse_numbered(vdev + 1, &disk, &part) == 0)
		return xvd_number(disk, part, ret_devid);
	if (!xvd && strncmp(vdev, "hd", 2) != 0 && strncmp(vdev, "sd", 2) != 0)
		return -EINVAL;
	s = parse_letters(vdev + (xvd ? 3 : 2), &disk);
	if (s && *s)
		s = *s == '0' ? NULL : parse_digits(s, &part);
	if (!s || *s)
		return -EINVAL;
	if (xvd)
		return xvd_number(disk, part, ret_devid);
	if (vdev[0] == 'h' ? disk >= 4 || part >= 64 : disk >= 16 || part >= 16)
		return -EINVAL;
	if (vdev[0] == 'h')
		*ret_devid = (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | part;
	else
		*ret_devid = 8u << 8 | disk << 4 | part;
	return 0;
}

/* --- what its keys do --- */

static const char *copy(char *where, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size)
		return "it is too long";
	memcpy(where, text, len + 1);
	return NULL;
}

static const char *set_target(void *spec, const char *text)
{
	struct xl_disk *d = spec;
	bool relative = *text && *text != '/' && !strchr(text, ':');

	if (relative)
		memcpy(d->target, "/dev/", 6);
	return copy(d->target + (relative ? 5 : 0), sizeof(d->target) - 5, text);
}

static const char *set_format(void *spec, const char *text)
{
	static const char *const known[] = { "raw", "qcow", "qcow2", "vhd", "qed" };

	((struct xl_disk *)spec)->has_format = *text != '\0';
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(text, known[i]))
			return copy(((struct xl_disk *)spec)->format, XL_WORD_MAX, text);
	return *text ? "it is no format: raw, qcow, qcow2, vhd or qed" : NULL;
}

static const char *set_vdev(void *spec, const char *text)
{
	struct xl_disk *d = spec;

	if (*text && xl_vdev_parse(text, &d->devid) < 0)
		return "it is no name of a disk: xvda, xvda1, hda, sda or d0p0";
	return copy(d->vdev, sizeof(d->vdev), text);
}

static const char *set_access(void *spec, const char *text)
{
	struct xl_disk *d = spec;

	if (!strcmp(text, "r") || !strcmp(text, "ro"))
		d->read_only = true;
	else if (*text && strcmp(text, "w") != 0 && strcmp(text, "rw") != 0)
		return "it is no access: r, ro, w or rw";
	return NULL;
}

static const char *set_cdrom(void *spec, const char *text)
{
	struct xl_disk *d = spec;

	d->cdrom = d->read_only = true;
	return NULL;
}

static const char *set_devtype(void *spec, const char *text)
{
	if (!strcmp(text, "cdrom"))
		return set_cdrom(spec, text);
	return *text && strcmp(text, "disk") != 0 ? "it is no type of a disk: disk or cdrom" : NULL;
}

static const char *set_backend(void *spec, const char *text)
{
	return *text && strcmp(text, "0") != 0 && strcmp(text, "Domain-0") != 0
		       ? "disks are served by xenhost-blkbackd: leave it out"
		       : NULL;
}

static const char *set_discard(void *spec, const char *text)
{
	((struct xl_disk *)spec)->no_discard = false;
	return NULL;
}

static const char *set_no_discard(void *spec, const char *text)
{
	((struct xl_disk *)spec)->no_discard = true;
	return NULL;
}

static const char *set_backing(void *spec, const char *text)
{
	((struct xl_disk *)spec)->backing = true;
	return NULL;
}

static const char *set_specification(void *spec, const char *text)
{
	return *text && strcmp(text, "xen") != 0 ? "only Xen's own disks are served, no virtio"
						 : NULL;
}

/* those without a name of their own in a string come first, in their order */
#define POSITIONAL 4
#define COLO "there is no COLO"

const struct xl_spec_key xl_disk_keys[] = {
	{ "target", "PATH", XL_USED,
	  "image file or block device; what is no absolute path lies in /dev", set_target },
	{ "format", "FORMAT", XL_USED,
	  "raw or qcow2; without it qcow2 for what is called .qcow2, and raw. qcow, vhd and qed are refused",
	  set_format },
	{ "vdev", "NAME", XL_USED, "xvda, hda, sda, with a number for a partition; or d0p0",
	  set_vdev },
	{ "access", "MODE", XL_USED, "r or ro, w or rw (default)", set_access },
	{ "devtype", "TYPE", XL_USED, "cdrom: the disk is read-only; disk", set_devtype },
	{ "cdrom", NULL, XL_USED, "as devtype=cdrom", set_cdrom },
	{ "backend", "DOMAIN", XL_REFUSED,
	  "disks are served by xenhost-blkbackd; only 0 and Domain-0 are taken, for that",
	  set_backend },
	{ "backendtype", "TYPE", XL_IGNORED, "there is one implementation", NULL },
	{ "script", "SCRIPT", XL_REFUSED,
	  "no scripts are run for disks; attach the device on the host and name it", NULL },
	{ "direct-io-safe", NULL, XL_IGNORED, "the fault that it is about does not exist here",
	  NULL },
	{ "discard", NULL, XL_USED, "the guest may give space back (default)", set_discard },
	{ "no-discard", NULL, XL_USED, "the guest may not give space back", set_no_discard },
	{ "backing", NULL, XL_USED,
	  "not of xl: images that a qcow2 image names as below it may be read; without it they are refused",
	  set_backing },
	{ "trusted", NULL, XL_USED, "advice for the front end (default)", xl_spec_trusted },
	{ "untrusted", NULL, XL_USED, "advice for the front end: the node trusted is 0",
	  xl_spec_untrusted },
	{ "specification", "NAME", XL_REFUSED,
	  "only Xen's own disks are served, no virtio; xen is taken", set_specification },
	{ "colo", NULL, XL_REFUSED, COLO, NULL },
	{ "colo-host", "ADDRESS", XL_REFUSED, COLO, NULL },
	{ "colo-port", "PORT", XL_REFUSED, COLO, NULL },
	{ "colo-export", "NAME", XL_REFUSED, COLO, NULL },
	{ "active-disk", "PATH", XL_REFUSED, COLO, NULL },
	{ "hidden-disk", "PATH", XL_REFUSED, COLO, NULL },
	{ NULL, NULL, XL_USED, NULL, NULL },
};

#define KEYS_MAX (sizeof(xl_disk_keys) / sizeof(*xl_disk_keys))

/* --- the string --- */

struct parser {
	struct xl_disk *disk;
	char given[KEYS_MAX]; /* by index in xl_disk_keys */
};

static const char *set_key(struct parser *p, size_t i, const char *text)
{
	const struct xl_spec_key *k = &xl_disk_keys[i];

	if (p->given[i])
		return "it is there twice";
	p->given[i] = 1;
	if (k->set)
		return k->set(p->disk, text);
	return k->use == XL_REFUSED && (*text || !k->form) ? k->text : NULL;
}

/* of old files: tap:aio:PATH, raw:PATH. What the prefixes say is stripped, *text is moved */
static const char *strip_prefixes(struct parser *p, const char **text)
{
	static const struct {
		const char *prefix;
		enum { NOTHING, FORMAT, SCRIPT } is;
	} known[] = { { "tapdisk:", NOTHING }, { "tap2:", NOTHING },  { "tap:", NOTHING },
		      { "aio:", NOTHING },     { "ioemu:", NOTHING }, { "file:", NOTHING },
		      { "phy:", NOTHING },     { "raw:", FORMAT },    { "qcow2:", FORMAT },
		      { "vhd:", FORMAT },      { "iscsi:", SCRIPT },  { "nbd:", SCRIPT },
		      { "enbd:", SCRIPT },     { "drbd:", SCRIPT } };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t len = strlen(known[i].prefix);

		if (strncmp(*text, known[i].prefix, len) != 0)
			continue;
		if (known[i].is == SCRIPT)
			return "no scripts are run for disks; attach the device on the host and "
			       "name it";
		if (known[i].is == FORMAT) {
			char format[XL_WORD_MAX] = { 0 };

			memcpy(format, known[i].prefix, len - 1);
			p->given[1] = 1;
			(void)set_format(p->disk, format);
		}
		*text += len;
		i = (size_t)-1; /* look again from the first */
	}
	return NULL;
}

/* hdc:cdrom, of old files */
static const char *set_old_vdev(struct parser *p, char *text)
{
	char *type = strchr(text, ':');
	const char *why = NULL;

	if (type) {
		*type++ = '\0';
		why = set_key(p, (size_t)xl_spec_find(xl_disk_keys, "devtype", 7, false), type);
	}
	return why ? why : set_key(p, 2, text);
}

static const char *set_positional(struct parser *p, char *text)
{
	const char *rest = text;
	size_t i = 0;

	while (i < POSITIONAL && p->given[i])
		i++;
	if (i == POSITIONAL)
		return "it is no key of a disk, and target, format, vdev and access are given";
	if (i == 0) {
		const char *why = strip_prefixes(p, &rest);

		return why ? why : set_key(p, 0, rest);
	}
	return i == 2 ? set_old_vdev(p, text) : set_key(p, i, text);
}

static const char *set_part(struct parser *p, char *text)
{
	char *equals = strchr(text, '=');
	int i;

	i = xl_spec_find(xl_disk_keys, text, equals ? (size_t)(equals - text) : strlen(text),
			 !equals);
	if (i >= 0)
		return set_key(p, (size_t)i, equals ? equals + 1 : "");
	if (equals && (size_t)(equals - text) == strcspn(text, "=/.:"))
		return "there is no such key of a disk";
	return set_positional(p, text);
}

/* A format in the place of a vdev in the old way, PATH,xvda,w: xl's own rule is that it is no format then */
static bool is_old_form(const char *spec)
{
	const char *comma = strchr(spec, ',');
	char word[XL_WORD_MAX];
	unsigned int devid;
	size_t len;

	if (!comma || strchr(spec, '='))
		return false;
	len = strcspn(comma + 1, ",:");
	if (len >= sizeof(word))
		return false;
	memcpy(word, comma + 1, len);
	word[len] = '\0';
	return xl_vdev_parse(word, &devid) == 0;
}

static int complete(const struct parser *p, const char **ret_why)
{
	const struct xl_disk *d = p->disk;

	if (!*d->vdev)
		*ret_why = "the disk has no name: write PATH,FORMAT,xvda";
	else if (!*d->target && !d->cdrom)
		*ret_why = "the disk has no image";
	else if (!*d->target)
		*ret_why = "an empty drive cannot be served; leave it out";
	return *ret_why ? -EINVAL : 0;
}

static int parse_parts(struct parser *p, char *spec, const char **ret_why, char *ret_word)
{
	char *part = spec, *next;

	for (; part; part = next) {
		char *begin = part + strspn(part, " \t");

		next = strchr(part, ',');
		if (!strncmp(begin, "target=", 7)) { /* takes all that follows */
			next = NULL;
			p->given[0] = *p->disk->target != '\0';
		} else if (next) {
			*next++ = '\0';
		}
		if (!next && !*begin && part != spec)
			break;
		if (next || strncmp(begin, "target=", 7) != 0)
			begin = xl_spec_trim(begin);
		snprintf(ret_word, XL_WORD_MAX, "%s", begin);
		*ret_why = set_part(p, begin);
		if (*ret_why)
			return -EINVAL;
	}
	return 0;
}

int xl_disk_parse(const char *spec, struct xl_disk *ret_disk, const char **ret_why, char *ret_word)
{
	struct xl_disk disk = { .format = "raw" };
	struct parser p = { .disk = &disk };
	char text[XL_PATH_MAX + 256];

	*ret_why = copy(text, sizeof(text), spec);
	snprintf(ret_word, XL_WORD_MAX, "%s", spec);
	if (*ret_why)
		return -EINVAL;
	if (is_old_form(text))
		p.given[1] = 1;
	if (parse_parts(&p, text, ret_why, ret_word) < 0)
		return -EINVAL;
	snprintf(ret_word, XL_WORD_MAX, "%s", spec);
	if (complete(&p, ret_why) < 0)
		return -EINVAL;
	*ret_disk = disk;
	return 0;
}
