/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/guest.h"
#include "tools/guest_cfg.h"
#include "tools/guest_file.h"
#include "tools/qcow2.h"

/* GRUB as a PVH kernel, that looks for the configuration of the guest's own disk */
#define GRUB_PVH "/usr/lib/grub-xen/grub-i386-xen_pvh.bin"

static void closefilep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* the caller frees it */
static int read_text(const char *path, char **ret_text, size_t *ret_len)
{
	_cleanup_free_ char *text = malloc(GUEST_CFG_MAX + 1);
	_cleanup_(closefilep) FILE *f = NULL;
	struct stat st;
	size_t len;

	if (!text)
		return -ENOMEM;
	f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	len = fread(text, 1, GUEST_CFG_MAX + 1, f);
	if (ferror(f))
		return -EIO;
	if (len > GUEST_CFG_MAX)
		return -EFBIG;
	*ret_text = text;
	*ret_len = len;
	text = NULL;
	return 0;
}

/* where: a file, or a setting of the command line (line 0) */
static void say_mistake(const struct guest_cfg *c, int r, const char *where, bool file)
{
	if (r == -ENOMEM)
		log_error("%s: %s", where, strerror(ENOMEM));
	else if (file && c->line)
		log_error("%s, line %u: %s; see xenhost-guest.cfg(5)", where, c->line, c->why);
	else
		log_error("%s: %s; see xenhost-guest.cfg(5)", where, c->why);
}

static int parse_all(struct guest_cfg *c, const char *path, char *const *more, int nr)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = read_text(path, &text, &len);

	if (r < 0) {
		log_error("cannot read the guest's configuration %s: %s", path, strerror(-r));
		return r;
	}
	r = guest_cfg_parse(c, text, len);
	if (r < 0)
		say_mistake(c, r, path, true);
	for (int i = 0; r == 0 && i < nr; i++) {
		r = guest_cfg_parse(c, more[i], strlen(more[i]));
		if (r < 0)
			say_mistake(c, r, more[i], false);
	}
	if (r < 0)
		return r;
	r = guest_cfg_complete(c);
	if (r < 0)
		say_mistake(c, r, path, false);
	return r;
}

int guest_file_read(struct guest *g, const char *path, char *const *more, int nr,
		    bool *ret_has_uuid)
{
	_cleanup_(guest_cfg_fini) struct guest_cfg c = { .guest = g };
	int r = parse_all(&c, path, more, nr);

	if (r < 0)
		return r;
	if (*c.ignored)
		log_info("%s: ignored, as xenhost-guest.cfg(5) says: %s", path, c.ignored);
	if (ret_has_uuid)
		*ret_has_uuid = c.has_uuid;
	return 0;
}

const char *guest_folder(void)
{
	const char *env = getenv("XENHOST_GUESTS");

	return env && *env ? env : XENHOST_GUESTDIR;
}

static int check_file(const char *what, const char *path)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = -EISDIR;
	else if (access(path, R_OK) < 0)
		r = -errno;
	if (r < 0)
		log_error("cannot read the guest's %s %s: %s", what, path, strerror(-r));
	return r;
}

/* What is no raw image must not be served as one: the guest would write over its head. */
static int check_raw(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char head[4];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0 || !qcow2_is(head, (size_t)n))
		return 0;
	log_error("the image %s begins as a qcow2, and its format is not named: give it "
		  "format=qcow2, or a name that ends in .qcow2",
		  path);
	return -EMEDIUMTYPE;
}

/* -EMEDIUMTYPE: it was logged */
static int check_format(struct guest_disk *disk)
{
	if (!guest_disk_is_served(disk))
		return check_raw(disk->path);
	guest_disk_server(disk);
	return image_server_check(&disk->server) < 0 ? -EMEDIUMTYPE : 0;
}

static int check_disk(struct guest_disk *disk, bool others)
{
	char real[PATH_MAX];
	int r;

	if (disk->path[0] != '/' && strchr(disk->path, ':'))
		return 0; /* no file: the back end knows what it is */
	/* what is raw is opened by xenhost-opend; others we serve ourselves */
	if (others && !guest_disk_is_served(disk) && access(disk->path, R_OK) < 0)
		return 0;
	r = check_file("image", disk->path);
	if (r < 0)
		return r;
	if (!realpath(disk->path, real)) {
		log_error("cannot find the image %s: %s", disk->path, strerror(errno));
		return -errno;
	}
	strcpy(disk->path, real);
	r = check_format(disk);
	if (r < 0 && r != -EMEDIUMTYPE)
		log_error("cannot read the guest's image %s: %s", real, strerror(-r));
	return r;
}

int guest_file_check(struct guest *g, bool others_images)
{
	int r = g->kernel ? check_file("kernel", g->kernel) : 0;

	if (r == 0 && g->initrd)
		r = check_file("initial RAM disk", g->initrd);
	for (unsigned int i = 0; i < g->nr_disks && r == 0; i++)
		r = check_disk(&g->disks[i], others_images);
	return r;
}

const char *guest_file_grub(void)
{
	const char *env = getenv("XENHOST_GRUB");

	return env && *env ? env : GRUB_PVH;
}

int guest_file_boot(struct guest *g)
{
	const char *grub = guest_file_grub();

	if (g->kernel)
		return 0;
	if (g->nr_disks == 0) {
		log_error(
			"there is nothing to boot: name a kernel (--kernel, or kernel = in a file) "
			"or a disk that GRUB can boot");
		return -EINVAL;
	}
	if (access(grub, R_OK) < 0) {
		log_error("no kernel is named, and GRUB to boot the disk with is not at %s: %s; "
			  "install grub-xen-host, or name a kernel",
			  grub, strerror(errno));
		return -ENOENT;
	}
	return guest_set_text(&g->kernel, grub);
}

bool guest_file_is_config(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char head[512];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > GUEST_CFG_MAX)
		return false;
	n = read(fd, head, sizeof(head));
	return n > 0 && !memchr(head, '\0', (size_t)n);
}
