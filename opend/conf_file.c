/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/conf_text.h"
#include "common/log.h"

#include "opend/conf.h"

int conf_read(const char *path, struct conf *conf)
{
	_cleanup_free_ char *text = malloc(CONF_FILE_MAX + 1);
	struct conf_mistake m;
	size_t len = 0;
	int r = text ? conf_text_read(path, text, CONF_FILE_MAX + 1, &len) : -ENOMEM;

	if (r < 0) {
		log_error(
			"cannot read %s: %s; opend.conf(5) says what belongs there, --config names "
			"another file",
			path, strerror(-r));
		return r;
	}
	r = conf_parse(conf, text, len, &m);
	if (r < 0)
		log_error("%s, line %u: %s; opend.conf(5) has the whole", path, m.line, m.why);
	return r;
}
