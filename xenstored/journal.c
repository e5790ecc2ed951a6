/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "xenstored/journal.h"

#define SIZE_STEP (256u << 10)

struct file_head {
	char magic[7];
	uint8_t version;
	uint64_t generation;
	uint64_t committed; /* journal_commit() knows that this is at 16 */
	uint64_t spare;
};

static const char magic[7] = "xsjrnl";

_Static_assert(offsetof(struct file_head, committed) == 16, "journal_commit()");
_Static_assert(sizeof(struct file_head) == 32, "no holes");

/* The memory is taken now: a write to it must not end the daemon later. */
static int resize(struct journal *j, size_t size)
{
	void *map;

	if (fallocate(j->fd, 0, 0, (off_t)size) < 0)
		return -errno;
	map = j->map ? mremap(j->map, j->size, size, MREMAP_MAYMOVE)
		     : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
#ifdef MADV_POPULATE_WRITE /* all at once is cheaper than a fault for each page; it may fail */
	(void)madvise((char *)map + j->size, size - j->size, MADV_POPULATE_WRITE);
#endif
	j->map = map;
	j->size = size;
	return 0;
}

/* Not much more than is needed: it is memory. */
static size_t size_for(size_t need)
{
	return (need + need / 32 + SIZE_STEP - 1) & ~(size_t)(SIZE_STEP - 1);
}

int journal_new(uint64_t generation, struct journal *ret_journal)
{
	struct journal j = { .fd = memfd_create("xenstored", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	struct file_head h = { .version = JOURNAL_VERSION,
			       .generation = generation,
			       .committed = sizeof(h) };
	int r;

	if (j.fd < 0)
		return -errno;
	r = fcntl(j.fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0 ? -errno : resize(&j, SIZE_STEP);
	if (r < 0) {
		journal_close(&j);
		return r;
	}
	memcpy(h.magic, magic, sizeof(magic));
	memcpy(j.map, &h, sizeof(h));
	j.end = j.committed = sizeof(h);
	*ret_journal = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (j->map)
		munmap(j->map, j->size);
	closep(&j->fd);
	*j = (struct journal){ .fd = -1 };
}

void journal_spoil(struct journal *j)
{
	if (j->map)
		memset(j->map, 0, sizeof(magic));
}

void journal_append(struct journal *j, const struct journal_record *r)
{
	const size_t need = j->end + journal_room(r);

	if (j->failed)
		return;
	if (need > j->size && resize(j, size_for(need)) < 0) {
		j->failed = true;
		return;
	}
	j->end += journal_encode(&j->past, r, j->map + j->end);
}

static int check_head(const struct file_head *h, uint64_t size)
{
	if (memcmp(h->magic, magic, sizeof(magic)))
		return -EPROTO;
	if (h->version != JOURNAL_VERSION)
		return -EPROTONOSUPPORT;
	return h->committed < sizeof(*h) || h->committed > size ? -EPROTO : 0;
}

int journal_view_open(int fd, struct journal_view *ret_view)
{
	struct file_head h;
	struct stat st;
	char *map;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(h))
		return -EPROTO;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	memcpy(&h, map, sizeof(h));
	r = check_head(&h, (uint64_t)st.st_size);
	if (r < 0) {
		munmap(map, (size_t)st.st_size);
		return r;
	}
	*ret_view = (struct journal_view){ .map = map,
					   .size = (size_t)st.st_size,
					   .end = (size_t)h.committed,
					   .generation = h.generation };
	return 0;
}

void journal_view_close(struct journal_view *v)
{
	if (v->map)
		munmap(v->map, v->size);
	*v = (struct journal_view){ 0 };
}

int journal_view_next(struct journal_view *v, size_t *at, struct journal_record *ret_record)
{
	const size_t start = *at ? *at : sizeof(struct file_head);
	int64_t n;

	if (!*at)
		v->past.path_len = v->past.nr_perms = 0;
	if (start >= v->end)
		return 0;
	n = journal_decode(&v->past, v->map + start, v->end - start, ret_record);
	if (n < 0)
		return (int)n;
	*at = start + (size_t)n;
	return 1;
}
