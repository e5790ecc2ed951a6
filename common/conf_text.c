/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/conf_text.h"

int conf_text_line(const char *text, size_t len, char line[CONF_LINE_MAX], const char **ret_why)
{
	if (memchr(text, '\0', len)) {
		*ret_why = "there is a NUL byte";
		return -EINVAL;
	}
	while (len > 0 && strchr(" \t\r", text[len - 1]))
		len--;
	while (len > 0 && strchr(" \t", *text)) {
		text++;
		len--;
	}
	if (len >= CONF_LINE_MAX) {
		*ret_why = "the line is too long";
		return -EINVAL;
	}
	if (len == 0 || *text == '#')
		return 0;
	memcpy(line, text, len);
	line[len] = '\0';
	return (int)len;
}

int conf_text_read(const char *path, char *buf, size_t size, size_t *ret_len)
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
