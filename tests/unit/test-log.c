/* SPDX-License-Identifier: MIT */
/* Lines in the journal: a socket of ours plays it. */
#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/support/unit.h"

static char folder[32], path[64], entry[4096];
static int server, err, kept;

/* standard error as systemd would have made it */
static void open_journal(bool ours)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char stream[64];
	struct stat st;

	strcpy(folder, "/tmp/xenhost-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	strcpy(addr.sun_path, path);
	server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
	err = memfd_create("stderr", 0);
	kept = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(err, STDERR_FILENO), 0);
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + !ours);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open_at("test", LOG_LEVEL_INFO, path);
}

static void teardown(void)
{
	dup2(kept, STDERR_FILENO);
	close(server);
	unlink(path);
	rmdir(folder);
}

static const char *received(void)
{
	ssize_t n = recv(server, entry, sizeof(entry) - 1, MSG_DONTWAIT);

	entry[n > 0 ? n : 0] = '\0';
	return entry;
}

static const char *written(void)
{
	ssize_t n = pread(err, entry, sizeof(entry) - 1, 0);

	entry[n > 0 ? n : 0] = '\0';
	return entry;
}

#define HEAD(level) "PRIORITY=" level "\nSYSLOG_IDENTIFIER=test\nMESSAGE="

START_TEST(test_fields)
{
	open_journal(true);
	log_warning("%s: queue %u is slow", "vbd-12-51712", 3);
	ck_assert_str_eq(received(), HEAD("4") "vbd-12-51712: queue 3 is slow\nDOMID=12\n"
					       "DEVICE=vbd-12-51712\n");
	log_info("domain %u (%s) was made", 7, "domain 9");
	ck_assert_str_eq(received(), HEAD("6") "domain 7 (domain 9) was made\nDOMID=7\n");
	log_error("INTRODUCE of domain %u failed", 31999);
	ck_assert_str_eq(received(), HEAD("3") "INTRODUCE of domain 31999 failed\nDOMID=31999\n");
	log_info("nothing of the kind");
	ck_assert_str_eq(received(), HEAD("6") "nothing of the kind\n");
	log_debug("not wanted");
	ck_assert_str_eq(received(), "");
	ck_assert_str_eq(written(), "");
	teardown();
}
END_TEST

/* What others put into a line makes no field of it. */
START_TEST(test_no_fields)
{
	open_journal(true);
	log_info("the client %s says domain %u", "x", 3);
	ck_assert_str_eq(received(), HEAD("6") "the client x says domain 3\n");
	log_info("client %s", "vbd-1-2: domain 4");
	ck_assert_str_eq(received(), HEAD("6") "client vbd-1-2: domain 4\n");
	log_info("%s: x", "vbd-1-2\nDOMID=5");
	ck_assert_str_eq(received(), HEAD("6") "vbd-1-2 DOMID=5: x\n");
	log_info("%s: x", "/etc/file");
	ck_assert_str_eq(received(), HEAD("6") "/etc/file: x\n");
	log_set_domain(42);
	log_info("%s: x", "/etc/file");
	ck_assert_str_eq(received(), HEAD("6") "/etc/file: x\nDOMID=42\n");
	log_info("domain %u", 3);
	ck_assert_str_eq(received(), HEAD("6") "domain 3\nDOMID=3\n");
	teardown();
}
END_TEST

START_TEST(test_long)
{
	char text[3000];

	open_journal(true);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	ck_assert_uint_gt(strlen(received()), 1000);
	ck_assert_ptr_nonnull(strstr(entry, "xxx\n"));
	teardown();
}
END_TEST

/* Nobody is there: the line is not lost. */
START_TEST(test_no_journal)
{
	open_journal(true);
	close(server);
	log_warning("domain %u is lonely", 3);
	ck_assert_str_eq(written(), "<4>domain 3 is lonely\n");
	teardown();
}
END_TEST

/* Standard error was redirected: whoever did that wants the lines. */
START_TEST(test_redirected)
{
	open_journal(false);
	log_info("domain %u", 3);
	ck_assert_str_eq(received(), "");
	ck_assert_str_eq(written(), "<6>domain 3\n");
	teardown();
}
END_TEST

UNIT_MAIN("log", test_fields, test_no_fields, test_long, test_no_journal, test_redirected)
