/* SPDX-License-Identifier: MIT */
/*
 * opend.conf(5): any text is refused with a line that it has, or taken; then every list is within its limits
 * and allows what its patterns say without a star.
 * Planted and found within a minute: lists may have one line too many (add_pattern() in conf.c).
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "opend/conf.h"
#include "tests/support/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_list(const struct conf *conf, const struct conf_service *s, enum conf_kind kind)
{
	const struct conf_list *list = &s->lists[kind];

	check(list->nr <= CONF_PATTERNS_MAX);
	for (unsigned int i = 0; i < list->nr; i++) {
		const char *pattern = list->patterns[i];
		size_t len = strnlen(pattern, CONF_PATTERN_MAX);
		char below[CONF_PATTERN_MAX + 1];

		check(len > 0 && len < CONF_PATTERN_MAX);
		strcpy(below, pattern);
		if (pattern[len - 1] == '/')
			strcat(below, "x");
		check(conf_allows(conf, s->name, kind, below));
		if (kind == CONF_WRITABLE && !strpbrk(pattern, "*?"))
			check(conf_path_plain(below));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf conf;
	struct conf_mistake m = { 0 };
	unsigned int lines;
	char *text = fuzz_text(data, size, &lines);

	if (conf_parse(&conf, text, size, &m) < 0) {
		check(m.line >= 1 && m.line <= lines && m.why);
	} else {
		check(conf.nr_services <= SERVICE_MAX);
		for (unsigned int i = 0; i < conf.nr_services; i++)
			for (int k = 0; k < CONF_KIND_MAX; k++)
				check_list(&conf, &conf.services[i], (enum conf_kind)k);
	}
	free(text);
	return 0;
}
