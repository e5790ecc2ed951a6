/* SPDX-License-Identifier: MIT */
/*
 * Tracing. The library says nothing by itself; a program asks for topics with xenhost_set_log(), a person
 * with XENHOST_DEBUG=store,port,... (or all), which is read once per xenhost_open() and ignored in
 * programs with more rights than their user.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxenhost/internal.h"

#include "common/cleanup.h"

#define LINE_MAX_BYTES 512

static const struct {
	const char *name;
	unsigned int topic;
} topics[] = {
	{ "store", XENHOST_LOG_STORE },
	{ "port", XENHOST_LOG_PORT },
	{ "grant", XENHOST_LOG_GRANT },
	{ "domain", XENHOST_LOG_DOMAIN },
	{ "hypercall", XENHOST_LOG_HYPERCALL },
	{ "transport", XENHOST_LOG_TRANSPORT },
	{ "all", XENHOST_LOG_ALL },
};

static const char *topic_name(unsigned int topic)
{
	for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
		if (topics[i].topic == topic)
			return topics[i].name;
	return "?";
}

void xh_log(xenhost_t *host, unsigned int topic, const char *fmt, ...)
{
	int saved_errno = errno;
	char line[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	host->log_fn(host, topic_name(topic), line, host->log_data);
	errno = saved_errno;
}

static void to_stderr(xenhost_t *host, const char *topic, const char *line, void *data)
{
	fprintf(stderr, "xenhost %s: %s: %s\n", host->ops ? host->ops->scheme : "", topic, line);
}

static unsigned int parse(const char *list)
{
	unsigned int mask = 0;

	while (*list) {
		size_t len = strcspn(list, ",");

		for (size_t i = 0; i < ARRAY_SIZE(topics); i++)
			if (strlen(topics[i].name) == len && !memcmp(topics[i].name, list, len))
				mask |= topics[i].topic;
		list += len + (list[len] == ',');
	}
	return mask;
}

void xh_log_from_environment(xenhost_t *host)
{
	const char *list = secure_getenv("XENHOST_DEBUG");

	host->log_fn = to_stderr;
	host->log_topics = list ? parse(list) : 0;
}

int xenhost_set_log(xenhost_t *host, unsigned int mask,
		    void (*fn)(xenhost_t *host, const char *topic, const char *line, void *data),
		    void *data)
{
	if (!host || (mask & ~XENHOST_LOG_ALL) || (mask && !fn))
		return -EINVAL;
	host->log_topics = mask;
	host->log_fn = fn;
	host->log_data = data;
	return 0;
}
