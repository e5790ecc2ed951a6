/* SPDX-License-Identifier: MIT */
/*
 * What back ends ask of xenhost-opend, over SOCK_SEQPACKET in RUNDIR/open/SERVICE.sock: a request is one
 * message, its answer another one with the descriptors. Both ends are on one machine and of one release;
 * numbers are as the machine has them. Parsing is pure and trusts nothing.
 */
#ifndef COMMON_OPEN_WIRE_H
#define COMMON_OPEN_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define OPEN_DIR "open" /* below the run directory */
#define OPEN_VERSION 1u
#define OPEN_MESSAGE_MAX 4608
#define OPEN_STRINGS_MAX 2u
#define OPEN_STRING_MAX 2048u /* with its NUL */
#define OPEN_TEXT_MAX 512u

enum open_op {
	OPEN_IMAGE =
		1, /* strings: path. One descriptor, locked; value: granularity of discards, 0: none */
	OPEN_NBD, /* strings: "unix:PATH" or "tcp:HOST:PORT". One descriptor: a socket that is connected */
	/* strings: name, bridge; count: queues; flags: MTU. As many descriptors; of count 0 the MTU is set */
	OPEN_TAP,
	OPEN_OP_MAX,
};

/* flags */
#define OPEN_WRITABLE 1u
#define OPEN_MTU(mtu) ((uint32_t)(mtu) << 16) /* 0: as it is */
#define OPEN_MTU_OF(flags) ((flags) >> 16)

struct open_request {
	uint16_t op;
	uint32_t number; /* the answer has the same */
	uint32_t flags;
	uint32_t count;
	unsigned int nr_strings;
	const char *strings[OPEN_STRINGS_MAX];
};

struct open_answer {
	uint32_t number;
	int error; /* 0 or -errno */
	uint32_t value;
	const char *text; /* for a person, what is wrong; "" */
};

/* Strings point into buf. -EINVAL: it is no request, and who sent it is no client of ours */
int open_request_parse(const void *buf, size_t len, struct open_request *ret_request);
int open_answer_parse(const void *buf, size_t len, struct open_answer *ret_answer);

/*
 * Length, or what does not parse: -EMSGSIZE, -EINVAL (a control character in a string). size:
 * OPEN_MESSAGE_MAX is enough for what parses.
 */
int open_request_build(const struct open_request *request, void *buf, size_t size);
int open_answer_build(const struct open_answer *answer, void *buf, size_t size);

#endif
