/* SPDX-License-Identifier: MIT */
/* The rules of xenbus.c, without a store: one table of what must happen, and what must never. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libxenhost/xenbus.h"
#include "tests/support/unit.h"

#define STEPS_MAX 12

struct trace {
	char text[128];
	size_t len;
};

static void note(struct trace *t, const char *what, uint32_t state)
{
	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%s%s",
				   t->len ? " " : "", what);
	if (state)
		t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%u", state);
	ck_assert_uint_lt(t->len, sizeof(t->text));
}

static bool in_use(uint32_t own)
{
	return own == 3 || own == 4 || own == 7 || own == 8;
}

/* does as device.c does, with a driver that never fails, and checks what holds for every step */
static void take_step(struct xh_xenbus_view *v, struct xh_xenbus_step step, struct trace *t)
{
	bool leaves_connected = in_use(v->own) && step.state == XENHOST_STATE_CLOSED;

	switch (step.action) {
	case XH_XENBUS_PROBE:
		ck_assert(!v->probed && !v->connected && !v->failed);
		note(t, "probe", step.state);
		v->probed = true;
		break;
	case XH_XENBUS_CONNECT:
		ck_assert(v->probed && !v->connected && !v->failed);
		note(t, "connect", step.state);
		v->connected = true;
		break;
	case XH_XENBUS_DISCONNECT:
		ck_assert(v->connected);
		note(t, "disconnect", 0);
		v->connected = false;
		return;
	case XH_XENBUS_REMOVE:
		ck_assert(v->probed && !v->connected);
		note(t, "remove", 0);
		v->probed = false;
		return;
	case XH_XENBUS_SWITCH:
		ck_assert_uint_ne(step.state, v->own);
		note(t, "", step.state);
		break;
	case XH_XENBUS_RECONFIGURE:
		ck_assert(v->connected);
		note(t, "reconfigure", step.state);
		break;
	case XH_XENBUS_NOTHING:
		ck_abort();
	}
	ck_assert_msg(!leaves_connected, "from %u straight to Closed", v->own);
	ck_assert(step.state >= 1 && step.state <= 8);
	if (step.state == XENHOST_STATE_CLOSED)
		ck_assert(!v->connected);
	v->own = step.state;
}

static void settle(struct xh_xenbus_view *v, struct trace *t)
{
	memset(t, 0, sizeof(*t));
	for (int i = 0; i < STEPS_MAX; i++) {
		struct xh_xenbus_step step = xh_xenbus_next(v);

		if (step.action == XH_XENBUS_NOTHING)
			return;
		take_step(v, step, t);
	}
	ck_abort_msg("front %u own %u: no end: %s", v->front, v->own, t->text);
}

#define ON 1u	  /* online */
#define ALIVE 16u /* the domain, whatever its state node says */
#define PROBED 2u
#define CONN 6u /* probed and connected */
#define FAILED 8u

static const struct {
	uint32_t front, own;
	unsigned int flags;
	const char *want;
} rules[] = {
	/* a new device */
	{ 0, 1, ON, "" }, /* the front end's folder comes later */
	{ 1, 1, ON, "probe2" },
	{ 2, 1, ON, "probe2" },
	{ 3, 1, ON, "probe2 connect4" },
	{ 4, 1, ON, "probe2 connect4" }, /* OVMF; a missed event */
	{ 5, 1, ON, "5" },
	{ 6, 1, ON, "6" },
	/* waiting for the front end */
	{ 1, 2, ON | PROBED, "" },
	{ 2, 2, ON | PROBED, "" },
	{ 3, 2, ON | PROBED, "connect4" },
	{ 4, 2, ON | PROBED, "connect4" },
	{ 5, 2, ON | PROBED, "5" },
	{ 6, 2, ON | PROBED, "6" },
	{ 0, 2, ON | PROBED, "6 remove" },
	{ 7, 2, ON | PROBED, "" },
	/* connected */
	{ 3, 4, ON | CONN, "" },
	{ 4, 4, ON | CONN, "" },
	{ 4, 4, CONN, "" }, /* online=0 alone changes nothing */
	{ 2, 4, ON | CONN, "" },
	{ 8, 4, ON | CONN, "" },
	{ 99, 4, ON | CONN, "" },
	{ 4, 6, ON | CONN, "disconnect 2 connect4" }, /* a toolstack by force */
	{ 5, 4, ON | CONN, "5" },		      /* serving until it is closed */
	{ 6, 4, ON | CONN, "disconnect 5 6" },	      /* never 4 -> 6 */
	{ 6, 4, CONN, "disconnect 5 6 remove" },      /* unplugged, and it closed by itself */
	{ 0, 4, ON | CONN, "disconnect 5 6 remove" },
	{ 1, 4, ON | CONN, "disconnect 5 6 2" }, /* it began anew without closing */
	{ 7, 4, ON | CONN, "reconfigure8" },
	{ 7, 8, ON | CONN, "" },
	{ 4, 8, ON | CONN, "4" },
	{ 6, 8, ON | CONN, "disconnect 5 6" },
	/* closing */
	{ 4, 5, ON | CONN, "" },
	{ 5, 5, ON | CONN, "" },
	{ 6, 5, ON | CONN, "disconnect 6" },
	{ 1, 5, ON | CONN, "disconnect 6 2" },
	{ 0, 5, ON | CONN, "disconnect 6 remove" },
	/* closed; a kernel started by kexec goes through 5 and 6 once more */
	{ 6, 6, ON | PROBED, "" },
	{ 5, 6, ON | PROBED, "5" },
	{ 1, 6, ON | PROBED, "2" },
	{ 3, 6, ON | PROBED, "2 connect4" },
	{ 2, 6, ON | PROBED, "" },
	{ 0, 6, ON | PROBED, "remove" },
	{ 0, 6, ON | PROBED | ALIVE, "" }, /* the guest only removed the node */
	{ 0, 4, ON | CONN | ALIVE, "disconnect 5 6" },
	{ 1, 6, ON, "probe2" }, /* removed when its front end was away; that is back */
	{ 6, 6, ON, "" },
	/* unplug: the toolstack writes online=0 and our state 5 */
	{ 4, 5, CONN, "" },
	{ 5, 5, CONN, "" },
	{ 6, 5, CONN, "disconnect 6 remove" },
	{ 1, 5, PROBED, "6 remove" },
	{ 2, 5, PROBED, "" },
	{ 6, 5, PROBED, "6 remove" },
	{ 7, 5, PROBED, "6 remove" },
	{ 6, 6, PROBED, "remove" },
	{ 1, 6, 0, "" },
	{ 5, 6, 0, "" },
	{ 4, 6, 0, "" },
	/* broken */
	{ 1, 1, ON | FAILED, "5" }, /* probe failed */
	{ 4, 2, ON | PROBED | FAILED, "5" },
	{ 4, 4, ON | CONN | FAILED, "disconnect 5" },
	{ 5, 5, ON | PROBED | FAILED, "" },
	{ 1, 5, ON | FAILED, "" }, /* or probe would fail for ever */
	{ 6, 5, ON | PROBED | FAILED, "6" },
	{ 1, 5, FAILED | PROBED, "6 remove" },
	{ 4, 5, FAILED | PROBED, "" },
	{ 0, 4, ON | CONN | FAILED, "disconnect 5 6 remove" },
	/* a successor finds what its predecessor left */
	{ 1, 2, ON, "probe2" },
	{ 3, 2, ON, "probe2 connect4" },
	{ 4, 4, ON, "probe4 connect4" },
	{ 3, 4, ON, "probe4 connect4" },
	{ 7, 4, ON, "probe4 connect4 reconfigure8" },
	{ 4, 8, ON, "probe8 connect4" },
	{ 4, 5, 0, "probe5 connect5" }, /* unplug, while a mounted disk is still served */
	{ 5, 5, ON, "" },
	{ 5, 4, ON, "5" },
	{ 6, 4, ON, "5 6" },
	{ 0, 4, ON, "5 6" },
	{ 0, 6, ON, "" },
	/* nonsense in our node is the toolstack's, and left alone */
	{ 4, 99, ON | CONN, "" },
};

static struct xh_xenbus_view make_view(uint32_t front, uint32_t own, unsigned int flags)
{
	return (struct xh_xenbus_view){
		.front = front,
		.front_gone = front == 0 && !(flags & ALIVE),
		.own = own,
		.online = flags & ON,
		.probed = flags & PROBED,
		.connected = flags & CONN & ~PROBED,
		.failed = flags & FAILED,
	};
}

START_TEST(rules_hold)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct xh_xenbus_view v = make_view(rules[i].front, rules[i].own, rules[i].flags);
		struct trace t;

		settle(&v, &t);
		ck_assert_msg(!strcmp(t.text, rules[i].want),
			      "front %u own %u flags %x: '%s', not '%s'", rules[i].front,
			      rules[i].own, rules[i].flags, t.text, rules[i].want);
	}
}
END_TEST

/* whatever stands in the store and whatever we did before: it ends, and in a state that makes sense */
START_TEST(every_view_settles)
{
	static const uint32_t states[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 99 };
	const size_t n = sizeof(states) / sizeof(states[0]);

	for (size_t i = 0; i < n * n * 16; i++) {
		struct xh_xenbus_view v =
			make_view(states[i / 16 % n], states[i / 16 / n], (unsigned int)i % 16);
		uint32_t own = v.own;
		struct trace t;

		if (v.connected && !v.probed)
			continue;
		settle(&v, &t);
		if (own == 99)
			continue;
		if (v.front == 6 || (v.front == 0 && own > 1)) {
			ck_assert(!v.connected);
			ck_assert_uint_eq(v.own, 6);
		}
		if (v.front == 1 && v.online && !v.failed) {
			ck_assert_uint_eq(v.own, 2);
			ck_assert(v.probed && !v.connected);
		}
		if (v.failed)
			ck_assert(!v.connected || own == 99);
		if (v.front == 4 && v.online && !v.failed && v.own != 5)
			ck_assert(v.connected && v.own != 6);
	}
}
END_TEST

START_TEST(numbers)
{
	static const char *const bad[] = { "",	 "01",	  "00",		"-1",
					   "+1", " 1",	  "1 ",		"0x1",
					   "1a", "32752", "4294967296", "18446744073709551616" };
	uint32_t v = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(xh_xenbus_number(bad[i], strlen(bad[i]), 32751, &v) == -EINVAL, "%s",
			      bad[i]);
	ck_assert_uint_eq(v, 77);
	ck_assert_int_eq(xh_xenbus_number("0", 1, 32751, &v), 0);
	ck_assert_uint_eq(v, 0);
	ck_assert_int_eq(xh_xenbus_number("32751", 5, 32751, &v), 0);
	ck_assert_uint_eq(v, 32751);
}
END_TEST

START_TEST(event_paths)
{
	static const struct {
		const char *path;
		int what;
		uint16_t front;
		uint32_t devid;
		const char *node;
	} table[] = {
		{ "/r", 0, 0, 0, NULL },
		{ "/", 0, 0, 0, NULL },
		{ "/rx/1", 0, 0, 0, NULL }, /* cannot be, so look at everything */
		{ "/r/7", 1, 7, 0, NULL },
		{ "/r/7/51712", 2, 7, 51712, NULL },
		{ "/r/7/51712/state", 3, 7, 51712, "state" },
		{ "/r/7/51712/queue-0/x", 3, 7, 51712, "queue-0/x" },
		{ "/r/7/4294967295", 2, 7, 4294967295u, NULL },
		{ "/r/x", -EINVAL, 0, 0, NULL },
		{ "/r/", -EINVAL, 0, 0, NULL },
		{ "/r/07", -EINVAL, 0, 0, NULL },
		{ "/r/65536", -EINVAL, 0, 0, NULL },
		{ "/r/7/x", -EINVAL, 0, 0, NULL },
		{ "/r/7/", -EINVAL, 0, 0, NULL },
		{ "/r/7/1x/state", -EINVAL, 0, 0, NULL },
		{ "/r/7/4294967296", -EINVAL, 0, 0, NULL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint16_t front = 0;
		uint32_t devid = 0;
		const char *node = NULL;

		ck_assert_msg(xh_xenbus_event("/r", table[i].path, &front, &devid, &node) ==
				      table[i].what,
			      "%s", table[i].path);
		ck_assert_uint_eq(front, table[i].front);
		ck_assert_uint_eq(devid, table[i].devid);
		if (table[i].node)
			ck_assert_str_eq(node, table[i].node);
		else
			ck_assert_ptr_null(node);
	}
}
END_TEST

START_TEST(front_paths)
{
	static const char *const bad[] = {
		"",
		"/",
		"/local/domain/7",
		"/local/domain/7/",
		"/local/domain/07/device/vbd/1",
		"/local/domain/70/device/vbd/1",
		"/local/domain/8/device/vbd/1",
		"/local/domain/7/device//vbd",
		"/local/domain/7//device",
		"/local/domain/7/device/",
		"/local/domain/7/device/../../8/x",
		"/local/domain/7/device x",
		"//local/domain/7/device",
		"local/domain/7/device",
		"device/vbd/1",
	};

	ck_assert(xh_xenbus_front_path("/local/domain/7/device/vbd/51712", 7));
	ck_assert(xh_xenbus_front_path("/local/domain/7/console", 7));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!xh_xenbus_front_path(bad[i], 7), "%s", bad[i]);
}
END_TEST

UNIT_MAIN("xenbus", rules_hold, every_view_settles, numbers, event_paths, front_paths)
