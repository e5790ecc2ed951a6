/* SPDX-License-Identifier: MIT */
/* The kept tables by themselves: their names, their checks, and a writer that is killed. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/fdstore.h"
#include "hypercall-bridge/bridged/gone.h"
#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/state.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

#define KILLS 20

static char dir[TEMPDIR_SIZE];
static int keeper = -1;
static uint8_t *bytes;

/* a keeper that only holds the socket: its queue is never read */
static void setup(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	tempdir_make(dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify", dir);
	keeper = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(keeper, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	setenv("FDSTORE", "100", 1);
	bytes = calloc(1, STATE_SIZE);
}

static void teardown(void)
{
	free(bytes);
	close(keeper);
	tempdir_remove(dir);
}

START_TEST(test_names)
{
	char name[STATE_NAME_SIZE];
	uint32_t number;
	unsigned int k;

	for (uint32_t i = 0; i < STATE_SLOTS; i += i < 100 ? 1 : 997) {
		for (unsigned int j = 0; j < STATE_FDS_MAX; j++) {
			state_fd_name(i, j, name);
			ck_assert_uint_le(strlen(name), 4);
			ck_assert_int_eq(state_fd_parse(name, &number, &k), 0);
			ck_assert_uint_eq(number, i);
			ck_assert_uint_eq(k, j);
		}
	}
	ck_assert_int_eq(state_fd_parse("", &number, &k), -EINVAL);
	ck_assert_int_eq(state_fd_parse("tables", &number, &k), -EINVAL);
	ck_assert_int_eq(state_fd_parse("zzzz", &number, &k), -EINVAL);
	ck_assert_int_eq(state_fd_parse("a:b", &number, &k), -EINVAL);
}
END_TEST

static struct state_header *fresh(void)
{
	struct state_header *h = (void *)bytes;

	memset(bytes, 0, STATE_HEADER_SIZE + 4 * STATE_RECORD_SIZE);
	h->magic = STATE_MAGIC;
	h->version = STATE_VERSION;
	h->record_size = STATE_RECORD_SIZE;
	h->instance = 1;
	h->used = 1;
	return h;
}

static struct state_record *first(void)
{
	return (void *)(bytes + STATE_HEADER_SIZE);
}

static int check(void)
{
	const char *why = NULL;
	int r = state_check(bytes, STATE_SIZE, &why);

	if (r < 0)
		ck_assert_ptr_nonnull(why);
	return r;
}

static struct state_domain *good_domain(void)
{
	fresh();
	first()->kind = STATE_DOMAIN;
	first()->domain = (struct state_domain){
		.unique_id = 5,
		.domid = 1,
		.kind = 2,
		.state = 1,
		.nr_regions = 2,
		.nr_fds = 1,
		.name = "a",
		.regions = { { .size = 4096, .kind = 0 }, { .gpa = 4096, .size = 4096 } },
	};
	return &first()->domain;
}

START_TEST(test_headers)
{
	const char *why;

	fresh();
	ck_assert_int_eq(check(), 0);
	ck_assert_int_eq(state_check(bytes, STATE_SIZE - 1, &why), -EINVAL);
	fresh()->magic++;
	ck_assert_int_eq(check(), -EINVAL);
	fresh()->version++;
	ck_assert_int_eq(check(), -EINVAL);
	fresh()->record_size++;
	ck_assert_int_eq(check(), -EINVAL);
	fresh()->instance = 0;
	ck_assert_int_eq(check(), -EINVAL);
	fresh()->used = STATE_SLOTS + 1;
	ck_assert_int_eq(check(), -EINVAL);
	fresh()->pending = 2;
	ck_assert_int_eq(check(), -EINVAL);
	fresh()->last_domid = 32000;
	ck_assert_int_eq(check(), -EINVAL);
	fresh();
	first()->kind = STATE_KINDS;
	ck_assert_int_eq(check(), -EINVAL);
}
END_TEST

START_TEST(test_domains)
{
	good_domain();
	ck_assert_int_eq(check(), 0);
	good_domain()->unique_id = 0;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->domid = 32000;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->kind = 0;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->kind = 3;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->state = 0;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->state = 4;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->name[0] = '\0';
	ck_assert_int_eq(check(), -EINVAL);
	memset(good_domain()->name, 'x', BRIDGE_NAME_MAX);
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->nr_regions = BRIDGE_REGIONS_MAX + 1;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->nr_fds = 3;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->nr_fds = 2; /* the second is nobody's */
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->regions[1].fd = 1;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->regions[1].kind = 4;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->regions[1].size = 0;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->regions[1].gpa = 1;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->regions[1].offset = 1ull << 60;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->has_secret = 2;
	ck_assert_int_eq(check(), -EINVAL);
	good_domain()->ended = 2;
	ck_assert_int_eq(check(), -EINVAL);
}
END_TEST

static struct state_channel *good_channel(void)
{
	fresh();
	first()->kind = STATE_CHANNEL;
	first()->channel = (struct state_channel){
		.ends = { { .unique_id = 1, .port = 3, .domid = 7 }, { .unique_id = 2 } },
	};
	return &first()->channel;
}

START_TEST(test_channels_and_deposits)
{
	good_channel();
	ck_assert_int_eq(check(), 0);
	good_channel()->ends[0].port = 0; /* nobody's at all */
	ck_assert_int_eq(check(), -EINVAL);
	good_channel()->ends[1].port = BRIDGE_PORTS_MAX;
	ck_assert_int_eq(check(), -EINVAL);
	good_channel()->ends[1].domid = 0x8000;
	ck_assert_int_eq(check(), -EINVAL);
	good_channel()->ends[1].unique_id = 0;
	ck_assert_int_eq(check(), -EINVAL);
	fresh();
	first()->kind = STATE_DEPOSIT;
	ck_assert_int_eq(check(), -EINVAL);
	strcpy(first()->deposit.name, "n");
	strcpy(first()->deposit.socket, "s");
	ck_assert_int_eq(check(), 0);
	memset(first()->deposit.socket, 'x', SERVICE_NAME_MAX);
	ck_assert_int_eq(check(), -EINVAL);
}
END_TEST

static struct state_gone *good_gone(void)
{
	fresh();
	first()->kind = STATE_GONE;
	first()->gone = (struct state_gone){
		.number = 1, .unique_id = 5, .domid = 1, .ended = 1, .name = "a"
	};
	return &first()->gone;
}

START_TEST(test_gone)
{
	good_gone();
	ck_assert_int_eq(check(), 0);
	ck_assert_uint_eq(state_nr_fds(first()), 0);
	good_gone()->number = 0;
	ck_assert_int_eq(check(), -EINVAL);
	good_gone()->number = 1ull << 62; /* one more must be a number, too */
	ck_assert_int_eq(check(), -EINVAL);
	good_gone()->unique_id = 0;
	ck_assert_int_eq(check(), -EINVAL);
	good_gone()->domid = 32000;
	ck_assert_int_eq(check(), -EINVAL);
	good_gone()->ended = 2;
	ck_assert_int_eq(check(), -EINVAL);
	good_gone()->name[0] = '\0';
	ck_assert_int_eq(check(), -EINVAL);
	memset(good_gone()->name, 'x', BRIDGE_NAME_MAX);
	ck_assert_int_eq(check(), -EINVAL);
}
END_TEST

static void add_gone(struct gone_table *t, unsigned int n)
{
	struct gone g = { .unique_id = n, .domid = (uint16_t)n, .name = "a" };

	gone_add(t, &g);
}

/* of more guests than there are places the newest are known, in whatever order they are read again */
START_TEST(test_gone_in_turn)
{
	struct state_gone kept = { .unique_id = 1, .domid = 4, .ended = 1, .name = "b" };
	struct gone_table t;

	ck_assert_int_eq(gone_table_init(&t, NULL), 0);
	for (unsigned int n = 1; n <= LIMIT_GONE + 3; n++)
		add_gone(&t, n);
	ck_assert_ptr_null(gone_find(&t, 3, ""));
	for (unsigned int n = 4; n <= LIMIT_GONE + 3; n++)
		ck_assert_uint_eq(gone_find(&t, n, "")->unique_id, n);
	ck_assert_uint_eq(gone_find(&t, 0, "a")->unique_id, LIMIT_GONE + 3);
	kept.number = 4; /* there already, and older ones */
	ck_assert_int_eq(gone_restore(&t, STATE_NO_SLOT, &kept), 1);
	kept.number = LIMIT_GONE + 5;
	ck_assert_int_eq(gone_restore(&t, STATE_NO_SLOT, &kept), 0);
	ck_assert_uint_eq(t.nr, kept.number);
	ck_assert_str_eq(gone_find(&t, 4, "")->name, "b");
	ck_assert_ptr_null(gone_find(&t, 5, "")); /* its place was taken */
	ck_assert_uint_eq(gone_find(&t, 7, "")->unique_id, 7);
	/* whatever number a kept one has: nobody is looked for longer, and those of long ago are not known any more */
	kept.number = 1ull << 61;
	ck_assert_int_eq(gone_restore(&t, STATE_NO_SLOT, &kept), 0);
	ck_assert_str_eq(gone_find(&t, 4, "")->name, "b");
	ck_assert_ptr_null(gone_find(&t, 7, ""));
	gone_table_fini(&t);
}
END_TEST

/* Two values that differ in every part of the record: after the kill it is one of them, never a mix. */
static void write_for_ever(struct state *s, uint32_t number)
{
	struct state_record r[2] = { { .kind = STATE_CHANNEL }, { .kind = STATE_CHANNEL } };

	for (int i = 0; i < 2; i++) {
		memset(r[i].room, i + 1, sizeof(r[i].room));
		for (int end = 0; end < 2; end++)
			r[i].channel.ends[end] = (struct state_end){ (uint64_t)i + 1, 1, 1, 0 };
	}
	for (unsigned int i = 0;; i++)
		state_write(s, number, &r[i % 2]);
}

static bool whole(const struct state_record *r)
{
	uint8_t mark = r->room[sizeof(r->room) - 1];

	for (size_t i = sizeof(struct state_channel); i < sizeof(r->room); i++)
		if (r->room[i] != mark)
			return false;
	return r->channel.ends[0].unique_id == mark && r->channel.ends[1].unique_id == mark;
}

START_TEST(test_killed_writer)
{
	struct fdstore store;
	unsigned int seen = 0;

	for (int i = 0; i < KILLS; i++) {
		int memfd = memfd_create("test", MFD_CLOEXEC);
		pid_t pid;

		ck_assert_int_eq(ftruncate(memfd, STATE_SIZE), 0);
		fresh();
		ck_assert_int_eq(pwrite(memfd, bytes, STATE_HEADER_SIZE, 0), STATE_HEADER_SIZE);
		ck_assert_int_eq(fdstore_open(&store), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			struct state *s;
			uint32_t number;

			if (state_open(&store, memfd, &s) < 0 || state_new(s, NULL, 0, &number) < 0)
				_exit(1);
			write_for_ever(s, number);
		}
		do /* until it has begun */
			ck_assert_int_eq(pread(memfd, bytes, STATE_HEADER_SIZE, 0),
					 STATE_HEADER_SIZE);
		while (((struct state_header *)(void *)bytes)->record.kind == STATE_FREE);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		ck_assert_int_eq(pread(memfd, bytes, STATE_SIZE, 0), STATE_SIZE);
		seen += ((struct state_header *)(void *)bytes)->pending != 0;
		ck_assert_int_eq(check(), 0);
		ck_assert(first()->kind == STATE_FREE || whole(first()));
		fdstore_close(&store);
		close(memfd);
	}
	ck_assert_uint_gt(seen, 0); /* else it was never in the middle of it */
}
END_TEST

UNIT_MAIN_WITH("state", setup, teardown, test_names, test_headers, test_domains,
	       test_channels_and_deposits, test_gone, test_gone_in_turn, test_killed_writer)
