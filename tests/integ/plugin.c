/* SPDX-License-Identifier: MIT */
/* Transports that are loaded: the files: plug-in over the shared library, and files that must not be. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/gnttab.h>

#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

static char dir[TEMPDIR_SIZE];
static xenhost_t *host;

static void setup(void)
{
	tempdir_make(dir);
	setenv("XENHOST_TRANSPORTS", PLUGIN_DIR, 1);
}

static void teardown(void)
{
	host = xenhost_close(host);
	tempdir_remove(dir);
}

/* a copy of the plug-in, or of something else, under another name in our folder, which is asked from now on */
static void install(const char *from, const char *scheme, mode_t mode)
{
	char path[TEMPDIR_SIZE + 64], command[1024];

	snprintf(path, sizeof(path), "%s/%s.so", dir, scheme);
	snprintf(command, sizeof(command), "cp %s %s", from, path);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	setenv("XENHOST_TRANSPORTS", dir, 1);
}

static int open_uri(const char *scheme)
{
	char uri[TEMPDIR_SIZE + 64];

	snprintf(uri, sizeof(uri), "%s:%s", scheme, dir);
	return xenhost_open(uri, 0, &host);
}

START_TEST(loaded)
{
	uint32_t gref = 1;
	xenhost_map_t *map;
	xenhost_t *second;
	char uri[TEMPDIR_SIZE + 16];

	ck_assert_int_eq(open_uri("files"), 0);
	ck_assert_uint_eq(xenhost_features(host), XENHOST_F_MAP | XENHOST_F_DOMAINS);
	ck_assert_int_eq(xenhost_map_grants(host, 5, &gref, 1, XENHOST_READ | XENHOST_WRITE, &map),
			 0);
	xenhost_unmap(map);
	/* an op that it does not have */
	ck_assert_int_eq(xenhost_domain_destroy(host, 5), -EOPNOTSUPP);
	/* known by now, wherever it came from */
	unsetenv("XENHOST_TRANSPORTS");
	snprintf(uri, sizeof(uri), "files:%s", dir);
	ck_assert_int_eq(xenhost_open(uri, 0, &second), 0);
	xenhost_close(second);
}
END_TEST

START_TEST(not_there)
{
	ck_assert_int_eq(open_uri("nothing"), -EPROTONOSUPPORT);
	setenv("XENHOST_TRANSPORTS", "/nonexistent", 1);
	ck_assert_int_eq(open_uri("files"), -EPROTONOSUPPORT);
	setenv("XENHOST_TRANSPORTS", PLUGIN_DIR "/files.so", 1);
	ck_assert_int_eq(open_uri("files"), -EPROTONOSUPPORT);
	unsetenv("XENHOST_TRANSPORTS");
	ck_assert_int_eq(open_uri("files"), -EPROTONOSUPPORT);
	/* a scheme is a name, not a path */
	setenv("XENHOST_TRANSPORTS", PLUGIN_DIR, 1);
	ck_assert_int_eq(open_uri("./files"), -EPROTONOSUPPORT);
	ck_assert_int_eq(open_uri("../.libs/files"), -EPROTONOSUPPORT);
	ck_assert_int_eq(open_uri("Files"), -EPROTONOSUPPORT);
	ck_assert_int_eq(open_uri("a-scheme-that-is-longer-than-any-may-be"), -EPROTONOSUPPORT);
	ck_assert_int_eq(open_uri(""), -EINVAL);
	ck_assert_ptr_null(host);
}
END_TEST

START_TEST(no_plugin)
{
	install("/etc/passwd", "passwd", 0600);
	ck_assert_int_eq(open_uri("passwd"), -ELIBBAD);
	/* one of another scheme */
	install(PLUGIN_DIR "/files.so", "other", 0755);
	ck_assert_int_eq(open_uri("other"), -ELIBBAD);
}
END_TEST

/* whoever can write the file would be root otherwise */
START_TEST(not_trusted)
{
	int denied = geteuid() == 0 ? -EACCES : 0;
	char path[TEMPDIR_SIZE + 64];

	snprintf(path, sizeof(path), "%s/files.so", dir);
	install(PLUGIN_DIR "/files.so", "files", 0775);
	ck_assert_int_eq(open_uri("files"), denied);
	if (!denied)
		return;
	chmod(path, 0757);
	ck_assert_int_eq(open_uri("files"), denied);
	chmod(path, 0755);
	ck_assert_int_eq(chown(path, 65534, 0), 0);
	ck_assert_int_eq(open_uri("files"), denied);
	ck_assert_int_eq(chown(path, 0, 0), 0);
	chmod(dir, 0777);
	ck_assert_int_eq(open_uri("files"), denied);
	chmod(dir, 0755);
	/* a link may lead anywhere */
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(PLUGIN_DIR "/files.so", path), 0);
	ck_assert_int_eq(open_uri("files"), -ELOOP);
	ck_assert_int_eq(unlink(path), 0);
	install(PLUGIN_DIR "/files.so", "files", 0755);
	ck_assert_int_eq(open_uri("files"), 0);
}
END_TEST

UNIT_MAIN_WITH("plugin", setup, teardown, loaded, not_there, no_plugin, not_trusted)
