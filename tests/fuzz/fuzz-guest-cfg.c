/* SPDX-License-Identifier: MIT */
/*
 * Configurations of guests as xl.cfg(5) has them: any text is refused with a line that it has and a reason, or
 * taken; then everything is within its limits.
 * Planted and found within a minute: one card too many is taken (guest_new_vif()); an octal escape reads
 * behind the string (escape() in xl_syntax.c).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fuzz_text.h"
#include "tools/guest.h"
#include "tools/guest_cfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* takes one in two; its own parser is not what is looked at here */
int passt_publish(struct passt *p, const char *text)
{
	if (*text & 1)
		return -EINVAL;
	if (p->nr_ports == PASST_PORTS_MAX)
		return -ENOSPC;
	p->nr_ports++;
	return 0;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_guest(const struct guest *g)
{
	check(*g->name && memchr(g->name, '\0', sizeof(g->name)));
	check(g->memory_bytes >= 16ULL << 20 && g->memory_bytes <= 1ULL << 40);
	check(g->target_bytes < g->memory_bytes);
	check(g->vcpus >= 1 && g->vcpus <= GUEST_VCPUS_MAX && g->vcpus_online < g->vcpus);
	check(g->nr_disks <= GUEST_DISKS_MAX && g->nr_vifs <= GUEST_VIFS_MAX);
	for (unsigned int i = 0; i < g->nr_disks; i++) {
		const struct guest_disk *d = &g->disks[i];

		check(*d->path && memchr(d->path, '\0', sizeof(d->path)));
		check(d->devid != 0 && d->devid < 1u << 29);
		for (unsigned int k = 0; k < i; k++)
			check(g->disks[k].devid != d->devid);
	}
	for (unsigned int i = 0; i < g->nr_vifs; i++) {
		const struct guest_vif *v = &g->vifs[i];

		check(memchr(v->tap, '\0', sizeof(v->tap)) && !*v->bridge == v->user);
		check(memchr(v->bridge, '\0', sizeof(v->bridge)) && !(v->mac[0] & 1));
		check(!v->mtu || (v->mtu >= 68 && v->mtu <= 65521));
		check(!v->rate_bytes || v->rate_us);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest g;
	struct guest_cfg c = { .guest = &g };
	unsigned int lines;
	char *text = fuzz_text(data, size, &lines);
	int r;

	guest_init(&g);
	r = guest_cfg_parse(&c, text, size);
	if (r < 0)
		check(r == -EINVAL && c.line >= 1 && c.line <= lines && *c.why);
	else if (guest_cfg_complete(&c) < 0)
		check(c.line == 0 && *c.why);
	else
		check_guest(&g);
	check(memchr(c.why, '\0', sizeof(c.why)) && memchr(c.ignored, '\0', sizeof(c.ignored)));
	guest_cfg_fini(&c);
	guest_fini(&g);
	free(text);
	return 0;
}
