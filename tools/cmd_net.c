/* SPDX-License-Identifier: MIT */
/*
 * xenhost net: network cards of running guests, by the nodes that any toolstack writes, and by the orders that
 * xenhost-netbackd takes in the node xenhost-control (see its page).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/json.h"
#include "tools/pv_device.h"

#define NETBACK 32001u
#define CARDS_MAX 64u
#define LIST_HEAD " domid  card  state      link  mac                interface        bridge\n"

struct net {
	struct pv_device d;
	const char *bridge, *mac, *mtu, *interface;
	char own_mac[18], own_interface[16];
};

static int set_bridge(void *data, const char *value)
{
	((struct net *)data)->bridge = value;
	return *value ? 0 : -EINVAL;
}

static int set_interface(void *data, const char *value)
{
	((struct net *)data)->interface = value;
	return *value && strlen(value) < 16 ? 0 : -EINVAL;
}

static int set_mac(void *data, const char *value)
{
	((struct net *)data)->mac = value;
	return strlen(value) == 17 && strspn(value, "0123456789abcdefABCDEF:") == 17 ? 0 : -EINVAL;
}

static int set_mtu(void *data, const char *value)
{
	unsigned long long mtu;

	((struct net *)data)->mtu = value;
	return options_number(value, 68, 65521, &mtu);
}

static const struct option_spec specs[] = {
	{ "backend", "DOMID", "service domain of the cards (default: 32001)", pv_set_backend },
	{ "force", NULL, "detach: take it away if the guest does not let go in time",
	  pv_set_force },
	{ "json", NULL, "print JSON, for scripts", pv_set_json },
	{ "rundir", "DIR", "run directory of xenhost-bridged (default: the system's)",
	  pv_set_rundir },
	{ "set", "KEY=VALUE", "attach: a node of xenhost-netbackd(8), such as anti-spoof=1",
	  pv_set_setting },
	{ "timeout", "S", "seconds to wait (default: 30)", pv_set_timeout },
	{ NULL, NULL, NULL, NULL },
};

static const struct option_spec net_specs[] = {
	{ "bridge", "NAME", "attach: a bridge that the interface joins", set_bridge },
	{ "interface", "NAME", "attach: the TAP interface (default: vifDOMID.CARD)",
	  set_interface },
	{ "mac", "ADDRESS", "attach: the card's address (default: a random one)", set_mac },
	{ "mtu", "BYTES", "attach: up to 65521 (default: 1500)", set_mtu },
	{ NULL, NULL, NULL, NULL },
};

/* --- attach --- */

static int attach_txn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct net *n = data;
	char handle[16];
	struct pv_node front[4] = { { "handle", handle }, { "mac", n->mac } };
	struct pv_node back[6] = { { "handle", handle },
				   { "mac", n->mac },
				   { "type", "vif" },
				   { "vifname", n->interface } };
	size_t nr_front = 2, nr_back = 4;

	snprintf(handle, sizeof(handle), "%u", n->d.devid);
	if (n->mtu)
		front[nr_front++] = (struct pv_node){ "mtu", n->mtu };
	if (n->bridge)
		back[nr_back++] = (struct pv_node){ "bridge", n->bridge };
	return pv_write_device(&n->d, txn, front, nr_front, back, nr_back);
}

/* 00:16:3e is Xen's */
static int choose_mac(struct net *n)
{
	uint8_t random[3];

	if (n->mac)
		return 0;
	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		log_error("cannot make an address: %s", strerror(errno));
		return -EIO;
	}
	snprintf(n->own_mac, sizeof(n->own_mac), "00:16:3e:%02x:%02x:%02x", random[0] & 0x7f,
		 random[1], random[2]);
	n->mac = n->own_mac;
	return 0;
}

static int choose_card(struct net *n)
{
	for (n->d.devid = 0; n->d.devid < CARDS_MAX; n->d.devid++) {
		_cleanup_free_ char *taken = NULL;

		pv_set_paths(&n->d);
		taken = pv_read_node(&n->d, n->d.front, "state");
		if (!taken)
			return 0;
	}
	log_error("the guest has %u cards already", CARDS_MAX);
	return -ENOSPC;
}

static int do_attach(struct net *n)
{
	int r = choose_mac(n);

	if (r < 0)
		return r;
	if (!n->interface) {
		snprintf(n->own_interface, sizeof(n->own_interface), "vif%u.%u",
			 n->d.domid % 100000, n->d.devid % 100000);
		n->interface = n->own_interface;
	}
	r = pv_attach(&n->d, attach_txn, n);
	if (r < 0)
		return r;
	if (n->d.json)
		printf("{\"domid\": %u, \"card\": %u, \"mac\": \"%s\", \"interface\": \"%s\"}\n",
		       n->d.domid, n->d.devid, n->mac, n->interface);
	else
		printf("%u\n", n->d.devid);
	return 0;
}

/* --- list --- */

static void print_string(const char *key, const char *value)
{
	printf(", \"%s\": ", key);
	json_string(stdout, value ? value : "");
}

static void print_row(struct pv_device *d, unsigned int state)
{
	_cleanup_free_ char *mac = pv_read_node(d, d->back, "mac"),
			    *interface = pv_read_node(d, d->back, "vifname"),
			    *bridge = pv_read_node(d, d->back, "bridge"),
			    *carrier = pv_read_node(d, d->back, "carrier");
	bool up = carrier && !strcmp(carrier, "1");

	if (!d->json) {
		printf("%6u  %4u  %-10s %-5s %-18s %-16s %s\n", d->domid, d->devid,
		       pv_state_name(state), up ? "up" : "down", mac ? mac : "",
		       interface ? interface : "", bridge ? bridge : "");
		return;
	}
	printf("%s{\"domid\": %u, \"card\": %u, \"state\": \"%s\", \"link\": %s",
	       d->printed ? ",\n " : "", d->domid, d->devid, pv_state_name(state),
	       up ? "true" : "false");
	print_string("mac", mac);
	print_string("interface", interface);
	print_string("bridge", bridge);
	printf("}");
	d->printed++;
}

/* --- set --- */

/* link=up|down stands for the front end's node `disconnect`, everything else is a node of the back end */
static int do_set(struct net *n, const char *setting)
{
	const char *value = strchr(setting, '=');
	bool link = !strncmp(setting, "link=", 5);
	struct pv_node node;
	char key[64];
	int r;

	if (link && strcmp(value, "=up") && strcmp(value, "=down")) {
		log_error("link is up or down");
		return -EINVAL;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(value - setting), setting);
	node = link ? (struct pv_node){ "disconnect", strcmp(value, "=up") ? "1" : "0" }
		    : (struct pv_node){ key, value + 1 };
	r = pv_write_nodes(&n->d, 0, link ? n->d.front : n->d.back, &node, 1);
	if (r < 0)
		log_error("cannot set %s: %s", setting, strerror(-r));
	return r;
}

static bool settings_ok(int nr, char **settings)
{
	static const char *const keys[] = { "link=", "rate=", "anti-spoof=" };

	for (int i = 0; i < nr; i++) {
		bool known = false;

		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			known |= !strncmp(settings[i], keys[k], strlen(keys[k]));
		if (!known)
			return false;
	}
	return true;
}

static int set_all(struct net *n, int nr, char **settings)
{
	int r = 0;

	for (int i = 0; i < nr && r == 0; i++)
		r = do_set(n, settings[i]);
	return r;
}

/* --- the command --- */

static int with_card(struct net *n, int nr, char **words)
{
	unsigned long long card;
	char order[32];

	if (options_number(words[2], 0, UINT32_MAX, &card) < 0) {
		log_error("%s is no card's number; xenhost net list shows those there are",
			  words[2]);
		return -EINVAL;
	}
	n->d.devid = (unsigned int)card;
	pv_set_paths(&n->d);
	if (pv_back_state(&n->d) == 0) {
		log_error("the guest has no such card; xenhost net list shows those there are");
		return -ENOENT;
	}
	if (!strcmp(words[0], "detach"))
		return pv_detach(&n->d);
	if (!strcmp(words[0], "set"))
		return set_all(n, nr - 3, words + 3);
	if (nr == 3)
		return pv_order(&n->d, "stat");
	snprintf(order, sizeof(order), "stat %s", words[3]);
	return pv_order(&n->d, order);
}

static int run(struct net *n, int nr, char **words)
{
	int r;

	if (nr == 1)
		return pv_list(&n->d, true, LIST_HEAD, print_row);
	r = pv_find_domain(&n->d, words[1]);
	if (r < 0)
		return r;
	if (!strcmp(words[0], "list"))
		return pv_list(&n->d, false, LIST_HEAD, print_row);
	if (strcmp(words[0], "attach"))
		return with_card(n, nr, words);
	r = choose_card(n);
	return r < 0 ? r : do_attach(n);
}

static bool words_ok(int nr, char **words)
{
	static const struct {
		const char *verb;
		int least, most;
	} verbs[] = { { "attach", 2, 2 },
		      { "detach", 3, 3 },
		      { "list", 1, 2 },
		      { "stat", 3, 4 },
		      { "set", 4, 8 } };

	for (size_t i = 0; nr > 0 && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(words[0], verbs[i].verb))
			return nr >= verbs[i].least && nr <= verbs[i].most;
	return false;
}

int cmd_net(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost net",
		.operands = "attach DOMAIN | list [DOMAIN] | detach DOMAIN CARD | "
			    "stat DOMAIN CARD [QUEUE] | set DOMAIN CARD KEY=VALUE...",
		.purpose = "Network cards of running guests.",
		.page = "xenhost-net(1)",
	};
	struct net n = {
		.d = { .class = "vif",
		       .what = "card",
		       .program = "xenhost-netbackd",
		       .timeout_s = 30,
		       .backend = NETBACK },
	};
	const struct option_table tables[] = { { specs, &n.d }, { net_specs, &n } };
	int i = options_parse(&options, argc, argv, tables, ARRAY_SIZE(tables)), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (!words_ok(argc - i, argv + i)) {
		log_error("net takes attach, detach, list, stat or set, a domain and a card; "
			  "xenhost net --help");
		return EXIT_USAGE;
	}
	if (!strcmp(argv[i], "set") && !settings_ok(argc - i - 3, argv + i + 3)) {
		log_error("net set takes link=up|down, rate=BYTES,MICROSECONDS and anti-spoof=0|1");
		return EXIT_USAGE;
	}
	r = connect_host(n.d.rundir, &n.d.host);
	if (r == 0)
		r = run(&n, argc - i, argv + i);
	xenhost_close(n.d.host);
	return r < 0 ? 1 : 0;
}
