/* SPDX-License-Identifier: MIT */
/* xenhost start: starts a guest's unit, xenhost-vm@NAME.service, and waits until the guest runs or could not. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define NAME_MAX_LEN 63

struct start {
	bool no_wait;
	char unit[NAME_MAX_LEN + 32];
	sd_bus *bus;
	char job[128];	 /* systemd's, "" before it answered */
	char result[32]; /* of the job, "" before it has ended */
};

static int set_no_wait(void *data, const char *value)
{
	((struct start *)data)->no_wait = true;
	return 0;
}

static const struct option_spec specs[] = {
	{ "no-wait", NULL, "do not wait until the guest runs", set_no_wait },
	{ NULL, NULL, NULL, NULL },
};

/* It becomes part of the name of a unit. */
static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || !isalnum((unsigned char)*name))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._+-", name[i]))
			return false;
	return true;
}

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct start *s = data;
	const char *job, *unit, *result;
	uint32_t id;

	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
		return 0;
	if (!strcmp(unit, s->unit) && (!*s->job || !strcmp(job, s->job)))
		snprintf(s->result, sizeof(s->result), "%s", result);
	return 0;
}

/* Jobs are told of before we ask for one, so that its end cannot be missed. */
static int open_bus(struct start *s)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_open_system(&s->bus);

	if (r >= 0)
		r = sd_bus_match_signal(s->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					"JobRemoved", on_job_removed, s);
	if (r >= 0)
		r = sd_bus_call_method(s->bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe",
				       &error, NULL, "");
	if (r < 0)
		log_error(
			"cannot reach systemd: %s; without it xenhost supervise looks after a guest",
			error.message ? error.message : strerror(-r));
	sd_bus_error_free(&error);
	return r;
}

static int start_unit(struct start *s)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *answer = NULL;
	const char *job = "";
	int r = sd_bus_call_method(s->bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StartUnit",
				   &error, &answer, "ss", s->unit, "replace");

	if (r >= 0)
		r = sd_bus_message_read(answer, "o", &job);
	if (r < 0)
		log_error("cannot start %s: %s", s->unit,
			  error.message ? error.message : strerror(-r));
	else
		snprintf(s->job, sizeof(s->job), "%s", job);
	sd_bus_message_unref(answer);
	sd_bus_error_free(&error);
	return r;
}

static int wait_job(struct start *s)
{
	int r = 0;

	while (r >= 0 && !*s->result) {
		r = sd_bus_process(s->bus, NULL);
		if (r == 0)
			r = sd_bus_wait(s->bus, UINT64_MAX);
		if (r == -EINTR)
			r = 0;
	}
	if (r < 0) {
		log_error("lost systemd: %s", strerror(-r));
		return r;
	}
	if (!strcmp(s->result, "done"))
		return 0;
	log_error("%s did not start (%s); journalctl -u %s has the reason", s->unit, s->result,
		  s->unit);
	return -EIO;
}

static int start(struct start *s, const char *name)
{
	int r;

	if (!name_ok(name)) {
		log_error("%s is no name for a guest: letters, digits, and . _ + - after the first",
			  name);
		return -EINVAL;
	}
	snprintf(s->unit, sizeof(s->unit), "xenhost-vm@%s.service", name);
	r = open_bus(s);
	if (r >= 0)
		r = start_unit(s);
	if (r >= 0 && !s->no_wait)
		r = wait_job(s);
	sd_bus_flush_close_unref(s->bus);
	return r;
}

int cmd_start(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost start",
		.operands = "NAME",
		.purpose = "Starts a guest of the system's, as a unit of systemd.",
		.page = "xenhost-start(1)",
	};
	struct start s = { 0 };
	const struct option_table table = { specs, &s };
	int i = options_parse(&options, argc, argv, &table, 1);

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (argc - i != 1) {
		log_error("start takes the name of one guest; xenhost start --help");
		return EXIT_USAGE;
	}
	return start(&s, argv[i]) < 0 ? 1 : 0;
}
