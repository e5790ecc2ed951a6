/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "xenstored/buf.h"

#define SIZE_MIN 512
#define SIZE_KEEP 8192 /* an empty buffer keeps no more than that */

static int grow(struct buf *b, size_t need)
{
	size_t size = b->size ? b->size : SIZE_MIN;
	char *data;

	while (size < need)
		size *= 2;
	data = malloc(size);
	if (!data)
		return -1;
	if (b->len)
		memcpy(data, buf_head(b), b->len);
	free(b->data);
	*b = (struct buf){ data, 0, b->len, size };
	return 0;
}

char *buf_add(struct buf *b, size_t len)
{
	char *p;

	if (b->start + b->len + len > b->size) {
		if (b->len + len > b->size / 2) {
			if (grow(b, b->len + len) < 0)
				return NULL;
		} else { /* at most half is moved, and only after as much was consumed */
			memmove(b->data, buf_head(b), b->len);
			b->start = 0;
		}
	}
	p = buf_head(b) + b->len;
	b->len += len;
	return p;
}

void buf_cut(struct buf *b, size_t len)
{
	b->len = len;
}

void buf_consume(struct buf *b, size_t len)
{
	b->start += len;
	b->len -= len;
	if (b->len)
		return;
	b->start = 0;
	if (b->size > SIZE_KEEP)
		buf_fini(b);
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
