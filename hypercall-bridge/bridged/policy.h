/* SPDX-License-Identifier: MIT */
/*
 * bridge.conf(5): who may have to do with whom, and how much of it. Narrows what the permit table allows,
 * never widens it. Parsing is pure; a file that says nothing about something leaves it as it is without one.
 */
#ifndef BRIDGED_POLICY_H
#define BRIDGED_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bridge.h"
#include "common/conf_text.h"
#include "common/service.h"

#define POLICY_FILE_MAX 65536
#define POLICY_GUESTS_MAX 64   /* sections of guests */
#define POLICY_PATTERNS_MAX 16 /* in one list */

struct policy_list {
	bool given; /* else everybody */
	unsigned int nr;
	char patterns[POLICY_PATTERNS_MAX][BRIDGE_NAME_MAX];
};

struct policy_service {
	char name[SERVICE_NAME_MAX];
	struct policy_list guests;
	bool untrusted;
	unsigned int keys; /* that were given, for finding repeated ones */
};

struct policy_guest {
	char pattern[BRIDGE_NAME_MAX];
	struct policy_list services, peers;
	uint64_t ports, memory; /* UINT64_MAX: no limit of its own */
	unsigned int keys;
};

struct policy {
	struct policy_service services[SERVICE_MAX];
	unsigned int nr_services;
	struct policy_guest guests[POLICY_GUESTS_MAX];
	unsigned int nr_guests;
	uint64_t domains; /* most guests at a time */
	unsigned int keys;
};

/* nothing is said */
void policy_init(struct policy *p);

/* -EINVAL: *ret_mistake says what is wrong; p is not to be used then */
int policy_parse(struct policy *p, const char *text, size_t len, struct conf_mistake *ret_mistake);

/* may the service have to do with the guest at all: ports, memory */
bool policy_may_serve(const struct policy *p, const char *service, const char *guest);
/* may it be given the guest's memory */
bool policy_trusts(const struct policy *p, const char *service);
/* may these guests join ports: both must say so */
bool policy_may_join(const struct policy *p, const char *guest, const char *other);
/* the section of a guest of this name, or NULL */
const struct policy_guest *policy_of(const struct policy *p, const char *guest);

/* "*" any characters, "?" one */
bool policy_match(const char *pattern, const char *name);

/* policy_file.c: NULL path: nothing is said. -errno, logged */
int policy_read(const char *path, struct policy *p);

#endif
