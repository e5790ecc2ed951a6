/* SPDX-License-Identifier: MIT */
/*
 * opend.conf(5): what each service may have opened. What it does not allow is refused. Parsing and matching
 * are pure.
 */
#ifndef OPEND_CONF_H
#define OPEND_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf_text.h"
#include "common/service.h"

#define CONF_FILE_MAX 65536
#define CONF_PATTERNS_MAX 64 /* of one kind, of one service */
#define CONF_PATTERN_MAX 256

enum conf_kind {
	CONF_WRITABLE, /* images, to be read as well */
	CONF_READONLY,
	CONF_NBD,
	CONF_TAP,
	CONF_BRIDGE,
	CONF_KIND_MAX,
};

struct conf_list {
	unsigned int nr;
	char patterns[CONF_PATTERNS_MAX][CONF_PATTERN_MAX];
};

struct conf_service {
	char name[SERVICE_NAME_MAX];
	struct conf_list lists[CONF_KIND_MAX];
};

struct conf {
	bool any; /* whatever this process may open itself */
	unsigned int nr_services;
	struct conf_service services[SERVICE_MAX];
};

/* conf->any stays as it is. -EINVAL: *ret_mistake says what is wrong */
int conf_parse(struct conf *conf, const char *text, size_t len, struct conf_mistake *ret_mistake);

bool conf_allows(const struct conf *conf, const char *service, enum conf_kind kind,
		 const char *name);

/* "*" any characters but "/", "?" one of them; a pattern that ends with "/" is all that is below */
bool conf_match(const char *pattern, const char *name);

/* absolute, and no other spelling of another path: no "//", ".", "..", no "/" at the end */
bool conf_path_plain(const char *path);

/* conf_file.c: -errno, logged */
int conf_read(const char *path, struct conf *conf);

#endif
