/* SPDX-License-Identifier: MIT */
/*
 * Under systemd lines go to the journal by its own protocol, with what they are about as fields: DOMID=, DEVICE=. Lines
 * of ours have a form: "DEVICE: ..." of a device, which is TYPE-DOMID-DEVID, and "... domain N ..." of a domain.
 * That form is looked for in the format, not in what a guest or a client may have put into the text.
 */
#include "config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

#define LINE_MAX_LEN 1024
#define JOURNAL "/run/systemd/journal/socket"

static const char *log_name = "xenhost";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_prefix;	     /* standard error goes to the journal */
static int journal = -1;     /* a socket, which confined processes could not make any more */
static unsigned int log_all; /* the domain that all lines are about, 0: none */
static struct sockaddr_un journal_addr = { .sun_family = AF_UNIX };

/* systemd says which descriptor it made: what was redirected since is somebody else's */
static bool is_journals(const char *stream)
{
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open_at(const char *name, enum log_level level, const char *path)
{
	const char *stream = getenv("JOURNAL_STREAM");

	log_name = name;
	log_max = level;
	log_prefix = stream && !isatty(STDERR_FILENO);
	if (journal >= 0 || !is_journals(stream) || strlen(path) >= sizeof(journal_addr.sun_path))
		return;
	strcpy(journal_addr.sun_path, path);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void log_open(const char *name, enum log_level level)
{
	log_open_at(name, level, JOURNAL);
}

void log_set_domain(unsigned int domid)
{
	log_all = domid;
}

/* --- what a line is about --- */

/* TYPE-DOMID-DEVID at its beginning, with a colon behind: its length, 0 for none */
static size_t device_of(const char *fmt, const char *text, unsigned int *ret_domid)
{
	size_t type = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
	unsigned int domid, devid;
	int end = 0;

	if (strncmp(fmt, "%s: ", 4) != 0 || type == 0 || type > 32 || text[type] != '-')
		return 0;
	if (sscanf(text + type, "-%5u-%10u:%n", &domid, &devid, &end) != 2 || end == 0)
		return 0;
	*ret_domid = domid;
	return type + (size_t)end - 1;
}

/* "domain %u" is the first of the format that is filled in */
static void domain_of(const char *fmt, const char *text, unsigned int *ret_domid)
{
	static const char what[] = "domain %u";
	const char *at = strstr(fmt, what);
	size_t before = strcspn(fmt, "%");

	if (at && (size_t)(at - fmt) + strlen("domain ") == before)
		(void)sscanf(text + before, "%5u", ret_domid);
}

/* false: the journal does not take it */
static bool send_journal(enum log_level level, const char *fmt, char *text)
{
	char entry[LINE_MAX_LEN + 256];
	unsigned int domid = log_all;
	size_t device = device_of(fmt, text, &domid);
	int n;

	if (!device)
		domain_of(fmt, text, &domid);
	/* a line's end would be the field's */
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	n = snprintf(entry, sizeof(entry), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n",
		     (int)level, log_name, text);
	if (domid)
		n += snprintf(entry + n, sizeof(entry) - (size_t)n, "DOMID=%u\n", domid);
	if (device)
		n += snprintf(entry + n, sizeof(entry) - (size_t)n, "DEVICE=%.*s\n", (int)device,
			      text);
	return sendto(journal, entry, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT,
		      (struct sockaddr *)&journal_addr, sizeof(journal_addr)) == n;
}

/* One write per line, so that lines of several processes on one stderr do not mix. */
static void write_line(enum log_level level, const char *text)
{
	char line[LINE_MAX_LEN + 64];
	int n;

	if (log_prefix)
		n = snprintf(line, sizeof(line), "<%d>%s\n", (int)level, text);
	else
		n = snprintf(line, sizeof(line), "%s: %s\n", log_name, text);
	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say so */
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_LEN];
	va_list ap;

	if (level > log_max)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (journal < 0 || !send_journal(level, fmt, text))
		write_line(level, text);
}
