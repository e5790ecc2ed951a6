/* SPDX-License-Identifier: MIT */
/*
 * vhost-user: messages over a socket that hand a memfd and two eventfds to the server; then a split virtqueue
 * in that memfd (linux/virtio_ring.h), with event indices. Addresses of the guest are offsets in the memfd.
 */
#include "config.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#include "tests/bench/vhost_blk.h"

#define RING_SIZE 128u	   /* descriptors: three for each request */
#define DATA_AT (1u << 20) /* behind rings and headers */
#define AVAIL_AT 8192u
#define USED_AT 16384u
#define HEADS_AT 32768u

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
};

struct head {
	struct virtio_blk_outhdr out;
	uint8_t status;
	uint8_t unused[47];
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t nr, unused;
			uint64_t guest, size, user, offset;
		} memory;
	} payload;
} __attribute__((packed, aligned(4)));

#define HEADER offsetof(struct message, payload)

struct vhost_blk {
	int sock, memfd, kick, call;
	uint8_t *memory;
	size_t size, bytes;
	struct vring ring;
	struct head *heads;
	uint16_t avail, published, used;
};

static int send_message(struct vhost_blk *v, struct message *m, size_t size, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { m, HEADER + size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	m->flags = 1; /* the protocol's version */
	m->size = (uint32_t)size;
	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(v->sock, &msg, MSG_NOSIGNAL) == (ssize_t)(HEADER + size) ? 0 : -EIO;
}

static int get_features(struct vhost_blk *v, uint64_t *ret_features)
{
	struct message m = { .request = GET_FEATURES };
	int r = send_message(v, &m, 0, -1);

	if (r < 0)
		return r;
	if (recv(v->sock, &m, HEADER + sizeof(uint64_t), MSG_WAITALL) !=
	    (ssize_t)(HEADER + sizeof(uint64_t)))
		return -EIO;
	*ret_features = m.payload.u64;
	return 0;
}

static int set_u64(struct vhost_blk *v, uint32_t request, uint64_t value, int fd)
{
	struct message m = { .request = request, .payload.u64 = value };

	return send_message(v, &m, sizeof(m.payload.u64), fd);
}

static int set_state(struct vhost_blk *v, uint32_t request, uint32_t num)
{
	struct message m = { .request = request, .payload.state.num = num };

	return send_message(v, &m, sizeof(m.payload.state), -1);
}

static int set_memory(struct vhost_blk *v)
{
	struct message m = { .request = SET_MEM_TABLE };

	m.payload.memory.nr = 1;
	m.payload.memory.size = v->size;
	m.payload.memory.user = (uintptr_t)v->memory;
	return send_message(v, &m, sizeof(m.payload.memory), v->memfd);
}

static int set_ring(struct vhost_blk *v)
{
	struct message m = { .request = SET_VRING_ADDR };

	m.payload.addr.desc = (uintptr_t)v->ring.desc;
	m.payload.addr.avail = (uintptr_t)v->ring.avail;
	m.payload.addr.used = (uintptr_t)v->ring.used;
	return send_message(v, &m, sizeof(m.payload.addr), -1);
}

static int negotiate(struct vhost_blk *v)
{
	const uint64_t wanted = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX;
	struct message owner = { .request = SET_OWNER };
	uint64_t features;
	int r = send_message(v, &owner, 0, -1);

	if (r == 0)
		r = get_features(v, &features);
	if (r == 0 && (features & wanted) != wanted)
		r = -EPROTO;
	if (r == 0)
		r = set_u64(v, SET_FEATURES, wanted, -1);
	if (r == 0)
		r = set_memory(v);
	if (r == 0)
		r = set_state(v, SET_VRING_NUM, RING_SIZE);
	if (r == 0)
		r = set_state(v, SET_VRING_BASE, 0);
	if (r == 0)
		r = set_ring(v);
	if (r == 0)
		r = set_u64(v, SET_VRING_CALL, 0, v->call);
	return r == 0 ? set_u64(v, SET_VRING_KICK, 0, v->kick) : r;
}

/* The three descriptors of each request never change: header, data, status. */
static void fill_descriptors(struct vhost_blk *v)
{
	for (unsigned int i = 0; i < VHOST_BLK_DEPTH; i++) {
		uint64_t head = HEADS_AT + i * sizeof(struct head);
		struct vring_desc *d = &v->ring.desc[3 * i];

		d[0] = (struct vring_desc){ head, sizeof(struct virtio_blk_outhdr),
					    VRING_DESC_F_NEXT, (uint16_t)(3 * i + 1) };
		d[1] = (struct vring_desc){ DATA_AT + i * v->bytes, (uint32_t)v->bytes,
					    VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
					    (uint16_t)(3 * i + 2) };
		d[2] = (struct vring_desc){ head + offsetof(struct head, status), 1,
					    VRING_DESC_F_WRITE, 0 };
	}
}

static int make_memory(struct vhost_blk *v)
{
	void *memory;

	v->size = DATA_AT + VHOST_BLK_DEPTH * v->bytes;
	v->memfd = memfd_create("vhost-blk", MFD_CLOEXEC);
	if (v->memfd < 0 || ftruncate(v->memfd, (off_t)v->size) < 0)
		return -errno;
	memory =
		mmap(NULL, v->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, v->memfd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	v->memory = memory;
	v->ring.num = RING_SIZE;
	v->ring.desc = memory;
	v->ring.avail = (struct vring_avail *)(void *)(v->memory + AVAIL_AT);
	v->ring.used = (struct vring_used *)(void *)(v->memory + USED_AT);
	v->heads = (struct head *)(void *)(v->memory + HEADS_AT);
	fill_descriptors(v);
	return 0;
}

static int dial(struct vhost_blk *v, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	v->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	v->kick = eventfd(0, EFD_CLOEXEC);
	v->call = eventfd(0, EFD_CLOEXEC);
	if (v->sock < 0 || v->kick < 0 || v->call < 0)
		return -errno;
	return connect(v->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
}

static void vhost_blk_closep(struct vhost_blk **v)
{
	*v = vhost_blk_close(*v);
}

int vhost_blk_open(const char *socket, size_t bytes, struct vhost_blk **ret_disk)
{
	_cleanup_(vhost_blk_closep) struct vhost_blk *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->sock = v->memfd = v->kick = v->call = -1;
	v->bytes = bytes;
	r = make_memory(v);
	if (r == 0)
		r = dial(v, socket);
	if (r == 0)
		r = negotiate(v);
	if (r == 0)
		*ret_disk = steal_ptr(&v);
	return r;
}

struct vhost_blk *vhost_blk_close(struct vhost_blk *v)
{
	if (!v)
		return NULL;
	closep(&v->sock);
	closep(&v->kick);
	closep(&v->call);
	closep(&v->memfd);
	if (v->memory)
		munmap(v->memory, v->size);
	free(v);
	return NULL;
}

void vhost_blk_put(struct vhost_blk *v, unsigned int id, uint64_t sector)
{
	struct head *h = &v->heads[id];

	h->out.type = VIRTIO_BLK_T_IN;
	h->out.ioprio = 0;
	h->out.sector = sector;
	h->status = 0xff;
	v->ring.avail->ring[v->avail++ % RING_SIZE] = (uint16_t)(3 * id);
}

void vhost_blk_push(struct vhost_blk *v)
{
	uint16_t old = v->published, new = v->avail;

	if (new == old)
		return;
	__atomic_store_n(&v->ring.avail->idx, new, __ATOMIC_SEQ_CST);
	v->published = new;
	atomic_thread_fence(memory_order_seq_cst);
	if (vring_need_event(vring_avail_event(&v->ring), new, old))
		(void)eventfd_write(v->kick, 1);
}

int vhost_blk_take(struct vhost_blk *v)
{
	const struct vring_used_elem *e = &v->ring.used->ring[v->used % RING_SIZE];
	unsigned int id;

	if (__atomic_load_n(&v->ring.used->idx, __ATOMIC_ACQUIRE) == v->used)
		return -1;
	v->used++;
	id = e->id / 3;
	return v->heads[id].status == VIRTIO_BLK_S_OK ? (int)id : -EIO;
}

bool vhost_blk_arm(struct vhost_blk *v)
{
	__atomic_store_n(&vring_used_event(&v->ring), v->used, __ATOMIC_SEQ_CST);
	atomic_thread_fence(memory_order_seq_cst);
	return __atomic_load_n(&v->ring.used->idx, __ATOMIC_ACQUIRE) != v->used;
}

int vhost_blk_fd(const struct vhost_blk *v)
{
	return v->call;
}

bool vhost_blk_wait(struct vhost_blk *v, int timeout_ms)
{
	struct pollfd p = { .fd = v->call, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && vhost_blk_look(v->call);
}

bool vhost_blk_look(int fd)
{
	eventfd_t count;
	const struct iovec iov = { &count, sizeof(count) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count);
}
