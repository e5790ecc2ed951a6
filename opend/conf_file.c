/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "opend/conf.h"

static int read_file(const char *path, char *buf, size_t size, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (len < size && (n = read(fd, buf + len, size - len)) != 0) {
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int conf_read(const char *path, struct conf *conf)
{
	_cleanup_free_ char *text = malloc(CONF_FILE_MAX + 1);
	const char *why = "";
	unsigned int line = 0;
	size_t len = 0;
	int r = text ? read_file(path, text, CONF_FILE_MAX + 1, &len) : -ENOMEM;

	if (r < 0) {
		log_error(
			"cannot read %s: %s; opend.conf(5) says what belongs there, --config names "
			"another file",
			path, strerror(-r));
		return r;
	}
	r = conf_parse(conf, text, len, &line, &why);
	if (r < 0)
		log_error("%s, line %u: %s; opend.conf(5) has the whole", path, line, why);
	return r;
}
