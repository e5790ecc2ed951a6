/* SPDX-License-Identifier: MIT */
/*
 * xenhost-xenstored is killed at any moment under loopback guests that write, watch and read: one thread
 * each. A write's event and its answer must come once each and in order, what was answered must be there,
 * and at the end the store agrees with its accounts. A guest waits for its port alone, so an event channel
 * that got lost is seen.
 *
 * XENHOST_KILLS and XENHOST_GUESTS make it longer.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

#include <xenhost/store.h>

#include "common/xen.h"

#include "loopguest/guest.h"
#include "tests/support/daemon.h"
#include "tests/support/front.h"
#include "tests/support/set.h"

#define GUESTS_MAX 16
#define PATIENCE_MS 60000

struct worker {
	pthread_t thread;
	struct front front;
	struct guest *guest;
	uint32_t next; /* number of the next request */
	_Atomic unsigned long rounds;
	_Atomic bool failed;
};

static struct set set;
static struct worker workers[GUESTS_MAX];
static _Atomic bool stop;

static unsigned int number_from(const char *name, unsigned int otherwise, unsigned int max)
{
	const char *value = getenv(name);
	const unsigned long n = value ? strtoul(value, NULL, 10) : otherwise;

	return n && n <= max ? (unsigned int)n : otherwise;
}

static bool wrong(struct worker *w, const char *what, long a, long b)
{
	fprintf(stderr, "domain %u, round %lu: %s (%ld, %ld)\n", guest_domid(w->guest),
		atomic_load(&w->rounds), what, a, b);
	atomic_store(&w->failed, true);
	return false;
}

/* --- a guest on its ring --- */

static bool put(struct worker *w, const char *data, size_t len)
{
	struct xenstore_domain_interface *p = guest_store_page(w->guest);

	while (len) {
		const uint32_t used = p->req_prod - __atomic_load_n(&p->req_cons, __ATOMIC_ACQUIRE);
		size_t n = used <= sizeof(p->req) ? sizeof(p->req) - used : 0;

		if (!n && !guest_port_wait(guest_store_event(w->guest), PATIENCE_MS))
			return wrong(w, "no room for a request", used, 0);
		n = n < len ? n : len;
		for (size_t i = 0; i < n; i++)
			p->req[MASK_XENSTORE_IDX(p->req_prod + i)] = data[i];
		__atomic_store_n(&p->req_prod, p->req_prod + (uint32_t)n, __ATOMIC_RELEASE);
		guest_port_notify(guest_store_event(w->guest));
		data += n;
		len -= n;
	}
	return true;
}

static bool take(struct worker *w, void *data, size_t len)
{
	struct xenstore_domain_interface *p = guest_store_page(w->guest);

	for (size_t i = 0; i < len; i++) {
		while (__atomic_load_n(&p->rsp_prod, __ATOMIC_ACQUIRE) == p->rsp_cons)
			if (!guest_port_wait(guest_store_event(w->guest), PATIENCE_MS))
				return wrong(w, "nothing comes", p->rsp_prod, p->req_prod);
		((char *)data)[i] = p->rsp[MASK_XENSTORE_IDX(p->rsp_cons)];
		__atomic_store_n(&p->rsp_cons, p->rsp_cons + 1, __ATOMIC_RELEASE);
	}
	guest_port_notify(guest_store_event(w->guest));
	return true;
}

static bool send_request(struct worker *w, uint32_t type, const char *payload, size_t len)
{
	const struct xsd_sockmsg h = { .type = type, .req_id = ++w->next, .len = (uint32_t)len };
	char buf[256];

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, len);
	return put(w, buf, sizeof(h) + len);
}

static bool expect(struct worker *w, uint32_t type, const char *payload, size_t len)
{
	struct xsd_sockmsg h;
	char buf[4096];

	if (!take(w, &h, sizeof(h)))
		return false;
	if (h.len > sizeof(buf))
		return wrong(w, "an answer too long", h.type, h.len);
	if (!take(w, buf, h.len))
		return false;
	if (h.type != type || h.len != len || memcmp(buf, payload, len) != 0)
		return wrong(w, "another answer than this", h.type, type);
	if (type != XS_WATCH_EVENT && h.req_id != w->next)
		return wrong(w, "the answer to another request", h.req_id, w->next);
	return true;
}

#define REQUEST(w, type, s) send_request(w, type, s, sizeof(s) - 1)
#define EXPECT(w, type, s) expect(w, type, s, sizeof(s) - 1)

static bool one_round(struct worker *w)
{
	char value[32], payload[40] = "k";
	const int n = snprintf(value, sizeof(value), "%lu", atomic_load(&w->rounds));

	memcpy(payload + 2, value, (size_t)n);
	return send_request(w, XS_WRITE, payload, (size_t)n + 2) &&
	       EXPECT(w, XS_WATCH_EVENT, "k\0t\0") && EXPECT(w, XS_WRITE, "OK\0") &&
	       REQUEST(w, XS_READ, "k\0") && expect(w, XS_READ, value, (size_t)n);
}

static void *work(void *data)
{
	struct worker *w = data;
	bool good = REQUEST(w, XS_WATCH, "k\0t\0") && EXPECT(w, XS_WATCH, "OK\0") &&
		    EXPECT(w, XS_WATCH_EVENT, "k\0t\0");

	while (good && !atomic_load(&stop)) {
		good = one_round(w);
		atomic_fetch_add(&w->rounds, 1);
	}
	return NULL;
}

/* --- killing --- */

static void nap(long ns)
{
	const struct timespec t = { 0, ns };

	nanosleep(&t, NULL);
}

/* Every guest has had some answers since the last kill; false: one has failed. */
static bool all_went_on(unsigned int guests, const unsigned long *before)
{
	for (unsigned int i = 0; i < guests; i++)
		while (atomic_load(&workers[i].rounds) < before[i] + 3) {
			if (atomic_load(&workers[i].failed))
				return false;
			nap(200000);
		}
	return true;
}

static bool kill_often(unsigned int guests, unsigned int kills)
{
	unsigned long before[GUESTS_MAX] = { 0 };

	for (unsigned int n = 0; n < kills; n++) {
		if (!all_went_on(guests, before))
			return false;
		nap(rand() % 5000000); /* anywhere in what they do */
		for (unsigned int i = 0; i < guests; i++)
			before[i] = atomic_load(&workers[i].rounds);
		if (process_kill(&set.xenstored) < 0 ||
		    process_run_daemon(&set.xenstored, "xenstored", set.rundir, NULL) < 0) {
			fprintf(stderr, "xenstored did not start again\n");
			return false;
		}
	}
	return all_went_on(guests, before);
}

static bool start(unsigned int guests)
{
	for (unsigned int i = 0; i < guests; i++) {
		struct worker *w = &workers[i];
		char name[16];

		snprintf(name, sizeof(name), "guest%u", i);
		set_guest(&set, name, 16, &w->front);
		w->guest = w->front.guest;
		if (xenhost_store_introduce(w->front.host, guest_domid(w->guest),
					    guest_store_gfn(w->guest),
					    guest_store_port(w->guest)) < 0 ||
		    pthread_create(&w->thread, NULL, work, w))
			return false;
	}
	return true;
}

static bool finish(unsigned int guests)
{
	unsigned long rounds = 0;
	bool good = true;

	atomic_store(&stop, true);
	for (unsigned int i = 0; i < guests; i++) {
		pthread_join(workers[i].thread, NULL);
		good &= !atomic_load(&workers[i].failed);
		rounds += atomic_load(&workers[i].rounds);
		front_free(&workers[i].front);
	}
	printf("%u guests, %lu rounds\n", guests, rounds);
	return good;
}

START_TEST(test_kills)
{
	const unsigned int guests = number_from("XENHOST_GUESTS", 3, GUESTS_MAX);
	const unsigned int kills = number_from("XENHOST_KILLS", 8, 1000000);
	bool good;

	srand((unsigned int)time(NULL));
	good = start(guests);
	good = good && kill_often(guests, kills);
	good &= finish(guests);
	ck_assert(good);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loopback-store-kills");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (set_start(&set) < 0)
		return EXIT_FAILURE;
	tcase_add_test(tcase, test_kills);
	suite_add_tcase(suite, tcase);
	srunner_set_fork_status(runner, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return set_stop(&set) < 0 || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
