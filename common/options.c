/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"

#define OPTIONS_MAX 64
#define VALUE_HELP 1000
#define VALUE_VERSION 1001

struct parser {
	struct option longs[OPTIONS_MAX + 3];
	const struct option_spec *specs[OPTIONS_MAX];
	void *data[OPTIONS_MAX];
	int nr;
};

static void print_spec(const char *name, const char *arg, const char *help)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", name, arg ? " " : "", arg ? arg : "");
	printf("  %-26s %s\n", left, help);
}

static void print_help(const struct options *o, const struct parser *p)
{
	printf("usage: %s [OPTION...]%s%s\n%s\n\n", o->program, o->operands ? " " : "",
	       o->operands ? o->operands : "", o->purpose);
	for (int i = 0; i < p->nr; i++)
		print_spec(p->specs[i]->name, p->specs[i]->arg, p->specs[i]->help);
	print_spec("help", NULL, "this text");
	print_spec("version", NULL, "the version");
	printf("\nSee %s.\n", o->page);
}

static int usage_error(const struct options *o, const char *what, const char *dashes,
		       const char *arg, const char *value)
{
	fprintf(stderr, "%s: %s %s%s%s%s; %s --help lists the options\n", o->program, what, dashes,
		arg, value ? " " : "", value ? value : "", o->program);
	return -EINVAL;
}

static void add_specs(struct parser *p, const struct option_table *t)
{
	for (const struct option_spec *s = t->specs; s && s->name && p->nr < OPTIONS_MAX; s++) {
		p->specs[p->nr] = s;
		p->data[p->nr] = t->data;
		p->longs[p->nr] =
			(struct option){ s->name, s->arg ? required_argument : no_argument, NULL,
					 p->nr };
		p->nr++;
	}
}

static void parser_init(struct parser *p, const struct option_table *tables, size_t nr_tables)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < nr_tables; i++)
		add_specs(p, &tables[i]);
	p->longs[p->nr] = (struct option){ "help", no_argument, NULL, VALUE_HELP };
	p->longs[p->nr + 1] = (struct option){ "version", no_argument, NULL, VALUE_VERSION };
}

int options_parse(const struct options *o, int argc, char **argv, const struct option_table *tables,
		  size_t nr_tables)
{
	struct parser p;
	int c;

	parser_init(&p, tables, nr_tables);
	opterr = 0;
	optind = 0; /* also forgets what it had moved of an earlier command line */
	while ((c = getopt_long(argc, argv, o->options_first ? "+:" : ":", p.longs, NULL)) != -1) {
		if (c == VALUE_HELP) {
			print_help(o, &p);
			return 0;
		}
		if (c == VALUE_VERSION) {
			printf("%s %s\n", o->program, PACKAGE_VERSION);
			return 0;
		}
		if (c == '?')
			return usage_error(o, "unknown option", "", argv[optind - 1], NULL);
		if (c == ':')
			return usage_error(o, "a value is missing after", "", argv[optind - 1],
					   NULL);
		if (p.specs[c]->set(p.data[c], optarg) < 0)
			return usage_error(o, "bad value:", "--", p.specs[c]->name, optarg);
	}
	if (optind < argc && !o->operands)
		return usage_error(o, "unexpected argument", "", argv[optind], NULL);
	return optind;
}

int options_number(const char *value, unsigned long long min, unsigned long long max,
		   unsigned long long *ret_number)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	errno = 0;
	v = strtoull(value, &end, 10);
	if (errno || *end || v < min || v > max)
		return -EINVAL;
	*ret_number = v;
	return 0;
}

int options_size(const char *value, unsigned long long *ret_bytes)
{
	static const char units[] = "KMGT";
	unsigned long long v;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)*value))
		return -EINVAL;
	errno = 0;
	v = strtoull(value, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (v > ~0ULL >> shift)
		return -EINVAL;
	*ret_bytes = v << shift;
	return 0;
}
