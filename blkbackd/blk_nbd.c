/* SPDX-License-Identifier: MIT */
/*
 * Owns the handle, and one struct cmd for each operation. A command is in exactly one place: `free`,
 * `waiting` (to be sent, now or by the next connection), with libnbd (`sent`), or `over` (answered; libnbd
 * calls us with its lock held, so nothing is done about it there).
 *
 * Requests with more than one piece of memory go through a buffer, as the protocol's have one; those of one
 * go straight to the guest's pages.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <libnbd.h>

#include "common/cleanup.h"
#include "common/list.h"

#include "blkbackd/blk_io.h"
#include "blkbackd/blk_nbd.h"

#define PIECE_MAX (1u << 30) /* of a discard */

struct cmd {
	struct list link;
	struct blk_nbd *nbd;
	struct blk_io_op *op; /* NULL: a flush */
	char *buf;	      /* NULL: the op's only piece of memory */
	uint64_t moved;	      /* bytes of a discard that are done */
	bool written;	      /* a write that is to be flushed behind, as the server knows no FUA */
	int result;
};

struct blk_nbd {
	struct blk_nbd_config config;
	struct event_base *base;
	struct nbd_handle *handle; /* NULL: not connected */
	struct event *event;
	short listening;
	bool fua, trim, flush;
	bool given_up;
	bool ending; /* the server has said that it ends: it gets nothing more, and waits until we go */
	struct list free, waiting, sent, over;
	struct cmd *cmds;
};

static void on_io(evutil_socket_t fd, short what, void *data);

/* --- commands --- */

static int on_answer(void *data, int *error)
{
	struct cmd *cmd = data;

	cmd->result = -*error;
	list_remove(&cmd->link);
	list_append(&cmd->nbd->over, &cmd->link);
	return 1; /* libnbd may forget it */
}

static void gather(struct cmd *cmd, bool to_guest)
{
	char *at = cmd->buf;

	for (unsigned int i = 0; i < cmd->op->nr_iov; i++) {
		const struct iovec *iov = &cmd->op->iov[i];

		if (to_guest)
			memcpy(iov->iov_base, at, iov->iov_len);
		else
			memcpy(at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
}

static int64_t send_discard(struct blk_nbd *nbd, struct cmd *cmd, nbd_completion_callback cb)
{
	uint64_t left = cmd->op->len - cmd->moved, now = left < PIECE_MAX ? left : PIECE_MAX;
	uint64_t at = cmd->op->offset + cmd->moved;

	return nbd->trim ? nbd_aio_trim(nbd->handle, now, at, cb, 0)
			 : nbd_aio_zero(nbd->handle, now, at, cb, 0);
}

static int64_t send_data(struct blk_nbd *nbd, struct cmd *cmd, nbd_completion_callback cb)
{
	const struct blk_io_op *op = cmd->op;
	void *buf = cmd->buf ? cmd->buf : op->iov[0].iov_base;
	uint32_t fua = op->fua && nbd->fua ? LIBNBD_CMD_FLAG_FUA : 0;

	if (op->kind == BLK_IO_READ)
		return nbd_aio_pread(nbd->handle, buf, op->total, op->offset, cb, 0);
	return nbd_aio_pwrite(nbd->handle, buf, op->total, op->offset, cb, fua);
}

static bool is_flush(const struct cmd *cmd)
{
	return !cmd->op || cmd->written;
}

/* A server without write cache has nothing to flush. */
static bool nothing_to_do(const struct blk_nbd *nbd, const struct cmd *cmd)
{
	return is_flush(cmd) && !nbd->flush;
}

static void send_one(struct blk_nbd *nbd, struct cmd *cmd)
{
	nbd_completion_callback cb = { .callback = on_answer, .user_data = cmd };
	int64_t r;

	list_remove(&cmd->link);
	list_append(&nbd->sent, &cmd->link);
	if (nothing_to_do(nbd, cmd)) {
		int none = 0;

		(void)on_answer(cmd, &none);
		return;
	}
	if (is_flush(cmd))
		r = nbd_aio_flush(nbd->handle, cb, 0);
	else if (cmd->op->kind == BLK_IO_DISCARD)
		r = send_discard(nbd, cmd, cb);
	else
		r = send_data(nbd, cmd, cb);
	if (r < 0) {
		int error = nbd_get_errno();

		error = error ? error : EIO;
		(void)on_answer(cmd, &error);
	}
}

static void listen_again(struct blk_nbd *nbd)
{
	unsigned int direction = nbd->handle ? nbd_aio_get_direction(nbd->handle) : 0;
	short what = EV_READ | EV_PERSIST;

	if (!nbd->handle)
		return;
	if (direction & LIBNBD_AIO_DIRECTION_WRITE)
		what |= EV_WRITE;
	if (what == nbd->listening)
		return;
	event_del(nbd->event);
	event_assign(nbd->event, nbd->base, nbd_aio_get_fd(nbd->handle), what, on_io, nbd);
	if (event_add(nbd->event, NULL) == 0)
		nbd->listening = what;
}

static bool may_send(const struct blk_nbd *nbd)
{
	return nbd->handle && !nbd->ending && !list_empty(&nbd->waiting) &&
	       !nbd_aio_is_dead(nbd->handle);
}

static void send_waiting(struct blk_nbd *nbd)
{
	while (may_send(nbd))
		send_one(nbd, list_entry(nbd->waiting.next, struct cmd, link));
	listen_again(nbd);
}

/* written, but not as safely as it was asked for */
static bool wants_flush(const struct cmd *cmd)
{
	const struct blk_io_op *op = cmd->op;

	return op && op->kind == BLK_IO_WRITE && op->fua && !cmd->nbd->fua && !cmd->written;
}

/* 0: over; 1: there is more of it to send */
static int next_step(struct cmd *cmd)
{
	struct blk_io_op *op = cmd->op;

	if (cmd->result < 0 || !op)
		return 0;
	if (op->kind == BLK_IO_DISCARD) {
		uint64_t left = op->len - cmd->moved;

		cmd->moved += left < PIECE_MAX ? left : PIECE_MAX;
		return cmd->moved < op->len;
	}
	if (!wants_flush(cmd))
		return 0;
	cmd->written = true;
	return 1;
}

static void cmd_done(struct blk_nbd *nbd, struct cmd *cmd)
{
	struct blk_io_op *op = cmd->op;
	int result = cmd->result;

	if (cmd->buf && op->kind == BLK_IO_READ && result == 0)
		gather(cmd, true);
	free(cmd->buf);
	cmd->buf = NULL;
	list_append(&nbd->free, &cmd->link);
	nbd->config.done(nbd->config.data, op, result);
}

/* Everything that is over; done() may have made more to send. Returns whether there was anything. */
static bool finish(struct blk_nbd *nbd)
{
	bool any = false;

	while (!list_empty(&nbd->over)) {
		struct cmd *cmd = list_entry(nbd->over.next, struct cmd, link);

		list_remove(&cmd->link);
		if (cmd->result == -ESHUTDOWN) {
			nbd->ending = true;
			cmd->result = 0;
			list_append(&nbd->waiting, &cmd->link);
			continue;
		}
		if (next_step(cmd)) {
			list_append(&nbd->waiting, &cmd->link);
			continue;
		}
		any = true;
		cmd_done(nbd, cmd);
	}
	return any;
}

/* --- the connection --- */

static void cancel_waiting(struct blk_nbd *nbd)
{
	while (!list_empty(&nbd->waiting)) {
		struct cmd *cmd = list_entry(nbd->waiting.next, struct cmd, link);

		list_remove(&cmd->link);
		cmd->result = -ECANCELED;
		list_append(&nbd->over, &cmd->link);
	}
}

static void move_all(struct list *from, struct list *to)
{
	while (!list_empty(from)) {
		struct list *entry = from->next;

		list_remove(entry);
		list_append(to, entry);
	}
}

/* A duplicate of the socket may lie with the keeper: to close ours is not the end of the connection. */
void blk_nbd_hang_up(struct nbd_handle *handle)
{
	int fd;

	if (handle && nbd_aio_is_ready(handle)) /* in order, as servers like it */
		(void)nbd_aio_disconnect(handle, 0);
	fd = handle ? nbd_aio_get_fd(handle) : -1;
	if (fd >= 0)
		(void)shutdown(fd, SHUT_RDWR);
	nbd_close(handle); /* NULL is allowed */
}

/* What failed with the connection has not failed: it is done again. */
static void disconnect(struct blk_nbd *nbd)
{
	struct list failed;
	struct cmd *cmd, *tmp;

	list_init(&failed);
	event_del(nbd->event);
	nbd->listening = 0;
	blk_nbd_hang_up(nbd->handle);
	nbd->handle = NULL;
	list_for_each_safe(cmd, tmp, &nbd->over, link) {
		if (cmd->result == 0 && !wants_flush(cmd))
			continue;
		list_remove(&cmd->link);
		list_append(&failed, &cmd->link);
	}
	move_all(&nbd->sent, &failed);
	move_all(&failed, &nbd->waiting);
	/* what was written and not flushed the server may have taken with it */
	list_for_each(cmd, &nbd->waiting, link)
		cmd->written = false;
	if (nbd->given_up)
		cancel_waiting(nbd);
	else
		nbd->config.lost(nbd->config.lost_data);
}

static void check_connection(struct blk_nbd *nbd)
{
	if (!nbd->handle)
		return;
	if (nbd_aio_is_dead(nbd->handle) || nbd_aio_is_closed(nbd->handle) ||
	    (nbd->ending && list_empty(&nbd->sent)))
		disconnect(nbd);
}

static void settle(struct blk_nbd *nbd)
{
	bool more;

	do {
		send_waiting(nbd);
		check_connection(nbd); /* before finish(): what failed with it has not failed */
		more = finish(nbd);
		check_connection(nbd);
	} while (more || !list_empty(&nbd->over) || may_send(nbd));
	listen_again(nbd);
}

static void on_io(evutil_socket_t fd, short what, void *data)
{
	struct blk_nbd *nbd = data;

	if (nbd->handle && what & EV_READ &&
	    nbd_aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_READ)
		(void)nbd_aio_notify_read(nbd->handle);
	if (nbd->handle && what & EV_WRITE &&
	    nbd_aio_get_direction(nbd->handle) & LIBNBD_AIO_DIRECTION_WRITE)
		(void)nbd_aio_notify_write(nbd->handle);
	settle(nbd);
	nbd->config.batch(nbd->config.data);
}

void blk_nbd_connect(struct blk_nbd *nbd, struct nbd_handle *handle)
{
	if (nbd->handle || nbd->given_up) {
		blk_nbd_hang_up(handle);
		return;
	}
	nbd->handle = handle;
	nbd->ending = false;
	nbd->fua = nbd_can_fua(handle) > 0;
	nbd->trim = nbd_can_trim(handle) > 0;
	nbd->flush = nbd_can_flush(handle) > 0;
	settle(nbd);
	nbd->config.batch(nbd->config.data);
}

void blk_nbd_give_up(struct blk_nbd *nbd)
{
	nbd->given_up = true;
	if (nbd->handle)
		return;
	cancel_waiting(nbd);
	(void)finish(nbd);
}

/* --- for blk_io.c --- */

static struct cmd *new_cmd(struct blk_nbd *nbd, struct blk_io_op *op)
{
	struct cmd *cmd = list_entry(nbd->free.next, struct cmd, link);

	list_remove(&cmd->link);
	*cmd = (struct cmd){ .nbd = nbd, .op = op };
	list_init(&cmd->link);
	list_append(&nbd->waiting, &cmd->link);
	return cmd;
}

void blk_nbd_submit(struct blk_nbd *nbd, struct blk_io_op *op)
{
	struct cmd *cmd = new_cmd(nbd, op);

	if (op->kind == BLK_IO_DISCARD || op->nr_iov == 1)
		return;
	cmd->buf = malloc(op->total);
	if (!cmd->buf) {
		cmd->result = -ENOMEM;
		list_remove(&cmd->link);
		list_append(&nbd->over, &cmd->link);
	} else if (op->kind == BLK_IO_WRITE) {
		gather(cmd, false);
	}
}

void blk_nbd_flush(struct blk_nbd *nbd)
{
	(void)new_cmd(nbd, NULL);
}

void blk_nbd_kick(struct blk_nbd *nbd)
{
	if (!nbd->handle && nbd->given_up)
		cancel_waiting(nbd);
	settle(nbd);
}

void blk_nbd_wait(struct blk_nbd *nbd)
{
	struct pollfd p = { .fd = nbd->handle ? nbd_aio_get_fd(nbd->handle) : -1 };

	p.events = nbd->listening & EV_WRITE ? POLLIN | POLLOUT : POLLIN;
	if (poll(&p, 1, 100) > 0)
		on_io(p.fd, (short)((p.revents & POLLOUT ? EV_WRITE : 0) | EV_READ), nbd);
}

int blk_nbd_new(const struct blk_nbd_config *config, struct blk_nbd **ret_nbd)
{
	struct blk_nbd *nbd = calloc(1, sizeof(*nbd));
	unsigned int n = config->depth + 1; /* and a flush */

	if (!nbd)
		return -ENOMEM;
	nbd->config = *config;
	nbd->cmds = calloc(n, sizeof(nbd->cmds[0]));
	list_init(&nbd->free);
	list_init(&nbd->waiting);
	list_init(&nbd->sent);
	list_init(&nbd->over);
	if (!nbd->cmds)
		return (void)blk_nbd_free(nbd), -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		list_append(&nbd->free, &nbd->cmds[i].link);
	*ret_nbd = nbd;
	return 0;
}

int blk_nbd_start(struct blk_nbd *nbd, struct event_base *base)
{
	nbd->base = base;
	nbd->event = event_new(base, -1, EV_READ, on_io, nbd);
	if (!nbd->event)
		return -ENOMEM;
	nbd->config.lost(nbd->config.lost_data);
	return 0;
}

struct blk_nbd *blk_nbd_free(struct blk_nbd *nbd)
{
	if (!nbd)
		return NULL;
	if (nbd->event)
		event_free(nbd->event);
	blk_nbd_hang_up(nbd->handle);
	free(nbd->cmds);
	free(nbd);
	return NULL;
}
