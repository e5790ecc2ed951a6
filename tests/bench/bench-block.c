/* SPDX-License-Identifier: MIT */
/*
 * Random reads of a disk, by a loopback guest through xenhost-blkbackd, by a vhost-user-blk client through
 * qemu-storage-daemon (its best set-up of those known), and by this process itself with io_uring, in turns.
 * All three are driven by the same loop, which with a service looks for answers for 200 us before it sleeps, as KVM does for a
 * processor of a guest that has nothing to do (halt_poll_ns); bare io_uring is as in any program. The services have the last
 * processor for themselves, this process the first one; all have real-time priority where that may be had, so that
 * what else runs on the machine counts less. XENHOST_BENCH_DIR: folder on the disk to be measured
 * (default: /var/tmp); XENHOST_BENCH_ONLY: the name of one figure.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <liburing.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/bench/bench.h"
#include "tests/bench/vhost_blk.h"
#include "tests/support/disk.h"

#define FILE_SIZE (256ull << 20)
#define ROUNDS 9
#define ROUNDS_DISK 31 /* of 300 ms: the disk of a shared machine varies by a fifth between them */
#define ROUND_NS 3e8
#define DEPTH_MAX VHOST_BLK_DEPTH
#define NULL_GOAL 2e6
#define LOOK_NS 2e5

/* who does the reads */
struct target {
	void (*put)(unsigned int id, uint64_t sector);
	void (*push)(void);
	int (*take)(void); /* an id, -1 none, other: failed */
	bool (*wait)(void);
	pid_t service; /* 0: none but us */
};

struct result {
	double rate; /* per second; 0: it failed */
	double cpu;  /* of the service, ns per read */
};

/* a figure: where and how is read */
struct load {
	const char *name;
	const char *file; /* NULL: no medium */
	const char *peer; /* qemu-storage-daemon's blockdev, %s is the file */
	unsigned int depth, pages;
	int rounds;
};

static struct set set;
static struct disk disk;
static struct vhost_blk *peer;
static const struct load *load;
static cpu_set_t client_cpu, service_cpu;

static struct {
	struct io_uring ring;
	int fd;
	uint8_t *memory;
} bare;

static uint32_t grefs[DEPTH_MAX * DISK_SEGS_MAX];
static uint32_t indirect[DEPTH_MAX];

/* --- ours: without assertions, as each is a system call of Check's --- */

static void put_segs(uint8_t *where, unsigned int id)
{
	for (unsigned int s = 0; s < load->pages; s++, where += 8) {
		memcpy(where, &grefs[id * load->pages + s], 4);
		where[4] = 0;
		where[5] = 7;
	}
}

static void ours_put(unsigned int id, uint64_t sector)
{
	uint8_t *slot = xenhost_front_ring_next(&disk.queues[0].ring);
	uint64_t id64 = id;
	uint16_t nr = (uint16_t)load->pages;

	memcpy(slot + 8, &id64, 8);
	memcpy(slot + 16, &sector, 8);
	if (nr <= 11) {
		slot[0] = BLKIF_OP_READ;
		slot[1] = (uint8_t)nr;
		put_segs(slot + 24, id);
		return;
	}
	slot[0] = BLKIF_OP_INDIRECT;
	slot[1] = BLKIF_OP_READ;
	memcpy(slot + 2, &nr, 2);
	memcpy(slot + 28, &indirect[id], 4);
	put_segs(guest_page(disk.guest, disk.requests[id].indirect_frame), id);
}

static void ours_push(void)
{
	disk_publish(&disk);
}

static int ours_take(void)
{
	uint8_t rsp[112];
	int16_t status;

	if (xenhost_front_ring_get(&disk.queues[0].ring, rsp) <= 0)
		return -1;
	memcpy(&status, rsp + 10, sizeof(status));
	return status == BLKIF_RSP_OKAY ? rsp[0] : -EIO;
}

/* An event is asked for, also when it finds us awake. */
static bool ours_wait(void)
{
	struct disk_queue *q = &disk.queues[0];
	double end = bench_now() + LOOK_NS;

	if (xenhost_front_ring_arm(&q->ring))
		return true;
	while (bench_now() < end)
		if (vhost_blk_look(q->port.wait_fd))
			return true;
	return guest_port_wait(&q->port, DISK_PATIENCE_MS);
}

static void ours_open(void)
{
	disk_prepare(&disk, &set, load->name, "r", load->file);
	if (!load->file)
		front_write(&disk.front, XENHOST_BACK, "params", "null:256M");
	front_start(&disk.front);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	for (unsigned int id = 0; id < load->depth; id++) {
		struct disk_request *q = &disk.requests[id];

		for (unsigned int s = 0; s < load->pages; s++)
			grefs[id * load->pages + s] =
				guest_grant(disk.guest, SET_BLKBACK, q->frames[s], false);
		indirect[id] = guest_grant(disk.guest, SET_BLKBACK, q->indirect_frame, true);
	}
}

/* --- the peer --- */

static void peer_put(unsigned int id, uint64_t sector)
{
	vhost_blk_put(peer, id, sector);
}

static void peer_push(void)
{
	vhost_blk_push(peer);
}

static int peer_take(void)
{
	return vhost_blk_take(peer);
}

static bool peer_wait(void)
{
	double end = bench_now() + LOOK_NS;

	if (vhost_blk_arm(peer))
		return true;
	while (bench_now() < end)
		if (vhost_blk_look(vhost_blk_fd(peer)))
			return true;
	return vhost_blk_wait(peer, DISK_PATIENCE_MS);
}

static int spawn_and_wait(char *const *argv)
{
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static pid_t read_pid(const char *path)
{
	FILE *f = fopen(path, "re");
	int pid = 0;

	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid;
}

/* The server's parent ends when it listens. 0: it does not run */
static pid_t peer_open(void)
{
	char blockdev[512], export[256], sock[128], pidfile[128];
	char *argv[] = { (char *)"qemu-storage-daemon",
			 (char *)"--daemonize",
			 (char *)"--pidfile",
			 pidfile,
			 (char *)"--object",
			 (char *)"iothread,id=io0",
			 (char *)"--blockdev",
			 blockdev,
			 (char *)"--export",
			 export,
			 NULL };
	int n;

	snprintf(sock, sizeof(sock), "%s/peer.sock", set.rundir);
	snprintf(pidfile, sizeof(pidfile), "%s/peer.pid", set.rundir);
	n = snprintf(blockdev, sizeof(blockdev), "node-name=n0,%s", load->peer);
	if (load->file)
		snprintf(blockdev + n, sizeof(blockdev) - (size_t)n,
			 ",driver=file,locking=off,read-only=on,filename=%s", load->file);
	snprintf(export, sizeof(export),
		 "type=vhost-user-blk,id=e0,node-name=n0,iothread=io0,addr.type=unix,addr.path=%s",
		 sock);
	sched_setaffinity(0, sizeof(service_cpu), &service_cpu);
	n = spawn_and_wait(argv);
	sched_setaffinity(0, sizeof(client_cpu), &client_cpu);
	if (n < 0 || vhost_blk_open(sock, load->pages * 4096ul, &peer) < 0)
		return 0;
	return read_pid(pidfile);
}

static void peer_close(pid_t pid)
{
	peer = vhost_blk_close(peer);
	if (pid > 0)
		kill(pid, SIGTERM);
}

/* --- nobody --- */

static void bare_put(unsigned int id, uint64_t sector)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&bare.ring);
	size_t size = load->pages * 4096ul;

	io_uring_prep_read(sqe, bare.fd, bare.memory + id * size, (unsigned int)size, sector * 512);
	io_uring_sqe_set_data64(sqe, id);
}

static void bare_push(void)
{
}

static int bare_take(void)
{
	struct io_uring_cqe *cqe;
	int id;

	if (io_uring_peek_cqe(&bare.ring, &cqe) != 0)
		return -1;
	id = cqe->res == (int)(load->pages * 4096) ? (int)io_uring_cqe_get_data64(cqe) : -EIO;
	io_uring_cqe_seen(&bare.ring, cqe);
	return id;
}

static bool bare_wait(void)
{
	return io_uring_submit_and_wait(&bare.ring, 1) >= 0;
}

static bool bare_open(void)
{
	bare.fd = open(load->file, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (bare.fd < 0)
		bare.fd = open(load->file, O_RDONLY | O_CLOEXEC);
	bare.memory = aligned_alloc(4096, load->depth * load->pages * 4096ul);
	return bare.fd >= 0 && bare.memory && io_uring_queue_init(load->depth, &bare.ring, 0) == 0;
}

static void bare_close(void)
{
	io_uring_queue_exit(&bare.ring);
	free(bare.memory);
	close(bare.fd);
}

/* --- measuring --- */

static struct target ours = { ours_put, ours_push, ours_take, ours_wait, 0 };
static struct target theirs = { peer_put, peer_push, peer_take, peer_wait, 0 };
static struct target nobody = { bare_put, bare_push, bare_take, bare_wait, 0 };

static uint64_t random_sector(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % (FILE_SIZE / 4096 / load->pages) * load->pages * 8;
}

static double cpu_of(pid_t pid)
{
	struct timespec t = { 0 };
	clockid_t clock;

	if (pid > 0 && clock_getcpuclockid(pid, &clock) == 0)
		clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Takes what is done and, with `more`, puts as many again. How many; -EIO */
static int turn(const struct target *t, bool more)
{
	int id, n = 0;

	while ((id = t->take()) >= 0) {
		n++;
		if (more)
			t->put((unsigned int)id, random_sector());
	}
	if (id != -1)
		return -EIO;
	if (n > 0 && more)
		t->push();
	return n;
}

static struct result measure(const struct target *t)
{
	double start = bench_now(), cpu = cpu_of(t->service);
	unsigned int under_way = load->depth;
	unsigned long long done = 0;

	for (unsigned int id = 0; id < load->depth; id++)
		t->put(id, random_sector());
	t->push();
	while (under_way > 0) {
		bool more = bench_now() - start < ROUND_NS;
		int n = turn(t, more);

		if (n < 0 || (n == 0 && !t->wait()))
			return (struct result){ 0 };
		done += (unsigned int)n;
		if (!more)
			under_way -= (unsigned int)n;
	}
	return (struct result){ (double)done / (bench_now() - start) * 1e9,
				(cpu_of(t->service) - cpu) / (double)done };
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values)
{
	size_t n = (size_t)load->rounds;
	double sorted[ROUNDS_DISK];

	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return sorted[n / 2];
}

/* medians of each, and of the rounds' ratios of ours to another */
struct summary {
	double rate[3], cpu[3], to_peer, to_bare, cpu_to_peer, bare_cpu_to_peer;
};

/* one of each; who was first is last the next time */
static bool run_round(int round, int nr_targets, double (*rate)[ROUNDS_DISK],
		      double (*cpu)[ROUNDS_DISK])
{
	const struct target *const targets[] = { &ours, &theirs, &nobody };

	for (int n = 0; n < nr_targets; n++) {
		int t = round % 2 ? nr_targets - 1 - n : n;
		struct result r = measure(targets[t]);

		if (r.rate <= 0)
			return false;
		rate[t][round] = r.rate;
		cpu[t][round] = r.cpu;
	}
	return true;
}

static double median_ratio(const double *a, const double *b)
{
	double ratio[ROUNDS_DISK];

	for (int i = 0; i < load->rounds; i++)
		ratio[i] = a[i] / b[i];
	return median(ratio);
}

static bool run_rounds(bool with_bare, struct summary *ret_summary)
{
	double rate[3][ROUNDS_DISK], cpu[3][ROUNDS_DISK];
	int nr_targets = 2 + with_bare;

	if (!run_round(0, nr_targets, rate, cpu)) /* for nothing */
		return false;
	for (int round = 0; round < load->rounds; round++)
		if (!run_round(round, nr_targets, rate, cpu))
			return false;
	*ret_summary = (struct summary){
		.rate = { median(rate[0]), median(rate[1]), with_bare ? median(rate[2]) : 0 },
		.cpu = { median(cpu[0]), median(cpu[1]), with_bare ? median(cpu[2]) : 0 },
		.to_peer = median_ratio(rate[0], rate[1]),
		.to_bare = with_bare ? median_ratio(rate[0], rate[2]) : 0,
		.cpu_to_peer = median_ratio(cpu[0], cpu[1]),
		.bare_cpu_to_peer = with_bare ? median_ratio(cpu[2], cpu[1]) : 0,
	};
	return true;
}

static bool goal(const char *what, double measured, const char *relation, double wanted)
{
	bool met = relation[0] == '>' ? measured >= wanted : measured <= wanted;

	printf("GOAL %s-%s: %.2f (goal %s %.2f) %s\n", load->name, what, measured, relation, wanted,
	       met ? "met" : "MISSED");
	return met;
}

static double per(unsigned long long n, unsigned long long each)
{
	return (double)n / (each ? (double)each : 1);
}

static bool compare_all(const struct load *l, struct summary *ret_summary)
{
	bool done = false;

	load = l;
	ours_open();
	theirs.service = peer_open();
	if (!theirs.service)
		printf("%s: qemu-storage-daemon does not run\n", l->name);
	else if (l->file && !bare_open())
		printf("%s: no io_uring on %s\n", l->name, l->file);
	else
		done = run_rounds(l->file != NULL, ret_summary);
	if (done)
		printf("%s: %.1f requests for each event from the guest, %.1f for each to it\n",
		       l->name, per(disk_stat(&disk, "requests"), disk_stat(&disk, "events")),
		       per(disk_stat(&disk, "requests"), disk_stat(&disk, "notifies")));
	if (done)
		printf("%s: ours %.0f/s (%.0f ns of CPU each), qemu-storage-daemon %.0f/s (%.0f ns), bare io_uring %.0f/s (%.0f ns)\n",
		       l->name, ret_summary->rate[0], ret_summary->cpu[0], ret_summary->rate[1],
		       ret_summary->cpu[1], ret_summary->rate[2], ret_summary->cpu[2]);
	else
		printf("GOAL %s: failed MISSED\n", l->name);
	if (l->file && theirs.service)
		bare_close();
	peer_close(theirs.service);
	disk_close(&disk);
	return done;
}

/* --- figures --- */

static bool make_file(const char *path)
{
	static uint8_t block[1 << 20];
	_cleanup_close_ int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	memset(block, 0x5a, sizeof(block));
	for (uint64_t at = 0; fd >= 0 && at < FILE_SIZE; at += sizeof(block))
		if (pwrite(fd, block, sizeof(block), (off_t)at) != sizeof(block))
			return false;
	return fd >= 0 && fsync(fd) == 0;
}

static bool wanted(const char *name)
{
	const char *only = getenv("XENHOST_BENCH_ONLY");

	return !only || !strcmp(only, name);
}

static bool null_disk(void)
{
	static const struct load l = {
		.name = "block-null-4k-qd32",
		.peer = "driver=null-co,size=2147483648,read-zeroes=off",
		.depth = 32,
		.pages = 1,
		.rounds = ROUNDS,
	};
	struct summary s;

	if (!wanted(l.name))
		return true;
	if (!compare_all(&l, &s))
		return false;
	/* one of the two is asked for */
	return s.rate[0] >= NULL_GOAL ? goal("per-second", s.rate[0], ">=", NULL_GOAL)
				      : goal("to-peer", s.to_peer, ">=", 5);
}

static bool on_disk(const char *file)
{
	const char *blockdev = "aio=io_uring,cache.direct=on";
	const struct load small = { "block-disk-4k-qd32", file, blockdev, 32, 1, ROUNDS_DISK };
	const struct load large = { "block-disk-128k-qd8", file, blockdev, 8, 32, ROUNDS_DISK };
	bool met = true;
	struct summary s;

	if (wanted(small.name)) {
		met &= compare_all(&small, &s) && goal("to-bare", s.to_bare, ">=", 0.97);
		/* where this is more than 0.4, the kernel's part alone is */
		printf("%s: CPU of bare io_uring is %.2f of the peer's\n", small.name,
		       s.bare_cpu_to_peer);
		met &= goal("cpu-to-peer", s.cpu_to_peer, "<=", 0.4);
	}
	if (wanted(large.name))
		met &= compare_all(&large, &s) && goal("to-bare", s.to_bare, ">=", 0.97);
	return met;
}

/* threads are what the peer does best there */
static bool on_tmpfs(const char *file)
{
	const struct load one = { "block-tmpfs-4k-qd1", file, "aio=threads", 1, 1, ROUNDS };
	const struct load many = { "block-tmpfs-4k-qd32", file, one.peer, 32, 1, ROUNDS };
	bool met = true;
	struct summary s;

	if (wanted(one.name))
		met &= compare_all(&one, &s) && goal("to-peer", s.to_peer, ">=", 4);
	if (wanted(many.name))
		met &= compare_all(&many, &s) && goal("to-peer", s.to_peer, ">=", 3);
	return met;
}

static bool with_file(const char *dir, bool (*figures)(const char *file))
{
	char path[256];
	bool met = false;

	snprintf(path, sizeof(path), "%s/xenhost-bench-%d", dir, (int)getpid());
	if (make_file(path))
		met = figures(path);
	else
		printf("GOAL block: no file in %s MISSED\n", dir);
	unlink(path);
	return met;
}

/* A test because what plays the front end speaks in assertions. */
START_TEST(all)
{
	const char *dir = getenv("XENHOST_BENCH_DIR");
	bool met = null_disk();

	met &= with_file("/dev/shm", on_tmpfs);
	met &= with_file(dir ? dir : "/var/tmp", on_disk);
	ck_assert_msg(met, "a goal was missed");
}
END_TEST

static void share_processors(void)
{
	cpu_set_t cpus;
	int first = -1, last = -1;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &cpus))
			continue;
		if (first < 0)
			first = i;
		last = i;
	}
	CPU_ZERO(&client_cpu);
	CPU_SET(first, &client_cpu);
	CPU_ZERO(&service_cpu);
	CPU_SET(last, &service_cpu);
}

int main(void)
{
	Suite *s = suite_create("bench-block");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	(void)sched_setscheduler(0, SCHED_FIFO, &(const struct sched_param){ .sched_priority = 1 });
	share_processors();
	sched_setaffinity(0, sizeof(service_cpu), &service_cpu);
	if (set_start_with(&set, "blkbackd", NULL) < 0)
		return EXIT_FAILURE;
	sched_setaffinity(0, sizeof(client_cpu), &client_cpu);
	ours.service = set.services[0].pid;
	nobody.service = getpid();
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, all);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return set_stop(&set) == 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
