/* SPDX-License-Identifier: MIT */
/*
 * bridge.conf(5): any text is refused with a line that it has, or taken; then every list and number is
 * within its limits, and questions about names of the text have answers.
 * tests/planted has seven mistakes that are found within a minute.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/bridged/policy.h"
#include "tests/support/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_list(const struct policy_list *list)
{
	check(list->nr <= POLICY_PATTERNS_MAX && (list->given || list->nr == 0));
	for (unsigned int i = 0; i < list->nr; i++)
		check(list->patterns[i][0] && memchr(list->patterns[i], '\0', BRIDGE_NAME_MAX));
}

static void check_policy(const struct policy *p)
{
	check(p->nr_services <= SERVICE_MAX && p->nr_guests <= POLICY_GUESTS_MAX);
	for (unsigned int i = 0; i < p->nr_services; i++) {
		check(p->services[i].name[0]);
		check_list(&p->services[i].guests);
	}
	for (unsigned int i = 0; i < p->nr_guests; i++) {
		const struct policy_guest *g = &p->guests[i];

		check(g->pattern[0]);
		check_list(&g->services);
		check_list(&g->peers);
		check(policy_match(g->pattern, g->pattern));
		check(policy_of(p, g->pattern) != NULL);
		for (unsigned int k = 0; k < p->nr_services; k++)
			(void)policy_may_serve(p, p->services[k].name, g->pattern);
		for (unsigned int k = 0; k < p->nr_guests; k++)
			check(policy_may_join(p, g->pattern, p->guests[k].pattern) ==
			      policy_may_join(p, p->guests[k].pattern, g->pattern));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy p;
	struct conf_mistake m = { 0 };
	unsigned int lines;
	char *text = fuzz_text(data, size, &lines);

	if (policy_parse(&p, text, size, &m) == 0)
		check_policy(&p);
	else
		check(m.line >= 1 && m.line <= lines && m.why);
	free(text);
	return 0;
}
