/* SPDX-License-Identifier: MIT */
/*
 * Everything that reads bytes of clients: headers, strings, numbers, paths, permissions. The input is
 * taken as each of them; what is accepted must have the properties that the rest relies on.
 * Planted: wire_strings() without its bound, paths with a slash at the end, and a NUL as the letter of a
 * permission were each found in 1 s.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/perm.h"
#include "xenstored/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void try_peek(const char *p, size_t len)
{
	struct wire_header h;
	const int n = wire_peek(p, len, &h);

	if (n > 0)
		check((size_t)n == WIRE_HEADER_SIZE + h.len && h.len <= WIRE_PAYLOAD_MAX);
}

static void try_strings(const char *p, size_t len)
{
	struct wire_string s[8];
	const int n = wire_strings(p, len, s, 8);
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		check(strlen(s[i].s) == s[i].len);
		total += s[i].len + 1;
	}
	check(n < 0 || total == len);
}

static void try_number(const char *p, size_t len)
{
	char text[32];
	uint64_t v;
	uint16_t domid;

	if (wire_number(p, len, UINT64_MAX, &v) == 0) {
		const int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);

		check(len >= (size_t)n && !memcmp(p + len - n, text, (size_t)n));
		check((wire_number(p, len, v, &v) == 0) &&
		      (!v || wire_number(p, len, v - 1, &v) < 0));
	}
	if (wire_domid(p, len, &domid) == 0)
		check(wire_number(p, len, 65535, &v) == 0 && v == domid);
}

static void check_path(const struct wire_path *path)
{
	const char *name;

	check(path->len >= 1 && path->len <= WIRE_PATH_MAX && path->strip <= path->len);
	check(path->s[0] == (path->special ? '@' : '/'));
	for (size_t at = 1; path->len > 1 && at <= path->len;) {
		const size_t n = wire_component(path->s, path->len, &at, &name);

		check(n > 0 && name >= path->s && name + n <= path->s + path->len);
	}
}

static void try_path(const char *p, size_t len)
{
	char buf[WIRE_PATH_MAX], again[WIRE_PATH_MAX];
	struct wire_path path, second;

	if (wire_path_parse(p, len, "/local/domain/7/", 2048, true, buf, &path) < 0)
		return;
	check_path(&path);
	check(wire_domain_prefix(path.s, path.len) <= path.len);
	/* what is canonical stays as it is */
	check(wire_path_parse(path.s, path.len, "/x/", 2048, true, again, &second) == 0);
	check(second.s == path.s && second.len == path.len && !second.strip);
}

static void try_perm(const char *p, size_t len)
{
	char text[PERM_TEXT_MAX];
	struct perm perm, again;

	if (perm_parse(p, len, &perm) < 0)
		return;
	check(perm_parse(text, perm_format(&perm, text), &again) == 0);
	check(perm.domid == again.domid && perm.rights == again.rights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *p = malloc(size ? size
			      : 1); /* just as long as it says, so that a read too far is seen */

	check(p);
	if (size)
		memcpy(p, data, size);
	try_peek(p, size);
	try_strings(p, size);
	try_number(p, size);
	try_path(p, size);
	try_perm(p, size);
	check(wire_error_name((int)size) != NULL);
	free(p);
	return 0;
}
