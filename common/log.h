/* SPDX-License-Identifier: MIT */
/*
 * Log lines of the daemons and tools, to stderr: "NAME: text"; under systemd to the journal, with the fields DOMID=
 * and DEVICE= of a line that begins with a device's name or has "domain %u" as the first thing that is filled in.
 * Where the journal does not take them, "<N>text" on stderr, whose prefix is the level. The library never calls this.
 * Threads: any.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* name must live for ever; lines above the level are dropped */
void log_open(const char *name, enum log_level level);
/* for tests: the journal's socket is at path */
void log_open_at(const char *name, enum log_level level, const char *path);
/* a process of one domain: its lines have that DOMID= where they name none */
void log_set_domain(unsigned int domid);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
