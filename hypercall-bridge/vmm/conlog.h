/* SPDX-License-Identifier: MIT */
/*
 * The console's log: a file that never grows beyond its cap. When it is full, what is in it moves to a
 * second one, FILE.1, whose old content is gone; both are held open all the time, because a confined vmm
 * opens nothing. A guest that prints faster than the rate loses lines, and the log says how many bytes.
 * Time is the caller's, so that tests need no clock. Not thread safe.
 */
#ifndef HYPERCALL_BRIDGE_VMM_CONLOG_H
#define HYPERCALL_BRIDGE_VMM_CONLOG_H

#include <stddef.h>
#include <stdint.h>

#define CONLOG_CAP_MIN 4096u

struct conlog;

struct conlog_config {
	const char *path;
	uint64_t cap; /* bytes of each of the two files */
	uint64_t
		rate; /* bytes a second on the average, with bursts of ten seconds' worth; 0: any */
};

/* appends to what is there. 0 or -errno */
int conlog_open(const struct conlog_config *config, uint64_t now_ns, struct conlog **ret);
struct conlog *conlog_close(struct conlog *l);

/* 0, or -errno of the first write that failed: the log is closed then, and writes are ignored */
int conlog_write(struct conlog *l, const char *buf, size_t len, uint64_t now_ns);

#endif
