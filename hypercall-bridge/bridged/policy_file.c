/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/policy.h"

#include "common/cleanup.h"
#include "common/log.h"

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

int policy_read(const char *path, struct policy *p)
{
	_cleanup_free_ char *text = NULL;
	unsigned int line;
	const char *why;
	size_t len = 0;
	int r;

	policy_init(p);
	if (!path)
		return 0;
	text = malloc(POLICY_FILE_MAX + 1);
	r = text ? read_file(path, text, POLICY_FILE_MAX + 1, &len) : -ENOMEM;
	if (r < 0) {
		log_error("cannot read %s: %s", path, strerror(-r));
		return r;
	}
	r = policy_parse(p, text, len, &line, &why);
	if (r < 0)
		log_error("%s, line %u: %s; bridge.conf(5) has the whole", path, line, why);
	return r;
}
