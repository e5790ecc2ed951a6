/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "hypercall-bridge/bridged/policy.h"

#include "common/cleanup.h"
#include "common/conf_text.h"
#include "common/log.h"

int policy_read(const char *path, struct policy *p)
{
	_cleanup_free_ char *text = NULL;
	struct conf_mistake m;
	size_t len = 0;
	int r;

	policy_init(p);
	if (!path)
		return 0;
	text = malloc(POLICY_FILE_MAX + 1);
	r = text ? conf_text_read(path, text, POLICY_FILE_MAX + 1, &len) : -ENOMEM;
	if (r < 0) {
		log_error("cannot read %s: %s", path, strerror(-r));
		return r;
	}
	r = policy_parse(p, text, len, &m);
	if (r < 0)
		log_error("%s, line %u: %s; bridge.conf(5) has the whole", path, m.line, m.why);
	return r;
}
