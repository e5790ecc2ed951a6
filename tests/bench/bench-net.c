/* SPDX-License-Identifier: MIT */
/*
 * Processor time per frame of xenhost-netbackd, between a loopback guest and a TAP in a network of our own, beside that
 * of this process when it reads and writes such a TAP itself. Frames are many at once both times: the guest puts more into
 * the ring as long as there is room, and the TAP's queue is full before anybody reads. What is written to a TAP ends in the
 * kernel, as it is for nobody there. XENHOST_BENCH_SIZE: only one of 60, 1514, 64k; XENHOST_BENCH_WAY: only from or to the guest.
 *
 * Both have the second processor, and all run before ordinary processes there if they may (SCHED_FIFO): who is preempted
 * by others finds their data in the caches afterwards, and what ran in one piece on one side would not on the other. The
 * guest has the first processor and does not sleep, so netbackd need not wake it: what that costs depends on the host.
 */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/bench/bench.h"
#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/packet.h"

#define BARE "bare0"
#define BUFFERS 240u
#define NIC_SLOT_MAX 16u
#define LARGE 65000u
#define BATCH_BYTES (6u << 20) /* that wait in a TAP at once */
#define BATCH_MAX 480u	       /* frames: it takes 500 */
#define SPINS_MAX 2000000000ul
#define MSS 1400u

struct load {
	struct nic_frame frame; /* with the sum left blank, if it is a large one */
	struct virtio_net_hdr vnet;
	unsigned int slots, rx_slots; /* of the frame, from and to the guest */
	size_t head;		      /* in the first of them */
	clockid_t daemon;
	int bare, bare_wire, wire;
};

static struct set set;
static struct nic nic;
static struct load load;
static uint32_t tx_grefs[NIC_PAGES], rx_grefs[BUFFERS];
static uint8_t buf[sizeof(struct virtio_net_hdr) + NIC_FRAME_MAX];
static uint8_t *pages; /* as many as the guest has, for the bare reader */

/*
 * netbackd has the second processor, the guest and the wire the first; who plays netbackd's part here goes there, so that
 * frames change processors both times.
 */
static void go_to(int cpu)
{
	cpu_set_t set_of_one;

	CPU_ZERO(&set_of_one);
	CPU_SET(cpu, &set_of_one);
	(void)sched_setaffinity(0, sizeof(set_of_one), &set_of_one);
}

static bool run_first(void)
{
	const struct sched_param param = { .sched_priority = 10 };

	return sched_setscheduler(0, SCHED_FIFO, &param) == 0;
}

/* Says /proc that this thread sleeps? The state stands behind the name. */
static bool sleeps(const char *task)
{
	_cleanup_close_ int fd = -1;
	char path[300], text[256], *name_end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)set.services[0].pid, task);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	name_end = strrchr(text, ')');
	return name_end && name_end[2] == 'S';
}

static bool all_sleep(void)
{
	struct dirent *entry;
	bool all = true;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)set.services[0].pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (all && (entry = readdir(dir)))
		all = entry->d_name[0] == '.' || sleeps(entry->d_name);
	closedir(dir);
	return all;
}

/* netbackd's; when it has done its work, as the time of who runs is known to the last tick only */
static double daemon_cpu(void)
{
	struct timespec t;

	while (!all_sleep())
		;
	clock_gettime(load.daemon, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- from the guest ---- */

/* no assertions in what is done for each slot: they cost more than netbackd does */
static void put_slot(struct nic_queue *q, uint32_t gref, uint16_t flags, uint16_t id, uint16_t size)
{
	const struct netif_tx_request req = {
		.gref = gref, .flags = flags, .id = id, .size = size
	};

	memcpy(xenhost_front_ring_next(&q->tx), &req, sizeof(req));
}

static void put_gso(struct nic_queue *q)
{
	const struct netif_extra_info extra = {
		.type = XEN_NETIF_EXTRA_TYPE_GSO,
		.u.gso = { .type = load.frame.gso_type, .size = load.frame.gso_size },
	};

	memcpy(xenhost_front_ring_next(&q->tx), &extra, sizeof(extra));
}

/* as Linux does: the headers have a page of their own if there is more than one */
static void put_frame(struct nic_queue *q)
{
	const struct nic_frame *f = &load.frame;
	size_t at = load.head;
	bool gso = f->gso_type;

	put_slot(q, tx_grefs[0],
		 (uint16_t)((gso ? f->flags | NETTXF_extra_info : 0) |
			    (at < f->len ? NETTXF_more_data : 0)),
		 0, (uint16_t)f->len);
	if (gso)
		put_gso(q);
	for (unsigned int i = 1; at < f->len; i++) {
		size_t size = f->len - at < XEN_PAGE_SIZE ? f->len - at : XEN_PAGE_SIZE;

		at += size;
		put_slot(q, tx_grefs[i], at < f->len ? NETTXF_more_data : 0, (uint16_t)i,
			 (uint16_t)size);
	}
}

static void push(struct xenhost_front_ring *ring, struct guest_port *port)
{
	if (xenhost_front_ring_push(ring))
		guest_port_notify(port);
}

/* how many answers there are, all of them good; < 0: one is not */
static int take_answers(struct xenhost_front_ring *ring, unsigned int status_at)
{
	uint8_t rsp[NIC_SLOT_MAX];
	int n = 0, r;

	while ((r = xenhost_front_ring_get(ring, rsp)) > 0) {
		int16_t status;

		memcpy(&status, rsp + status_at, sizeof(status));
		/* NULL is that of an extra info */
		if (status < 0 && status != NETIF_RSP_NULL)
			return -EIO;
		n++;
	}
	return r < 0 ? r : n;
}

static double ours_tx(void *data, unsigned int n)
{
	struct nic_queue *q = &nic.q[0];
	unsigned int left = n * load.slots;
	double before = daemon_cpu();
	unsigned long spins = 0;

	while (left > 0) {
		bool any = false;
		int r;

		for (; n > 0 && xenhost_front_ring_free(&q->tx) >= load.slots; n--, any = true)
			put_frame(q);
		if (any)
			push(&q->tx, &q->tx_port);
		r = take_answers(&q->tx, 2);
		if (r < 0 || (r == 0 && ++spins > SPINS_MAX))
			return -1;
		left -= (unsigned int)r;
	}
	return daemon_cpu() - before;
}

static double bare_tx(void *data, unsigned int n)
{
	size_t len = sizeof(load.vnet) + load.frame.len;
	double before;

	memcpy(buf, &load.vnet, sizeof(load.vnet));
	memcpy(buf + sizeof(load.vnet), load.frame.data, load.frame.len);
	go_to(1);
	before = bench_cpu();
	while (n-- > 0)
		if (write(load.bare, buf, len) != (ssize_t)len)
			return -1;
	before = bench_cpu() - before;
	go_to(0);
	return before;
}

/* ---- to the guest ---- */

static bool fill_tap(int wire, unsigned int n)
{
	size_t len = sizeof(load.vnet) + load.frame.len;

	memcpy(buf, &load.vnet, sizeof(load.vnet));
	memcpy(buf + sizeof(load.vnet), load.frame.data, load.frame.len);
	while (n-- > 0)
		if (send(wire, buf, len, 0) != (ssize_t)len) {
			printf("the wire takes no frame: %s\n", strerror(errno));
			return false;
		}
	return true;
}

static void post(struct nic_queue *q, uint16_t i)
{
	const struct netif_rx_request req = { .id = i, .gref = rx_grefs[i] };

	memcpy(xenhost_front_ring_next(&q->rx), &req, sizeof(req));
}

static unsigned int rx_batch(void)
{
	unsigned int n = BATCH_BYTES / (unsigned int)load.frame.len;

	return n < BATCH_MAX ? n : BATCH_MAX;
}

/* Answered in order, so that the buffers are posted in order, too. Not more than the frames need: none is left. */
static bool take_batch(struct nic_queue *q, unsigned int slots)
{
	unsigned int posted = 0, taken = 0;
	unsigned long spins = 0;

	while (taken < slots) {
		bool any = false;
		int r;

		for (; posted < slots && posted - taken < BUFFERS; posted++, any = true)
			post(q, (uint16_t)(posted % BUFFERS));
		if (any)
			push(&q->rx, &q->rx_port);
		r = take_answers(&q->rx, 6);
		if (r < 0 || (r == 0 && ++spins > SPINS_MAX))
			return false;
		taken += (unsigned int)r;
	}
	return true;
}

/* The guest has no buffers while the TAP is filled, so netbackd sleeps then. */
static double ours_rx(void *data, unsigned int n)
{
	double before = daemon_cpu();

	while (n > 0) {
		unsigned int batch = rx_batch() < n ? rx_batch() : n;

		if (!fill_tap(load.wire, batch) || !take_batch(&nic.q[0], batch * load.rx_slots))
			return -1;
		n -= batch;
	}
	return daemon_cpu() - before;
}

static bool read_bare(unsigned int i)
{
	size_t each = load.rx_slots, place = i % (BUFFERS / each) * each;

	return read(load.bare, pages + place * XEN_PAGE_SIZE, each * XEN_PAGE_SIZE) ==
	       (ssize_t)(sizeof(load.vnet) + load.frame.len);
}

static double bare_rx(void *data, unsigned int n)
{
	double sum = 0;

	while (n > 0) {
		unsigned int batch = rx_batch() < n ? rx_batch() : n;
		double before;

		if (!fill_tap(load.bare_wire, batch))
			return -1;
		go_to(1);
		before = bench_cpu();
		for (unsigned int i = 0; i < batch; i++)
			if (!read_bare(i))
				return -1;
		sum += bench_cpu() - before;
		go_to(0);
		n -= batch;
	}
	return sum;
}

/* ---- set-up ---- */

static int open_wire(const char *interface)
{
	int one = 1,
	    s = nic_open_wire(interface, 0); /* hears nothing; a frame says itself what it is */

	ck_assert_int_eq(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	ck_assert_int_eq(setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)), 0);
	return s;
}

static void bare_ioctl(int s, unsigned long request, struct ifreq *ifr)
{
	strcpy(ifr->ifr_name, BARE);
	ck_assert_int_eq(ioctl(s, request, ifr), 0);
}

/* as netbackd's for such a guest */
static void open_bare(void)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE },
		     mtu = { .ifr_mtu = 65521 }, up = { .ifr_flags = IFF_UP };

	pages = aligned_alloc(XEN_PAGE_SIZE, (size_t)BUFFERS * XEN_PAGE_SIZE);
	ck_assert_ptr_nonnull(pages);
	load.bare = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	bare_ioctl(load.bare, TUNSETIFF, &ifr);
	ck_assert_int_eq(ioctl(load.bare, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
	bare_ioctl(s, SIOCSIFMTU, &mtu);
	bare_ioctl(s, SIOCSIFFLAGS, &up);
	load.bare_wire = open_wire(BARE);
}

static void open_guest(void)
{
	static const struct nic_config config = {
		.split = true, .sg = true, .gso4 = true, .gso6 = true, .csum6 = true
	};
	struct nic_queue *q = &nic.q[0];

	nic_make(&nic, &set, "bench", NULL);
	front_write(&nic.front, XENHOST_FRONT, "mtu", "65521");
	nic_start(&nic);
	nic_connect(&nic, &config);
	nic_wire_up(&nic);
	nic_use_up_buffers(q);
	/* nobody is to hear what the guest sends */
	closep(&nic.wire);
	nic.wire = -1;
	load.wire = open_wire(nic.tap);
	for (unsigned int i = 0; i < NIC_PAGES; i++)
		tx_grefs[i] = guest_grant(nic.guest, SET_NETBACK, q->pages[i], true);
	for (unsigned int i = 0; i < BUFFERS; i++)
		rx_grefs[i] =
			guest_grant(nic.guest, SET_NETBACK, guest_new_frame(nic.guest), false);
}

static void make_frame(size_t len)
{
	struct packet p = { .protocol = IPPROTO_TCP, .port = 5, .payload = len };

	memset(&load.vnet, 0, sizeof(load.vnet));
	if (len <= XEN_PAGE_SIZE) {
		nic_fill(&load.frame, len, 1);
		load.slots = load.rx_slots = 1;
		load.head = len;
	} else {
		p.payload = len - packet_headers(false, IPPROTO_TCP);
		packet_make(&load.frame, &p, 1, 2, true);
		load.frame.gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
		load.frame.gso_size = MSS;
		load.vnet = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = 54,
			.gso_size = MSS,
			.csum_start = 34,
			.csum_offset = 16,
		};
		load.rx_slots = (unsigned int)((len + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE) + 1;
		load.head = packet_headers(false, IPPROTO_TCP);
		load.slots =
			(unsigned int)((len - load.head + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE) + 2;
	}
	memcpy(guest_page(nic.guest, nic.q[0].pages[0]), load.frame.data, load.head);
	for (size_t at = load.head, i = 1; at < len; at += XEN_PAGE_SIZE, i++)
		memcpy(guest_page(nic.guest, nic.q[0].pages[i]), load.frame.data + at,
		       len - at < XEN_PAGE_SIZE ? len - at : XEN_PAGE_SIZE);
}

static bool both_ways(const char *name, size_t len, unsigned int n, double goal)
{
	char tx[32], rx[32];
	struct bench_pair from = { tx, ours_tx, bare_tx, NULL, n, n, goal };
	struct bench_pair to = { rx, ours_rx, bare_rx, NULL, n, n, goal };
	const char *only = getenv("XENHOST_BENCH_SIZE"), *way = getenv("XENHOST_BENCH_WAY");
	bool met = true;

	if (only && strcmp(only, name))
		return true;
	make_frame(len);
	snprintf(tx, sizeof(tx), "net-from-guest-%s", name);
	snprintf(rx, sizeof(rx), "net-to-guest-%s", name);
	if (!way || !strcmp(way, "from"))
		met &= bench_run(&from);
	if (!way || !strcmp(way, "to"))
		met &= bench_run(&to);
	return met;
}

/* A test because what plays the front end speaks in assertions. */
START_TEST(all)
{
	bool met;

	open_bare();
	open_guest();
	ck_assert_int_eq(clock_getcpuclockid(set.services[0].pid, &load.daemon), 0);
	met = both_ways("60", 60, 40000, 1.5);
	met &= both_ways("1514", 1514, 40000, 1.3);
	met &= both_ways("64k", LARGE, 8000, 1.1);
	nic_close(&nic);
	ck_assert_msg(met, "a goal was missed");
}
END_TEST

int main(void)
{
	const char *const args[] = { "--threads", "1", NULL };
	Suite *s = suite_create("bench-net");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun\n");
		return EXIT_FAILURE;
	}
	if (!run_first())
		printf("no SCHED_FIFO: others disturb\n");
	go_to(1);
	if (set_start_with(&set, "netbackd", args) < 0)
		return EXIT_FAILURE;
	go_to(0);
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, all);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return set_stop(&set) == 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
