/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/conf_text.h"

/* Copies a line without the spaces around it. Its length; 0: it is empty or a comment; -EINVAL, with why */
static int copy_line(const char *text, size_t len, char line[CONF_LINE_MAX], const char **ret_why)
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

static int take_line(const char *text, size_t len, conf_line_fn *fn, void *data,
		     const char **ret_why)
{
	char line[CONF_LINE_MAX];
	int n = copy_line(text, len, line, ret_why);

	return n > 0 ? fn(data, line, (size_t)n, ret_why) : n;
}

int conf_text_lines(const char *text, size_t len, size_t max, conf_line_fn *fn, void *data,
		    struct conf_mistake *ret_mistake)
{
	struct conf_mistake m = { 1, "the file is too long" };
	int r = len > max ? -EINVAL : 0;

	while (r == 0 && len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		r = take_line(text, n, fn, data, &m.why);
		if (r < 0 || !end)
			break;
		text += n + 1;
		len -= n + 1;
		m.line++;
	}
	if (r < 0)
		*ret_mistake = m;
	return r;
}

char *conf_text_value(char *line)
{
	char *eq = strchr(line, '=');
	size_t len;

	if (!eq)
		return NULL;
	len = (size_t)(eq - line);
	while (len > 0 && strchr(" \t", line[len - 1]))
		len--;
	line[len] = '\0';
	return eq + 1 + strspn(eq + 1, " \t");
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
