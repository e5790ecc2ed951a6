/* SPDX-License-Identifier: MIT */
/* A queue of bytes: appended at the end, consumed at the front. Pure of I/O. */
#ifndef XENSTORED_BUF_H
#define XENSTORED_BUF_H

#include <stddef.h>

struct buf {
	char *data;
	size_t start, len, size; /* data[start .. start + len) is in use */
};

static inline char *buf_head(const struct buf *b)
{
	return b->data + b->start;
}

/* len more bytes at the end, for the caller to fill. NULL: out of memory, nothing changed */
char *buf_add(struct buf *b, size_t len);
void buf_cut(struct buf *b, size_t len);     /* at the end: only len <= b->len are left */
void buf_consume(struct buf *b, size_t len); /* <= b->len; gives large memory back when empty */
void buf_fini(struct buf *b);

#endif
