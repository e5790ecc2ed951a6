/* SPDX-License-Identifier: MIT */
/* xenhost-bridged with a keeper, killed: what its next process knows, and what it does not believe. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/xen.h"
#include "hypercall-bridge/bridged/state.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"
#include "tools/keeper.h"

#define PATIENCE_MS 30000

static char rundir[TEMPDIR_SIZE];
static struct keeper *keeper;
static struct process bridged;

static void start_with(const char *option, const char *value)
{
	const char *const args[] = { "--rundir", rundir, option, value, NULL };

	ck_assert_int_eq(process_start_kept(&bridged, "bridged", args, keeper), 0);
}

/* SIGTERM, as at an upgrade */
static void end_bridged(void)
{
	ck_assert_int_eq(process_stop(&bridged), 0);
}

static void kill_bridged(void)
{
	ck_assert_int_eq(process_kill(&bridged), 0);
}

static void restart(void)
{
	kill_bridged();
	start_with(NULL, NULL);
}

static void setup(void)
{
	setenv("XENHOST_DAEMONS", TOP_BUILDDIR "/hypercall-bridge/bridged", 1);
	tempdir_make(rundir);
	ck_assert_int_eq(keeper_new(rundir, &keeper), 0);
	start_with(NULL, NULL);
}

static void teardown(void)
{
	ck_assert_int_eq(process_stop(&bridged), 0);
	keeper = keeper_free(keeper);
	tempdir_remove(rundir);
}

/* a copy of what the keeper has by this name */
static int kept_fd(const char *name)
{
	struct keeper_loan loan;
	char *names = NULL, *save;
	int fd = -1;
	size_t i = 0;

	ck_assert_int_eq(keeper_lend(keeper, &loan), 0);
	for (char **var = loan.envp; *var; var++)
		if (!strncmp(*var, "LISTEN_FDNAMES=", 15))
			names = *var + 15;
	ck_assert_ptr_nonnull(names);
	for (char *n = strtok_r(names, ":", &save); n; n = strtok_r(NULL, ":", &save), i++)
		if (!strcmp(n, name))
			fd = dup(loan.fds[i]);
	keeper_loan_fini(&loan);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void forget_fd(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[64];

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/keeper.sock", rundir);
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	ck_assert_int_gt(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
	close(fd);
}

static uint64_t instance(void)
{
	struct bridge_client *c = peer_open(rundir, "tool");
	uint64_t id = bridge_client_welcome(c)->instance;

	ck_assert(bridge_client_welcome(c)->kept);
	bridge_client_close(c);
	return id;
}

/* until the keeper has so many: what is given up goes a moment after its owner */
static void wait_kept(size_t nr)
{
	for (int ms = 0; keeper_count(keeper) != nr; ms++) {
		ck_assert_int_lt(ms, PATIENCE_MS);
		(void)poll(NULL, 0, 1);
	}
}

/* until that domain is gone */
static void wait_gone(struct bridge_client *c, uint32_t domid)
{
	struct bridge_message m;
	bool gone = false;

	while (!gone) {
		peer_next_event(c, &m);
		gone = m.frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_INFO &&
		       m.frame->domain_info->domid == domid &&
		       m.frame->domain_info->state == BRIDGE__DOMAIN_STATE__GONE;
		bridge_message_fini(&m);
	}
}

/* any call makes a client come back */
static void come_back(struct bridge_client *c)
{
	struct bridge_message m;

	ck_assert_int_eq(peer_query(c, 0, &m), 0);
	bridge_message_fini(&m);
}

START_TEST(test_all_is_there)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *blk = peer_open(rundir, "blkback"),
			     *tool;
	struct bridge_message guest, service, m;
	uint64_t id, count, before = instance();
	uint32_t port;
	int domid = peer_own(vmm, "a", &id), fd = peer_memory(4096);

	ck_assert_int_eq(domid, 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 5, 32000, &guest), 0);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 5), 0);
	ck_assert_int_eq(peer_port_bind(blk, 1, 5, &service), 0);
	port = service.frame->port->port;
	ck_assert_int_eq(read(service.fds[0], &count, sizeof(count)), sizeof(count));
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__PUT, "j", STDIN_FILENO, NULL), 0);
	ck_assert_int_eq(pwrite(fd, "new", 3, 0), 3);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__PUT, "j", fd, NULL), 0);
	bridge_client_close(blk);

	if (_i)
		end_bridged();
	else
		kill_bridged();
	ck_assert_int_eq(eventfd_write(guest.fds[1], 1), 0); /* nobody needs it for that */
	ck_assert_int_eq(read(service.fds[0], &count, sizeof(count)), sizeof(count));
	start_with(NULL, NULL);
	ck_assert_uint_eq(instance(), before);
	tool = peer_open(rundir, "tool"); /* nobody has come back yet */
	ck_assert_int_eq(peer_port_query(tool, 1, 0, &m), 0);
	ck_assert_uint_eq(m.frame->port_list->n_ports, 1);
	ck_assert_int_eq(m.frame->port_list->ports[0]->state,
			 BRIDGE__PORT_INFO__STATE__INTERDOMAIN);
	ck_assert_uint_eq(m.frame->port_list->ports[0]->remote_port, port);
	bridge_message_fini(&m);
	bridge_client_close(tool);
	come_back(vmm);
	ck_assert_int_eq(peer_query(vmm, 1, &m), 0);
	ck_assert_uint_eq(m.frame->domain_info->unique_id, id);
	ck_assert_uint_eq(m.frame->domain_info->store_port, 5);
	ck_assert_int_eq(m.frame->domain_info->state, BRIDGE__DOMAIN_STATE__RUNNING);
	ck_assert_uint_eq(m.frame->domain_info->memory_bytes, RAM_SIZE);
	bridge_message_fini(&m);
	bridge_message_fini(&service);
	blk = peer_open(rundir, "blkback");
	ck_assert_int_eq(peer_port_bind(blk, 1, 5, &service), 0);
	ck_assert_uint_eq(service.frame->port->port, port);
	ck_assert_int_eq(read(service.fds[0], &count, sizeof(count)), sizeof(count));
	ck_assert_int_eq(eventfd_write(guest.fds[1], 1), 0); /* from before: the same eventfd */
	ck_assert_int_eq(read(service.fds[0], &count, sizeof(count)), sizeof(count));
	ck_assert_int_eq(eventfd_write(service.fds[1], 1), 0);
	ck_assert_int_eq(read(guest.fds[0], &count, sizeof(count)), sizeof(count));
	ck_assert_int_eq(peer_attach(blk, 1, &m), 0);
	ck_assert_uint_eq(m.nr_fds, 2);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__GET, "j", -1, &m), 0);
	ck_assert_int_eq(pread(m.fds[0], &count, 3, 0), 3);
	ck_assert_int_eq(memcmp(&count, "new", 3), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__DROP, "j", -1, NULL), 0);
	close(fd);
	bridge_message_fini(&guest);
	bridge_message_fini(&service);
	bridge_client_close(vmm);
	peer_expect_state(blk, 1, BRIDGE__DOMAIN_STATE__GONE);
	ck_assert_int_eq(peer_port_close(blk, port), 0); /* it was dead, and still its own */
	bridge_client_close(blk);
	wait_kept(1); /* the tables */
}
END_TEST

/* a guest without a secret is nobody's after a restart; nor is one whose owner does not come */
START_TEST(test_owner_stays_away)
{
	struct bridge_client *mute = peer_open(rundir, "vmm"), *late = peer_open(rundir, "vmm"),
			     *vmm = peer_open(rundir, "vmm"), *tool, *blk;
	struct bridge_message m;
	uint64_t id;
	int gone = 0;

	blk = peer_open(rundir, "blkback");
	ck_assert_int_eq(peer_create(mute, "mute"), 1);
	ck_assert_int_eq(peer_own(late, "late", &id), 2);
	ck_assert_int_eq(peer_own(vmm, "back", &id), 3);
	ck_assert_int_eq(peer_port_alloc(late, 7, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_bind(blk, 2, 7, &m), 0);
	bridge_message_fini(&m);
	kill_bridged();
	start_with("--return-time", "3");
	come_back(vmm);
	tool = peer_open(rundir, "tool");
	ck_assert_int_eq(peer_watch(tool), 0);
	while (gone < 2) {
		peer_next_event(tool, &m);
		if (m.frame->domain_info->state == BRIDGE__DOMAIN_STATE__GONE) {
			ck_assert_uint_ne(m.frame->domain_info->domid, 3);
			gone++;
		}
		bridge_message_fini(&m);
	}
	come_back(vmm);
	ck_assert_int_eq(peer_query(tool, 3, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_query(late, 2, &m), -ECONNRESET); /* refused: it is too late */
	ck_assert_int_eq(peer_query(late, 2, &m), -ENOTCONN);
	bridge_client_close(mute);
	bridge_client_close(late);
	bridge_client_close(vmm);
	bridge_client_close(tool);
	bridge_client_close(blk);
}
END_TEST

START_TEST(test_secrets)
{
	uint8_t wrong[BRIDGE_SECRET_SIZE] = "no";
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *mute = peer_open(rundir, "vmm"),
			     *thief;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_create(mute, "mute"), 2);
	thief = peer_open(rundir, "vmm");
	ck_assert_int_eq(peer_reattach(thief, id, wrong, sizeof(wrong)), -EACCES);
	restart();
	bridge_client_close(thief);
	thief = peer_open(rundir, "vmm");
	ck_assert_int_eq(peer_reattach(thief, id, wrong, sizeof(wrong)), -EACCES);
	ck_assert_int_eq(peer_reattach(thief, id, wrong, 0), -EACCES);
	ck_assert_int_eq(peer_reattach(thief, id + 1, wrong, sizeof(wrong)), -ESRCH);
	memset(wrong, 0, sizeof(wrong));
	ck_assert_int_eq(peer_reattach(thief, id, wrong, sizeof(wrong)), -EACCES);
	ck_assert_int_eq(peer_create(thief, "a"), -EEXIST); /* nor by its name */
	come_back(vmm);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	bridge_client_close(thief);
	bridge_client_close(mute);
	bridge_client_close(vmm);
}
END_TEST

static void expect_control(struct bridge_client *c, Bridge__ControlAction action)
{
	struct bridge_message m;

	do {
		peer_next_event(c, &m);
		if (m.frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_CONTROL) {
			ck_assert_int_eq(m.frame->domain_control->action, action);
			bridge_message_fini(&m);
			return;
		}
		bridge_message_fini(&m);
	} while (true);
}

/* what a tool asks for is not lost, whether the owner is there or not */
START_TEST(test_control_is_kept)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *tool = peer_open(rundir, "tool");
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_control(tool, 1, BRIDGE__CONTROL_ACTION__UNPAUSE), 0);
	restart();
	bridge_client_close(tool);
	tool = peer_open(rundir, "tool");
	come_back(vmm);
	expect_control(vmm, BRIDGE__CONTROL_ACTION__UNPAUSE);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	restart();
	bridge_client_close(tool);
	tool = peer_open(rundir, "tool");
	ck_assert_int_eq(peer_control(tool, 1, BRIDGE__CONTROL_ACTION__DESTROY), 0);
	come_back(vmm); /* and no second unpause: it runs */
	expect_control(vmm, BRIDGE__CONTROL_ACTION__DESTROY);
	bridge_client_close(tool);
	bridge_client_close(vmm);
}
END_TEST

/* an owner is told the state of all its ports */
START_TEST(test_ports_are_told)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *blk;
	struct bridge_message m;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	for (uint32_t port = 3; port < 5; port++) {
		ck_assert_int_eq(peer_port_alloc(vmm, port, 32000, &m), 0);
		bridge_message_fini(&m);
	}
	restart();
	blk = peer_open(rundir, "blkback");
	ck_assert_int_eq(peer_port_bind(blk, 1, 4, &m), 0); /* the owner is not there to hear it */
	bridge_message_fini(&m);
	come_back(vmm);
	for (uint32_t port = 3; port < 5; port++) {
		peer_next_event(vmm, &m);
		ck_assert_int_eq(m.frame->body_case, BRIDGE__FRAME__BODY_PORT_CHANGED);
		ck_assert_uint_eq(m.frame->port_changed->port, port);
		ck_assert_int_eq(m.frame->port_changed->bound, port == 4);
		bridge_message_fini(&m);
	}
	bridge_client_close(blk);
	bridge_client_close(vmm);
}
END_TEST

static struct state_header *header;
static struct state_record *records;

static void map_tables(void)
{
	int fd = kept_fd("tables");
	uint8_t *addr = mmap(NULL, STATE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(addr, MAP_FAILED);
	close(fd);
	header = (void *)addr;
	records = (void *)(addr + STATE_HEADER_SIZE);
}

static struct state_record *find_record(enum state_kind kind, unsigned int n)
{
	for (uint32_t i = 0; i < header->used; i++)
		if (records[i].kind == kind && n-- == 0)
			return &records[i];
	ck_abort_msg("there is no such record");
	return NULL;
}

static void break_magic(void)
{
	header->magic++;
}

static void break_version(void)
{
	header->version++;
}

static void break_kind(void)
{
	find_record(STATE_CHANNEL, 0)->kind = STATE_KINDS;
}

static void break_name(void)
{
	memset(find_record(STATE_DOMAIN, 3)->domain.name, 'x', BRIDGE_NAME_MAX);
}

static void break_size(void)
{
	int fd = kept_fd("tables");

	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	close(fd);
}

/* each by itself is fine */
static void break_port(void)
{
	find_record(STATE_CHANNEL, 1)->channel.ends[0].port =
		find_record(STATE_CHANNEL, 0)->channel.ends[0].port;
}

static void break_domid(void)
{
	find_record(STATE_DOMAIN, 4)->domain.domid = find_record(STATE_DOMAIN, 3)->domain.domid;
}

static void break_unique_id(void)
{
	find_record(STATE_DOMAIN, 4)->domain.unique_id =
		find_record(STATE_DOMAIN, 3)->domain.unique_id;
}

static void break_memory(void)
{
	find_record(STATE_DOMAIN, 3)->domain.regions[0].size = 1ull << 40; /* past its file's end */
}

static void (*const breakers[])(void) = {
	break_magic, break_version, break_kind,	     break_name,   break_size,
	break_port,  break_domid,   break_unique_id, break_memory,
};

/* tables that cannot be right are refused as a whole */
/* How guests ended outlives bridged, before they are removed and after. */
START_TEST(test_gone)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *tool;
	struct bridge_message m;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__SHUTDOWN, SHUTDOWN_crash),
			 0);
	restart();
	come_back(vmm);
	ck_assert_int_eq(peer_query(vmm, 1, &m), 0);
	ck_assert(m.frame->domain_info->ended);
	bridge_message_fini(&m);
	tool = peer_open(rundir, "tool");
	ck_assert_int_eq(peer_watch(tool), 0);
	bridge_client_close(vmm);
	wait_gone(tool, 1);
	bridge_client_close(tool);
	restart();
	tool = peer_open(rundir, "tool");
	ck_assert_int_eq(peer_query(tool, 1, &m), -ESRCH);
	ck_assert_int_eq(peer_query_gone(tool, 1, &m), 0);
	ck_assert_int_eq(m.frame->domain_info->state, BRIDGE__DOMAIN_STATE__GONE);
	ck_assert_uint_eq(m.frame->domain_info->unique_id, id);
	ck_assert(m.frame->domain_info->ended);
	ck_assert_uint_eq(m.frame->domain_info->shutdown_reason, SHUTDOWN_crash);
	ck_assert_str_eq(m.frame->domain_info->name, "a");
	bridge_message_fini(&m);
	bridge_client_close(tool);
}
END_TEST

START_TEST(test_broken_tables)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *other = peer_open(rundir, "vmm");
	uint64_t id, before = instance();
	struct bridge_message m;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_own(other, "b", &id), 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(peer_port_alloc(vmm, 0, 32000, &m), 0);
		bridge_message_fini(&m);
	}
	kill_bridged();
	map_tables();
	breakers[_i]();
	munmap(header, STATE_SIZE);
	start_with(NULL, NULL);
	ck_assert_uint_ne(instance(), before);
	ck_assert_uint_eq(keeper_count(keeper), 1);
	ck_assert_int_eq(peer_query(vmm, 1, &m), -ECONNRESET); /* not the one it knows */
	bridge_client_close(vmm);
	vmm = peer_open(rundir, "vmm");
	ck_assert_int_eq(peer_query(vmm, 1, &m), -ESRCH);
	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	bridge_client_close(vmm);
	bridge_client_close(other);
}
END_TEST

/* killed while it wrote: the new value counts */
START_TEST(test_interrupted_write)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm");
	struct state_record *r;
	struct bridge_message m;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	kill_bridged();
	map_tables();
	r = find_record(STATE_DOMAIN, 3);
	header->record = *r;
	header->record.domain.store_port = 9;
	header->pending = (uint32_t)(r - records) + 1;
	memset(r, 0xff, sizeof(*r) / 2);
	munmap(header, STATE_SIZE);
	start_with(NULL, NULL);
	come_back(vmm);
	ck_assert_int_eq(peer_query(vmm, 1, &m), 0);
	ck_assert_uint_eq(m.frame->domain_info->store_port, 9);
	bridge_message_fini(&m);
	bridge_client_close(vmm);
}
END_TEST

/* a keeper that lost descriptors costs what they belong to, and no more */
START_TEST(test_lost_descriptors)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *other = peer_open(rundir, "vmm");
	char name[STATE_NAME_SIZE];
	struct bridge_message m;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_own(other, "b", &id), 2);
	kill_bridged();
	map_tables();
	state_fd_name((uint32_t)(find_record(STATE_DOMAIN, 3) - records), 1, name);
	munmap(header, STATE_SIZE);
	forget_fd(name);
	start_with(NULL, NULL);
	come_back(other);
	ck_assert_int_eq(peer_query(other, 1, &m), -ESRCH);
	ck_assert_uint_eq(keeper_count(keeper), 1 + 3);
	bridge_client_close(vmm);
	bridge_client_close(other);
}
END_TEST

/* a service that is configured no more has no rights left */
START_TEST(test_service_goes)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *more;
	struct bridge_message m;
	uint64_t id;

	kill_bridged();
	start_with("--service", "more=32002");
	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	more = peer_open(rundir, "more");
	ck_assert_int_eq(peer_port_alloc(vmm, 3, 32002, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_bind(more, 1, 3, &m), 0);
	bridge_message_fini(&m);
	bridge_client_close(more);
	kill_bridged();
	start_with("--service", "other=32002"); /* another one gets its domid */
	come_back(vmm);
	more = peer_open(rundir, "other");
	ck_assert_int_eq(peer_port_bind(more, 1, 3, &m), -EINVAL);
	bridge_client_close(more);
	bridge_client_close(vmm);
}
END_TEST

struct seen {
	unsigned int gone, ends;
	uint64_t gone_id;
};

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct seen *seen = data;

	if (info->state == XENHOST_DOMAIN_GONE) {
		ck_assert_uint_eq(seen->ends, 1); /* before the second snapshot ends */
		seen->gone++;
		seen->gone_id = info->unique_id;
	}
	if (info->flags & XENHOST_DOMAIN_F_SNAPSHOT_END)
		seen->ends++;
}

static void process_until(xenhost_t *host, const unsigned int *count, unsigned int value)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

	while (*count < value) {
		ck_assert_int_ge(poll(&p, 1, PATIENCE_MS), 1);
		ck_assert_int_ge(xenhost_process(host), 0);
	}
}

/* the library: ports go on, and what ended meanwhile is told */
START_TEST(test_library_resumes)
{
	struct bridge_client *vmm = peer_open(rundir, "vmm"), *gone = peer_open(rundir, "vmm"),
			     *tool;
	struct bridge_message a, b;
	xenhost_port_t *kept, *lost, *offered;
	struct seen seen = { 0 };
	uint64_t id, gone_id;
	xenhost_t *host;
	char uri[128];

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_own(gone, "b", &gone_id), 2);
	ck_assert_int_eq(peer_port_alloc(vmm, 3, 32000, &a), 0);
	ck_assert_int_eq(peer_port_alloc(gone, 3, 32000, &b), 0);
	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 2, 3, &lost), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &kept), 0);
	ck_assert_int_eq(xenhost_port_alloc(host, 1, &offered), 0);
	ck_assert_int_eq(xenhost_domain_watch(host, on_domain, &seen), 0);
	process_until(host, &seen.ends, 1);
	kill_bridged();
	bridge_client_close(gone); /* nobody hears it */
	start_with("--return-time", "3");
	come_back(vmm);
	tool = peer_open(rundir, "tool");
	ck_assert_int_eq(peer_watch(tool), 0);
	wait_gone(tool, 2);
	bridge_client_close(tool);
	process_until(host, &seen.ends, 2);
	ck_assert_uint_eq(seen.gone, 1);
	ck_assert_uint_eq(seen.gone_id, gone_id);
	ck_assert_int_eq(xenhost_port_notify(kept), 0);
	ck_assert_int_eq(eventfd_read(a.fds[0], &id), 0);
	ck_assert_int_ge(xenhost_port_ack(kept), 0);
	ck_assert_int_eq(eventfd_write(a.fds[1], 1), 0);
	ck_assert_int_eq(xenhost_port_ack(kept), 1);
	xenhost_port_close(lost);
	xenhost_port_close(offered);
	xenhost_port_close(kept);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &kept), 0);
	xenhost_port_close(kept);
	xenhost_close(host);
	bridge_message_fini(&a);
	bridge_message_fini(&b);
	bridge_client_close(vmm);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_owner_stays_away, test_secrets,	       test_control_is_kept,
		test_ports_are_told,   test_interrupted_write, test_lost_descriptors,
		test_service_goes,     test_library_resumes,   test_gone
	};
	SRunner *runner = srunner_create(NULL);
	Suite *suite = suite_create("bridged-restart");
	TCase *t = tcase_create("bridged-restart");
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	tcase_add_loop_test(t, test_all_is_there, 0, 2);
	tcase_add_loop_test(t, test_broken_tables, 0,
			    (int)(sizeof(breakers) / sizeof(breakers[0])));
	suite_add_tcase(suite, t);
	srunner_add_suite(runner, suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
