/* SPDX-License-Identifier: MIT */
/*
 * kill -9 before and after every store to a guest's ring: what a guest can see must be in the journal
 * before. The page that the daemon has is read-only here; each store faults, what a kill at this point would
 * leave (the journal as far as it counts, both pages) is copied, the store is done by a single step, and the
 * same is copied again. Then each of these copies gets a new daemon, the guests go on, and all that they ever read must be the same as
 * without a kill.
 *
 * Found when planted: ring_set_consumed() before state_commit(); no state_commit() before answers are sent
 * (two places see to that, both have to go); answers sent again whose index the guest could see already.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <event2/event.h>
#include <xenhost/transport.h>

#include "common/log.h"
#include "common/xen.h"
#include "tests/support/unit.h"
#include "tests/support/xs_client.h"

#define PAGE 4096u
#define GUESTS 2
#define FIRST 5u /* domid of the first guest */
#define KILLS_MAX 4096
#define STREAM_MAX 8192

/* --- the host --- */

static struct {
	int memory;   /* a page for each guest */
	int kept;     /* deposit, -1: none */
	char *daemon; /* what the daemon maps */
	struct xenstore_domain_interface *page[GUESTS];
	int event[GUESTS];
	bool told;
	xenhost_t *handle;
} host = { .memory = -1, .kept = -1 };

static int order_open(xenhost_t *h, const char *address, void **ret_state)
{
	host.handle = h;
	host.told = false;
	*ret_state = &host;
	return 0;
}

static void order_close(void *state)
{
}

static uint16_t order_domid(void *state)
{
	return 0;
}

static int order_fd(void *state)
{
	static int never = -1;

	if (never < 0)
		never = eventfd(0, EFD_CLOEXEC);
	return never;
}

static int order_process(void *state)
{
	for (unsigned int i = 0; !host.told && i < GUESTS; i++) {
		const struct xenhost_domain_info info = {
			.domid = (uint16_t)(FIRST + i),
			.kind = XENHOST_DOMAIN_GUEST,
			.state = XENHOST_DOMAIN_RUNNING,
			.unique_id = 100 + i,
		};

		xenhost_transport_domain(host.handle, &info);
	}
	host.told = true;
	return 0;
}

static int order_watch(void *state)
{
	return 0;
}

static int order_bind(void *state, uint16_t domid, uint32_t port, struct xenhost_port_fds *ret)
{
	const int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	host.event[domid - FIRST] = fd;
	*ret = (struct xenhost_port_fds){ .port = domid, .wait_fd = fd, .notify_fd = fd };
	return 0;
}

static int order_unbind(void *state, uint32_t port)
{
	return 0;
}

static int order_ack(void *state, const struct xenhost_port_fds *port)
{
	uint64_t v;

	return read(port->wait_fd, &v, sizeof(v)) == sizeof(v);
}

static int order_notify(void *state, const struct xenhost_port_fds *port)
{
	return 0;
}

static int order_map(void *state, uint16_t domid, const uint32_t *grefs, size_t n,
		     unsigned int prot, void **ret_addr, void **ret_map)
{
	*ret_addr = *ret_map = host.daemon + (domid - FIRST) * PAGE;
	return 0;
}

static void order_unmap(void *state, void *map)
{
}

static int order_put(void *state, const char *name, int fd)
{
	if (host.kept >= 0)
		close(host.kept);
	host.kept = dup(fd);
	return 0;
}

static int order_get(void *state, const char *name, int *ret_fd)
{
	if (host.kept < 0)
		return -ENOENT;
	*ret_fd = dup(host.kept);
	return 0;
}

static int order_drop(void *state, const char *name)
{
	close(host.kept);
	host.kept = -1;
	return 0;
}

static const struct xenhost_transport_ops transport = {
	.size = sizeof(transport),
	.scheme = "order",
	.features = XENHOST_F_MAP | XENHOST_F_DOMAINS,
	.open = order_open,
	.close = order_close,
	.domid = order_domid,
	.get_fd = order_fd,
	.process = order_process,
	.domain_watch = order_watch,
	.port_bind = order_bind,
	.port_close = order_unbind,
	.port_ack = order_ack,
	.port_notify = order_notify,
	.map = order_map,
	.unmap = order_unmap,
	.keep_put = order_put,
	.keep_get = order_get,
	.keep_drop = order_drop,
};

/* --- kills --- */

static struct kill {
	int step; /* of the guests */
	size_t len;
	char pages[GUESTS * PAGE] __attribute__((aligned(8)));
	char journal[];
} * kills[KILLS_MAX];

static size_t nr_kills;
static int step;

/* In signal handlers: so memory for all copies is there before, and what fails is told later. */
#define COPIES_MAX ((size_t)256 << 20)
static char *copies;
static size_t copies_len;
static bool copy_failed;

static struct kill *new_kill(void)
{
	struct kill *k = (void *)(copies + copies_len);
	uint64_t n;

	if (nr_kills == KILLS_MAX || pread(host.kept, &n, sizeof(n), 16) != sizeof(n) ||
	    copies_len + sizeof(*k) + n + 16 > COPIES_MAX)
		return NULL;
	k->step = step;
	k->len = (size_t)n;
	copies_len += (sizeof(*k) + n + 15) & ~(size_t)15;
	return k;
}

/* What was taken off the ring is the guest's again: it may have written anything there by now. */
static void scribble(struct xenstore_domain_interface *page)
{
	for (uint32_t i = page->req_prod - page->req_cons; i < sizeof(page->req); i++)
		page->req[MASK_XENSTORE_IDX(page->req_cons + i)] = '#';
}

static void note_kill(void)
{
	struct kill *k = new_kill();

	if (!k || pread(host.kept, k->journal, k->len, 0) != (ssize_t)k->len) {
		copy_failed = true;
		return;
	}
	memcpy(k->pages, host.page[0], GUESTS * PAGE);
	for (int i = 0; i < GUESTS; i++)
		scribble((void *)(k->pages + i * PAGE));
	kills[nr_kills++] = k;
}

static void protect(bool yes)
{
	mprotect(host.daemon, GUESTS * PAGE, yes ? PROT_READ : PROT_READ | PROT_WRITE);
}

/* x86: one step, then it is protected again; elsewhere only the first store of a step is looked at */
static void on_store(int sig, siginfo_t *info, void *context)
{
	const char *at = info->si_addr;

	if (at < host.daemon || at >= host.daemon + GUESTS * PAGE) {
		signal(sig, SIG_DFL);
		return;
	}
	note_kill();
	protect(false);
#if defined(__x86_64__)
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= 0x100;
#endif
}

static void on_stepped(int sig, siginfo_t *info, void *context)
{
#if defined(__x86_64__)
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
#endif
	note_kill();
	protect(true);
}

/* --- the daemon --- */

static struct server server;

static void turn(void)
{
	for (int i = 0; i < 6; i++)
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_NONBLOCK), 0);
	server_settle(&server);
}

static void start(void)
{
	memset(&server, 0, offsetof(struct server, scratch));
	service_table_init(&server.services);
	server.fixed_seed = 1;
	server.base = event_base_new();
	server.host_uri = "order:";
	ck_assert_int_eq(server_open(&server), 0);
	turn();
}

static void stop(void)
{
	server_close(&server);
	event_base_free(server.base);
}

static void control(uint32_t type, const char *payload, size_t len)
{
	const struct wire_header h = { type, 1, 0, (uint32_t)len };
	struct xs_client zero;

	xs_client_open(&zero, &server, 0);
	xs_client_send(&zero, &h, sizeof(h));
	xs_client_send(&zero, payload, len);
	ck_assert_uint_eq(((const struct wire_header *)(const void *)zero.got)->type, type);
	xs_client_close(&zero);
}

#define CONTROL(type, payload) control(type, payload, sizeof(payload) - 1)

/* --- guests --- */

static char stream[GUESTS][STREAM_MAX]; /* all that a guest ever read */
static size_t stream_len[GUESTS];

static void put(int guest, const void *data, size_t len)
{
	struct xenstore_domain_interface *page = host.page[guest];

	for (size_t i = 0; i < len; i++)
		page->req[MASK_XENSTORE_IDX(page->req_prod + i)] = ((const char *)data)[i];
	page->req_prod += (uint32_t)len;
}

static void message(int guest, uint32_t type, uint32_t tx, const char *payload, size_t len)
{
	const struct wire_header h = { type, type * 1000 + (uint32_t)step, tx, (uint32_t)len };

	put(guest, &h, sizeof(h));
	put(guest, payload, len);
}

#define SEND(guest, type, tx, payload) message(guest, type, tx, payload, sizeof(payload) - 1)

static void kick(int guest)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(host.event[guest], &one, sizeof(one)), sizeof(one));
	turn();
}

static void read_all(int guest)
{
	struct xenstore_domain_interface *page = host.page[guest];

	ck_assert_uint_le(page->rsp_prod - page->rsp_cons, 1024);
	while (page->rsp_cons != page->rsp_prod) {
		ck_assert_uint_lt(stream_len[guest], STREAM_MAX);
		stream[guest][stream_len[guest]++] = page->rsp[MASK_XENSTORE_IDX(page->rsp_cons)];
		page->rsp_cons++;
	}
}

static const struct wire_header half = { WIRE_WRITE, 77, 0, 6 };

/* What guests do; each ends with what makes the daemon look. Only what is in the rings is read. */
static bool act(void)
{
	switch (step) {
	case 0:
		SEND(0, WIRE_WRITE, 0, "x\0one");
		SEND(0, WIRE_WATCH, 0, "x\0mine\0");
		SEND(0, WIRE_WRITE, 0, "x\0two");
		break;
	case 1:
		put(0, &half, 10);
		break;
	case 2:
		put(0, (const char *)&half + 10, sizeof(half) - 10);
		put(0, "y\0half", 6);
		SEND(0, WIRE_TRANSACTION_START, 0, "\0");
		SEND(0, WIRE_WRITE, 1, "x\0three");
		SEND(0, WIRE_TRANSACTION_END, 1, "T\0");
		break;
	case 3:
		read_all(0);
		SEND(1, WIRE_READ, 0, "/local/domain/5/x\0");
		SEND(1, WIRE_WRITE, 0, "data\0of six");
		kick(1);
		break;
	case 4:
		SEND(0, WIRE_RM, 0, "x\0");
		SEND(0, WIRE_UNWATCH, 0, "x\0mine\0");
		SEND(0, WIRE_MKDIR, 0, "x\0");
		break;
	case 5: /* who asked will not ask again: it must have happened when anybody hears of it */
		CONTROL(WIRE_WRITE, "/local/domain/5/zero\0z");
		return true;
	case 6:
		CONTROL(WIRE_RM, "/local/domain/5/zero\0");
		return true;
	case 7: /* a new kernel, say: nothing that was under way counts */
		read_all(0);
		put(0, "half a", 6);
		host.page[0]->connection = XENSTORE_RECONNECT;
		break;
	case 8: /* the watch must be gone, and it was not twice */
		host.page[0]->rsp_cons = host.page[0]->rsp_prod;
		SEND(0, WIRE_WATCH, 0, "again\0mine\0");
		SEND(0, WIRE_READ, 0, "y\0");
		break;
	default:
		return false;
	}
	kick(0);
	return true;
}

static void run(int first)
{
	step = first;
	while (act())
		step++;
	for (int i = 0; i < GUESTS; i++)
		read_all(i);
}

/* --- the test --- */

static void prepare(void)
{
	copies = mmap(NULL, COPIES_MAX, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert(copies != MAP_FAILED);
	host.memory = memfd_create("pages", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(host.memory, GUESTS * PAGE), 0);
	host.daemon = mmap(NULL, GUESTS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, host.memory, 0);
	host.page[0] =
		mmap(NULL, GUESTS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, host.memory, 0);
	ck_assert(host.daemon != MAP_FAILED && host.page[0] != MAP_FAILED);
	host.page[1] = (void *)((char *)host.page[0] + PAGE);
	ck_assert_int_eq(xenhost_register_transport(&transport), 0);
	log_open("test", (enum log_level)0);
	start();
	CONTROL(WIRE_INTRODUCE, "5\0001\0001\0");
	CONTROL(WIRE_INTRODUCE, "6\0001\0001\0");
	CONTROL(WIRE_MKDIR, "/local/domain/5\0");
	CONTROL(WIRE_MKDIR, "/local/domain/6\0");
	CONTROL(WIRE_SET_PERMS, "/local/domain/5\0n5\0r6\0");
	CONTROL(WIRE_SET_PERMS, "/local/domain/6\0n6\0");
	step = 1000;
	SEND(1, WIRE_WATCH, 0, "/local/domain/5\0his\0");
	kick(1);
	read_all(1);
}

static void handle(int sig, void (*fn)(int sig, siginfo_t *info, void *context))
{
	const struct sigaction a = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO };

	ck_assert_int_eq(sigaction(sig, &a, NULL), 0);
}

/* The guests as they were in front of that step, with what they had read before it. */
static size_t had_read[16][GUESTS];

static void after_kill(const struct kill *k)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, k->journal, k->len), (ssize_t)k->len);
	order_put(&host, "", fd);
	close(fd);
	memcpy(host.page[0], k->pages, GUESTS * PAGE);
	memcpy(stream_len, had_read[k->step], sizeof(stream_len));
	start();
	run(k->step + 1);
	stop();
}

START_TEST(test_killed_at_every_store)
{
	static char expected[GUESTS][STREAM_MAX];
	size_t expected_len[GUESTS];

	prepare();
	handle(SIGSEGV, on_store);
	handle(SIGTRAP, on_stepped);
	for (step = 0;; step++) {
		bool more;

		protect(true);
		more = act();
		protect(false);
		if (!more)
			break;
		/* what is read in a step is read before it asks for anything */
		memcpy(had_read[step], stream_len, sizeof(stream_len));
	}
	for (int i = 0; i < GUESTS; i++)
		read_all(i);
	stop();
	signal(SIGSEGV, SIG_DFL);
	memcpy(expected, stream, sizeof(expected));
	memcpy(expected_len, stream_len, sizeof(expected_len));
	ck_assert(!copy_failed);
	ck_assert_uint_gt(nr_kills, 20);
	for (size_t i = 0; i < nr_kills; i++) {
		after_kill(kills[i]);
		for (int g = 0; g < GUESTS; g++)
			ck_assert_msg(stream_len[g] == expected_len[g] &&
					      !memcmp(stream[g], expected[g], expected_len[g]),
				      "kill %zu of %zu, in step %d: guest %d read something else "
				      "(%zu bytes, %zu without a kill)",
				      i, nr_kills, kills[i]->step, g, stream_len[g],
				      expected_len[g]);
	}
	printf("%zu kills\n", nr_kills);
}
END_TEST

UNIT_MAIN("xs-order", test_killed_at_every_store)
