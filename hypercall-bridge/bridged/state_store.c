/* SPDX-License-Identifier: MIT */
/*
 * The memfd of state.h while it is written. Only this file writes it, in an order that leaves it whole
 * wherever we are killed: first the new value beside the records, then the number that says so, then the
 * record, then the number goes. The next process sees what was stored, in the order of the stores: it
 * begins when we are dead, and the fences keep the compiler from changing the order.
 */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/fdstore.h"
#include "hypercall-bridge/bridged/state.h"

#include "common/cleanup.h"
#include "common/log.h"

struct state {
	struct fdstore *store;
	int fd;
	struct state_header *header;
	struct state_record *records;
	uint8_t nr_fds[STATE_SLOTS]; /* in use: number of descriptors + 1 */
	uint32_t first_free;	     /* none below */
};

/* The compiler alone has to keep the order: what a process has stored when it is killed gets to the memory. */
static void order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static void set(uint32_t *word, uint32_t value)
{
	order();
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	order();
}

static int make_memfd(struct state *s)
{
	s->fd = memfd_create("xenhost-bridged", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, STATE_SIZE) < 0)
		return -errno;
	return 0;
}

static int begin(struct state *s)
{
	uint64_t instance = 0;

	while (instance == 0)
		if (getrandom(&instance, sizeof(instance), 0) != sizeof(instance))
			return -errno;
	s->header->version = STATE_VERSION;
	s->header->record_size = STATE_RECORD_SIZE;
	s->header->instance = instance;
	order();
	s->header->magic = STATE_MAGIC;
	return fdstore_put(s->store, "tables", s->fd);
}

static void state_closep(struct state **s)
{
	state_close(*s);
}

int state_open(struct fdstore *store, int memfd, struct state **ret_state)
{
	_cleanup_(state_closep) struct state *s = calloc(1, sizeof(*s));
	void *addr;
	int r = 0;

	if (!s) {
		closep(&memfd);
		return -ENOMEM;
	}
	s->store = store;
	s->fd = memfd;
	if (memfd < 0)
		r = make_memfd(s);
	if (r < 0)
		return r;
	addr = mmap(NULL, STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (addr == MAP_FAILED)
		return -errno;
	s->header = addr;
	s->records = (void *)((uint8_t *)addr + STATE_HEADER_SIZE);
	if (memfd < 0)
		r = begin(s);
	else if (s->header->pending) /* as state_check() did in its copy */
		s->records[s->header->pending - 1] = s->header->record;
	if (r < 0)
		return r;
	set(&s->header->pending, 0);
	*ret_state = steal_ptr(&s);
	return 0;
}

struct state *state_close(struct state *s)
{
	if (!s)
		return NULL;
	if (s->header)
		munmap(s->header, STATE_SIZE);
	closep(&s->fd);
	free(s);
	return NULL;
}

uint64_t state_instance(const struct state *s)
{
	return s->header->instance;
}

void state_set_last_domid(struct state *s, uint16_t domid)
{
	if (s)
		set(&s->header->last_domid, domid);
}

void state_adopt(struct state *s, uint32_t number, unsigned int nr_fds)
{
	s->nr_fds[number] = (uint8_t)(nr_fds + 1);
}

static void drop_fds(struct state *s, uint32_t number, unsigned int nr)
{
	char name[STATE_NAME_SIZE];

	for (unsigned int i = 0; i < nr; i++) {
		state_fd_name(number, i, name);
		fdstore_remove(s->store, name);
	}
}

static int find_free(struct state *s, uint32_t *ret_number)
{
	uint32_t n = s->first_free;

	while (n < STATE_SLOTS && s->nr_fds[n])
		n++;
	if (n == STATE_SLOTS)
		return -ENOSPC;
	s->first_free = n;
	*ret_number = n;
	return 0;
}

int state_new(struct state *s, const int *fds, unsigned int nr_fds, uint32_t *ret_number)
{
	char name[STATE_NAME_SIZE];
	uint32_t number;
	int r;

	*ret_number = STATE_NO_SLOT;
	if (!s)
		return 0;
	r = find_free(s, &number);
	for (unsigned int i = 0; i < nr_fds && r == 0; i++) {
		state_fd_name(number, i, name);
		r = fdstore_put(s->store, name, fds[i]);
		if (r < 0)
			drop_fds(s, number, i);
	}
	if (r < 0) {
		log_warning("cannot keep %u more descriptors: %s", nr_fds, strerror(-r));
		return r;
	}
	state_adopt(s, number, nr_fds);
	*ret_number = number;
	return 0;
}

void state_write(struct state *s, uint32_t number, const struct state_record *r)
{
	if (!s || number == STATE_NO_SLOT)
		return;
	if (number >= s->header->used) {
		s->records[number].kind = STATE_FREE;
		set(&s->header->used, number + 1);
	}
	s->header->record = *r;
	set(&s->header->pending, number + 1);
	s->records[number] = *r;
	set(&s->header->pending, 0);
}

void state_free(struct state *s, uint32_t number)
{
	if (!s || number == STATE_NO_SLOT)
		return;
	if (number < s->header->used) {
		set(&s->records[number].kind, STATE_FREE);
	}
	drop_fds(s, number, s->nr_fds[number] - 1u);
	s->nr_fds[number] = 0;
	if (number < s->first_free)
		s->first_free = number;
}
