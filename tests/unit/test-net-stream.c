/* SPDX-License-Identifier: MIT */
/* frames in a stream: their form, and the socket that takes and gives them in whatever portions */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"

#include "netbackd/net_stream.h"
#include "netbackd/stream.h"

#define LARGEST 65535u

START_TEST(form)
{
	static const uint8_t good[] = {
		0, 0, 0, 14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
	};
	static const uint8_t bad[][4] = {
		{ 0 }, { 0, 0, 0, 13 }, { 0, 1, 0, 0 }, { 0x80, 0, 0, 14 }, { 14, 0, 0, 0 }
	};
	uint8_t head[4];
	uint32_t size = 9;

	for (size_t len = 0; len < sizeof(good); len++) {
		ck_assert_int_eq(net_stream_next(good, len, &size), 0);
		ck_assert_uint_eq(size, len < 4 ? 0 : 14);
	}
	ck_assert_int_eq(net_stream_next(good, sizeof(good), &size), 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(net_stream_next(bad[i], 4, &size), -EPROTO);
	net_stream_head(0x01020304, head);
	ck_assert_mem_eq(head, "\1\2\3\4", 4);
}
END_TEST

static struct stream *stream;
static int listener, peer;
static uint8_t data[LARGEST + 4], got[LARGEST + 4];

static void open_pair(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/xenhost-stream-%d",
		 (int)getpid());
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(stream_new(address.sun_path, &stream), 0);
	ck_assert_int_eq(stream_fd(stream), -1);
	ck_assert_int_eq(stream_read(stream, NULL, 0), -ENOTCONN);
	ck_assert_int_eq(stream_connect(stream), 0);
	peer = accept(listener, NULL, NULL);
	ck_assert_int_ge(peer, 0);
	unlink(address.sun_path);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void close_pair(void)
{
	stream = stream_free(stream);
	close(peer);
	close(listener);
}

/* one byte at a time, and several at once; what does not fit is left out */
START_TEST(reading)
{
	struct iovec iov[2] = { { got, 5 }, { got + 5, sizeof(got) - 5 } };
	uint8_t frame[24];

	open_pair();
	net_stream_head(20, frame);
	memcpy(frame + 4, data, 20);
	for (size_t i = 0; i < sizeof(frame); i++) {
		ck_assert_int_eq(stream_read(stream, iov, 2), 0);
		ck_assert_int_eq(write(peer, frame + i, 1), 1);
	}
	ck_assert_int_eq(stream_read(stream, iov, 2), 20);
	ck_assert_mem_eq(got, data, 20);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(write(peer, frame, sizeof(frame)), sizeof(frame));
	memset(got, 0xee, sizeof(got));
	ck_assert_int_eq(stream_read(stream, iov, 1), 20);
	ck_assert_uint_eq(got[5], 0xee);
	for (int i = 0; i < 2; i++) {
		ck_assert(stream_has_frame(stream));
		ck_assert_int_eq(stream_read(stream, iov, 2), 20);
	}
	ck_assert(!stream_has_frame(stream));
	close(peer);
	ck_assert_int_eq(stream_read(stream, iov, 2), -ECONNRESET);
	close_pair();
}
END_TEST

/* whatever the peer writes: it is bounded, and it is told */
START_TEST(reading_nonsense)
{
	struct iovec iov = { got, sizeof(got) };

	open_pair();
	ck_assert_int_eq(write(peer, "\377\377\377\377", 4), 4);
	ck_assert_int_eq(stream_read(stream, &iov, 1), -EPROTO);
	stream_disconnect(stream);
	ck_assert_int_eq(stream_read(stream, &iov, 1), -ENOTCONN);
	close_pair();
}
END_TEST

static int send_frame(size_t len)
{
	struct iovec iov[3] = { { NULL, 0 }, { data, 14 }, { data + 14, len - 14 } };

	return stream_write(stream, iov, 3);
}

static void expect_frame(size_t len)
{
	uint8_t head[4];

	net_stream_head((uint32_t)len, head);
	for (size_t at = 0; at < len + 4;) {
		ssize_t n = recv(peer, got + at, len + 4 - at, MSG_DONTWAIT);

		if (n < 0)
			(void)stream_flush(stream);
		else
			at += (size_t)n;
	}
	ck_assert_mem_eq(got, head, 4);
	ck_assert_mem_eq(got + 4, data, len);
}

/* A peer that does not read: no frame is torn, and no more than one is kept. */
START_TEST(writing)
{
	unsigned int frames = 0;
	int r;

	open_pair();
	ck_assert_int_eq(send_frame(14), 0);
	expect_frame(14);
	while ((r = send_frame(LARGEST)) == 0)
		frames++;
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_uint_gt(frames, 0);
	ck_assert_int_eq(send_frame(100), stream_unsent(stream) ? -EAGAIN : 0);
	while (frames-- > 0)
		expect_frame(LARGEST);
	ck_assert_int_eq(stream_flush(stream), 0);
	ck_assert(!stream_unsent(stream));
	ck_assert_int_eq(send_frame(60), 0);
	expect_frame(60);
	ck_assert_int_eq(send_frame(LARGEST + 1), -EMSGSIZE);
	close(peer);
	ck_assert_int_eq(send_frame(60), -EPIPE);
	close_pair();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_stream");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, form);
	tcase_add_test(tc, reading);
	tcase_add_test(tc, reading_nonsense);
	tcase_add_test(tc, writing);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
