/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "common/open_wire.h"

struct head {
	uint16_t version;
	uint16_t op; /* 0: an answer */
	uint32_t number;
	uint32_t a; /* flags, or errno */
	uint32_t b; /* count, or value */
};

/* Control characters are in no name. */
static bool is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

/* The next string and what is behind it. */
static int take_string(const char **at, size_t *left, size_t max, const char **ret_string)
{
	const char *end = memchr(*at, '\0', *left);
	size_t len;

	if (!end)
		return -EINVAL;
	len = (size_t)(end - *at);
	if (len >= max || !is_plain(*at, len))
		return -EINVAL;
	*ret_string = *at;
	*at = end + 1;
	*left -= len + 1;
	return 0;
}

int open_request_parse(const void *buf, size_t len, struct open_request *ret_request)
{
	struct open_request r = { 0 };
	const char *at = (const char *)buf + sizeof(struct head);
	struct head head;

	if (len < sizeof(head) || len > OPEN_MESSAGE_MAX)
		return -EINVAL;
	memcpy(&head, buf, sizeof(head));
	if (head.version != OPEN_VERSION || head.op == 0 || head.op >= OPEN_OP_MAX)
		return -EINVAL;
	r.op = head.op;
	r.number = head.number;
	r.flags = head.a;
	r.count = head.b;
	len -= sizeof(head);
	while (len > 0) {
		if (r.nr_strings == OPEN_STRINGS_MAX)
			return -EINVAL;
		if (take_string(&at, &len, OPEN_STRING_MAX, &r.strings[r.nr_strings]) < 0)
			return -EINVAL;
		r.nr_strings++;
	}
	*ret_request = r;
	return 0;
}

int open_answer_parse(const void *buf, size_t len, struct open_answer *ret_answer)
{
	const char *at = (const char *)buf + sizeof(struct head), *text;
	struct head head;

	if (len < sizeof(head) || len > OPEN_MESSAGE_MAX)
		return -EINVAL;
	memcpy(&head, buf, sizeof(head));
	len -= sizeof(head);
	if (head.version != OPEN_VERSION || head.op != 0 || head.a > 4095 ||
	    take_string(&at, &len, OPEN_TEXT_MAX, &text) < 0 || len > 0)
		return -EINVAL;
	*ret_answer = (struct open_answer){
		.number = head.number,
		.error = -(int)head.a,
		.value = head.b,
		.text = text,
	};
	return 0;
}

static int build(const struct head *head, const char *const *strings, unsigned int n, char *buf,
		 size_t size)
{
	size_t at = sizeof(*head);

	if (size < at)
		return -EMSGSIZE;
	memcpy(buf, head, sizeof(*head));
	for (unsigned int i = 0; i < n; i++) {
		size_t len = strlen(strings[i]) + 1;

		if (len > size - at)
			return -EMSGSIZE;
		if (!is_plain(strings[i], len - 1))
			return -EINVAL;
		memcpy(buf + at, strings[i], len);
		at += len;
	}
	return at <= INT_MAX ? (int)at : -EMSGSIZE;
}

int open_request_build(const struct open_request *request, void *buf, size_t size)
{
	const struct head head = {
		.version = OPEN_VERSION,
		.op = request->op,
		.number = request->number,
		.a = request->flags,
		.b = request->count,
	};

	if (request->nr_strings > OPEN_STRINGS_MAX)
		return -EMSGSIZE;
	for (unsigned int i = 0; i < request->nr_strings; i++)
		if (strlen(request->strings[i]) >= OPEN_STRING_MAX)
			return -EMSGSIZE;
	return build(&head, request->strings, request->nr_strings, buf, size);
}

int open_answer_build(const struct open_answer *answer, void *buf, size_t size)
{
	const struct head head = {
		.version = OPEN_VERSION,
		.number = answer->number,
		.a = (uint32_t)-answer->error,
		.b = answer->value,
	};

	if (strlen(answer->text) >= OPEN_TEXT_MAX)
		return -EMSGSIZE;
	return build(&head, &answer->text, 1, buf, size);
}
