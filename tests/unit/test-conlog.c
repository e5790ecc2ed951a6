/* SPDX-License-Identifier: MIT */
/* The console's log: its cap, its second file, its rate. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypercall-bridge/vmm/conlog.h"
#include "tests/support/unit.h"

#define S 1000000000ull

static char dir[64], path[128], old[128];
static struct conlog *l;

static void setup(void)
{
	strcpy(dir, "/tmp/xenhost-conlog-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(old, sizeof(old), "%s/log.1", dir);
}

static void teardown(void)
{
	l = conlog_close(l);
	unlink(path);
	unlink(old);
	rmdir(dir);
}

static void open_log(uint64_t cap, uint64_t rate)
{
	const struct conlog_config config = { path, cap, rate };

	ck_assert_int_eq(conlog_open(&config, 100 * S, &l), 0);
}

static size_t size_of(const char *file)
{
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	return (size_t)st.st_size;
}

static void expect(const char *file, const char *text)
{
	char buf[8192] = "";
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(read(fd, buf, sizeof(buf) - 1), 0);
	close(fd);
	ck_assert_str_eq(buf, text);
}

START_TEST(appends)
{
	open_log(0, 0);
	ck_assert_int_eq(conlog_write(l, "one\n", 4, 100 * S), 0);
	conlog_close(l);
	open_log(0, 0);
	ck_assert_int_eq(conlog_write(l, "two\n", 4, 100 * S), 0);
	expect(path, "one\ntwo\n");
}
END_TEST

/* never more than the cap in either file, and nothing of the newest cap bytes is missing */
START_TEST(rotates)
{
	char text[1000];

	open_log(CONLOG_CAP_MIN, 0);
	for (int i = 0; i < 100; i++) {
		memset(text, 'a' + i % 26, sizeof(text));
		ck_assert_int_eq(conlog_write(l, text, sizeof(text), 100 * S), 0);
		ck_assert_uint_le(size_of(path), CONLOG_CAP_MIN);
		ck_assert_uint_le(size_of(old), CONLOG_CAP_MIN);
		if (i > 5)
			ck_assert_uint_eq(size_of(old), CONLOG_CAP_MIN);
	}
	ck_assert_uint_eq(size_of(path), 100000 % CONLOG_CAP_MIN);
}
END_TEST

/* an open file of a size that an earlier, larger cap let it have */
START_TEST(larger_than_cap)
{
	open_log(CONLOG_CAP_MIN, 0);
	ck_assert_int_eq(truncate(path, 3 * CONLOG_CAP_MIN), 0);
	conlog_close(l);
	open_log(CONLOG_CAP_MIN, 0);
	ck_assert_int_eq(conlog_write(l, "new", 3, 100 * S), 0);
	expect(path, "new");
}
END_TEST

/* ten seconds' worth at once, then at the rate; what is lost is counted */
START_TEST(rate)
{
	char text[100];

	memset(text, 'x', sizeof(text));
	open_log(1 << 20, 10);
	ck_assert_int_eq(conlog_write(l, text, 100, 100 * S), 0);
	ck_assert_uint_eq(size_of(path), 100);
	ck_assert_int_eq(conlog_write(l, text, 100, 100 * S), 0);
	ck_assert_uint_eq(size_of(path), 100);
	ck_assert_int_eq(conlog_write(l, "abcdef", 6, 100 * S + S / 2), 0);
	ck_assert_uint_gt(size_of(path), 105);
	expect(path, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		     "xxxxxxxxxxxxxxxxxxxxxxx\n[100 bytes too fast for this log]\nabcde");
	/* a long silence is worth no more than a burst */
	ck_assert_int_eq(conlog_write(l, "\n", 1, UINT64_MAX), 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(conlog_write(l, text, 100, UINT64_MAX), 0);
	ck_assert_uint_lt(size_of(path), 400);
}
END_TEST

START_TEST(no_folder)
{
	const struct conlog_config config = { "/nowhere/log", 0, 0 };

	ck_assert_int_lt(conlog_open(&config, 0, &l), 0);
}
END_TEST

UNIT_MAIN_WITH("conlog", setup, teardown, appends, rotates, larger_than_cap, rate, no_folder)
