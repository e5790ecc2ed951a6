/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tools/guest.h"
#include "tools/guest_cfg.h"

static struct guest g;
static struct guest_cfg c;

static void setup(void)
{
	guest_init(&g);
	memset(&c, 0, sizeof(c));
	c.guest = &g;
}

static void teardown(void)
{
	guest_cfg_fini(&c);
	guest_fini(&g);
}

static int parse(const char *text)
{
	int r;

	teardown();
	setup();
	r = guest_cfg_parse(&c, text, strlen(text));
	return r == 0 ? guest_cfg_complete(&c) : r;
}

static void good(const char *text)
{
	ck_assert_msg(parse(text) == 0, "line %u: %s", c.line, c.why);
}

static void bad(const char *text, unsigned int line, const char *why)
{
	ck_assert_msg(parse(text) == -EINVAL, "%s is taken", text);
	ck_assert_msg(c.line == line, "%s: line %u", text, c.line);
	ck_assert_msg(strstr(c.why, why) != NULL, "%s: %s", text, c.why);
}

/* a file of the shape of Xen's own example for PVH guests */
static const char example[] = "# A PVH guest\n"
			      "type = \"pvh\"\n"
			      "\n"
			      "name = \"example.pvhlinux\"\n"
			      "#uuid = \"XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX\"\n"
			      "kernel = \"/boot/vmlinuz\"\n"
			      "#ramdisk = \"/boot/initrd.gz\"\n"
			      "extra = \"root=/dev/xvda1\"\n"
			      "memory = 512\n"
			      "vcpus = 4\n"
			      "vif = [ '' ]\n"
			      "disk = [ '/dev/zvol/tank/guest-volume,raw,xvda,rw' ]\n";

static void is_example(void)
{
	ck_assert_str_eq(g.name, "example.pvhlinux");
	ck_assert_str_eq(g.uuid, "");
	ck_assert_str_eq(g.kernel, "/boot/vmlinuz");
	ck_assert_ptr_null(g.initrd);
	ck_assert_str_eq(g.append, "root=/dev/xvda1");
	ck_assert_uint_eq(g.memory_bytes, 512ULL << 20);
	ck_assert_uint_eq(g.target_bytes, 0);
	ck_assert_uint_eq(g.vcpus, 4);
	ck_assert_uint_eq(g.vcpus_online, 0);
	ck_assert_uint_eq(g.nr_vifs, 1);
	ck_assert_str_eq(g.vifs[0].bridge, "xenbr0");
	ck_assert_str_eq(g.vifs[0].tap, "");
	ck_assert_uint_eq(g.nr_disks, 1);
	ck_assert_str_eq(g.disks[0].path, "/dev/zvol/tank/guest-volume");
	ck_assert_uint_eq(g.disks[0].devid, 51712);
	ck_assert(!g.disks[0].read_only);
	ck_assert_str_eq(c.ignored, "");
}

START_TEST(test_example)
{
	good(example);
	is_example();
}
END_TEST

START_TEST(test_texts)
{
	good("name='a'; root='/dev/xvda'; extra='quiet'");
	ck_assert_str_eq(g.append, "root=/dev/xvda quiet");
	good("name='a'; root='/dev/xvda ro'");
	ck_assert_str_eq(g.append, "root=/dev/xvda ro");
	good("name='a'; root='/dev/xvda'; extra='quiet'; cmdline='only this'");
	ck_assert_str_eq(g.append, "only this");
	good("name='a'; extra='one'; extra+=' two'");
	ck_assert_str_eq(g.append, "one two");
	good("name='a'; name='b'; kernel='/k'; ramdisk='/r'; console_log='/l'; console_pty=''");
	ck_assert_str_eq(g.name, "b");
	ck_assert_str_eq(g.kernel, "/k");
	ck_assert_str_eq(g.initrd, "/r");
	ck_assert_str_eq(g.console_log, "/l");
	ck_assert_ptr_null(g.console_pty);
	ck_assert_ptr_null(g.append);
	good("name='a'; kernel=''");
	ck_assert_ptr_null(g.kernel);
	bad("name='a'\nkernel=['/k']", 2, "kernel is no list");
	bad("name='a b'", 1, "no name for a guest");
	bad("memory=64", 0, "name is missing");
	bad("name='a'; uuid='1'", 1, "is no uuid");
	good("name='a'; uuid='0A0B0C0D-0000-1111-2222-333344445555'");
	ck_assert_str_eq(g.uuid, "0a0b0c0d-0000-1111-2222-333344445555");
	ck_assert(c.has_uuid);
}
END_TEST

START_TEST(test_numbers)
{
	good("name='a'; memory=256; maxmem=1024; vcpus=2; maxvcpus=8; sparse=1");
	ck_assert_uint_eq(g.memory_bytes, 1024ULL << 20);
	ck_assert_uint_eq(g.target_bytes, 256ULL << 20);
	ck_assert_uint_eq(g.vcpus, 8);
	ck_assert_uint_eq(g.vcpus_online, 2);
	ck_assert(g.sparse);
	good("name='a'; memory='512'; maxmem=512; maxvcpus=4");
	ck_assert_uint_eq(g.memory_bytes, 512ULL << 20);
	ck_assert_uint_eq(g.target_bytes, 0);
	ck_assert_uint_eq(g.vcpus, 4);
	ck_assert_uint_eq(g.vcpus_online, 0);
	bad("name='a'; memory=512; maxmem=256", 0, "maxmem is less");
	bad("name='a'; vcpus=4; maxvcpus=2", 0, "maxvcpus is less");
	bad("name='a'; vcpus=33", 1, "vcpus has to be a number from 1 to 32");
	bad("name='a'; memory=8", 1, "memory has to be a number from 16");
	bad("name='a'; memory='much'", 1, "memory has to be a number");
	bad("name='a'; sparse=2", 1, "from 0 to 1");
}
END_TEST

START_TEST(test_actions)
{
	good("name='a'; on_poweroff='preserve'; on_reboot='destroy'; on_crash='restart'; "
	     "on_watchdog='restart'; on_soft_reset='soft-reset'");
	ck_assert_int_eq(g.on_poweroff, GUEST_PRESERVE);
	ck_assert_int_eq(g.on_reboot, GUEST_DESTROY);
	ck_assert_int_eq(g.on_crash, GUEST_RESTART);
	ck_assert_int_eq(g.on_watchdog, GUEST_RESTART);
	bad("name='a'; on_crash='coredump-destroy'", 1, "destroy, restart or preserve");
	bad("name='a'; on_soft_reset='destroy'", 1, "on_soft_reset is refused");
}
END_TEST

START_TEST(test_devices)
{
	good("name='a'; disk=['/a,,xvda','/b,raw,xvdb,r','/c,,hdc,cdrom'];disk+=['/d,,xvdc']\n"
	     "vif=['mac=00:16:3e:00:00:01,bridge=br0','vifname=t0,rate=1MB/s,mtu=9000,devid=7']");
	ck_assert_uint_eq(g.nr_disks, 4);
	ck_assert(g.disks[1].read_only && !g.disks[1].cdrom && g.disks[1].devid == 51728);
	ck_assert(g.disks[2].read_only && g.disks[2].cdrom && g.disks[2].devid == 5632);
	ck_assert_str_eq(g.disks[3].path, "/d");
	ck_assert_uint_eq(g.nr_vifs, 2);
	ck_assert_str_eq(g.vifs[0].bridge, "br0");
	ck_assert(g.vifs[0].mac[5] == 1 && g.vifs[0].devid == 0);
	ck_assert_str_eq(g.vifs[1].tap, "t0");
	ck_assert(g.vifs[1].mtu == 9000 && g.vifs[1].devid == 7 && g.vifs[1].rate_bytes == 50000);
	good("name='a'; disk=['/a,,xvda']; disk=['/b,,xvdb']; vif=[]");
	ck_assert_uint_eq(g.nr_disks, 1);
	ck_assert_str_eq(g.disks[0].path, "/b");
	bad("name='a'; disk='/a,,xvda'", 1, "has to be a list");
	bad("name='a'; disk=[1,[2]]", 1, "at '1': the disk has no name");
	bad("name='a'\ndisk=[ '/a,,xvda',\n[] ]", 3, "no string");
	bad("name='a'\ndisk=[ '/a,,xvda',\n'/b,,xvda' ]", 3, "two of one name");
	bad("name='a'; disk=['/a,qed,xvda']", 1, "qemu-img convert");
	bad("name='a'; disk=['/a,raw,xvda,colour=red']", 1,
	    "at 'colour=red': there is no such key");
	good("name='a'; vif=['user,mac=00:16:3e:00:00:01']; publish=['2222:22','127.0.0.1:53:53/udp']");
	ck_assert(g.vifs[0].user && !*g.vifs[0].bridge && g.publish.nr_ports == 2);
	bad("name='a'; vif=['user,bridge=br0']", 1, "user goes without bridge");
	bad("name='a'; publish=['22']", 1, "publish has a mistake at '22'");
	bad("name='a'; vif=['mac=1']", 1, "vif has a mistake at 'mac=1'");
	bad("name='a'; vif=['devid=1','devid=1']", 1, "two of one");
	bad("name='a'; vif=['script=vif-route']", 1, "no scripts");
	bad("name='a'; vif=['','','','','','','','','']", 1, "too many, 8");
	bad("name='a'; "
	    "disk=['/a,,d0','/a,,d1','/a,,d2','/a,,d3','/a,,d4','/a,,d5','/a,,d6','/a,,d7','/a,,d8',"
	    "'/a,,d9','/a,,d10','/a,,d11','/a,,d12','/a,,d13','/a,,d14','/a,,d15','/a,,d16']",
	    1, "too many, 16");
}
END_TEST

START_TEST(test_refused)
{
	bad("name='a'\ntype='pv'", 2, "type is refused: PV guests cannot run here");
	bad("name='a'; type='hvm'", 1, "type is refused: HVM guests cannot run here");
	bad("name='a'; type='arm'", 1, "no type");
	bad("name='a'; builder='generic'", 1, "builder is refused: PV");
	bad("name='a'; builder='hvm'", 1, "builder is refused: HVM");
	bad("name='a'; bootloader='pygrub'", 1,
	    "leave it out, and without kernel GRUB boots what the disk's own configuration says");
	bad("name='a'; firmware='pvgrub64'", 1, "firmware is refused");
	bad("name='a'; pci=['0000:03:00.0']", 1, "no devices are passed through");
	bad("name='a'; passthrough='enabled'", 1, "no devices are passed through");
	bad("name='a'; colour='red'", 1, "there is no key colour");
	bad("name='a'; vcpu=4", 1, "there is no key vcpu");
	bad("name='a'; memory", 1, "= is missing");
	/* what says no says nothing */
	good("name='a'; type='pvh'; pci=[]; bootloader=''; pvshim=0; nestedhvm='0'; localtime=0; "
	     "passthrough='disabled'; altp2m='disabled'; tee='none'; gic_version='default'; builder=''");
	ck_assert_str_eq(c.ignored, "");
}
END_TEST

START_TEST(test_ignored)
{
	char text[65536] = "name='a'\n";

	good("name='a'; sdl=1; vnc=0; boot='c'; cpus=['2','3-8,^5']; cpu_weight=512; cap=0");
	ck_assert_str_eq(c.ignored, "sdl, vnc, boot, cpus, cpu_weight, cap");
	for (const struct guest_cfg_key *k = guest_cfg_keys; k->name; k++)
		if (k->use == XL_IGNORED)
			sprintf(text + strlen(text), "%s = [ 'x', 1 ]\n", k->name);
	good(text);
	ck_assert_uint_lt(strlen(c.ignored), sizeof(c.ignored));
	ck_assert_str_eq(c.ignored + strlen(c.ignored) - 4, " ...");
}
END_TEST

/* each refused key is refused, with one line that says why; each used one has something that uses it */
START_TEST(test_table)
{
	for (const struct guest_cfg_key *k = guest_cfg_keys; k->name; k++) {
		char text[128];

		snprintf(text, sizeof(text), "name='a'; %s='sure'", k->name);
		if (k->use == XL_REFUSED)
			bad(text, 1, "is refused: ");
		ck_assert_msg(k->use != XL_USED || k->set, "%s", k->name);
		ck_assert_msg(k->use != XL_IGNORED || !k->set, "%s", k->name);
		for (const struct guest_cfg_key *other = k + 1; other->name; other++)
			ck_assert_str_ne(k->name, other->name);
	}
}
END_TEST

START_TEST(test_addresses)
{
	uint8_t first[6];

	good("name='a'; uuid='0a0b0c0d-0000-1111-2222-333344445555'; vif=['','','mac=00:16:3e:01:02:03']");
	ck_assert_int_eq(guest_complete(&g), 0);
	memcpy(first, g.vifs[0].mac, 6);
	ck_assert(first[0] == 0 && first[1] == 0x16 && first[2] == 0x3e && first[3] < 0x80);
	ck_assert_int_ne(memcmp(first, g.vifs[1].mac, 6), 0);
	ck_assert_int_eq(g.vifs[2].mac[5], 3);
	good("name='b'; uuid='0a0b0c0d-0000-1111-2222-333344445555'; vif=['']");
	ck_assert_int_eq(guest_complete(&g), 0);
	ck_assert_int_eq(memcmp(first, g.vifs[0].mac, 6), 0);
	good("name='b'; uuid='0a0b0c0d-0000-1111-2222-333344445556'; vif=['']");
	ck_assert_int_eq(guest_complete(&g), 0);
	ck_assert_int_ne(memcmp(first, g.vifs[0].mac, 6), 0);
}
END_TEST

/* --- the man page's tables --- */

static const char *use_name(enum xl_use use)
{
	static const char *const names[] = { "used", "ignored", "refused" };

	return names[use];
}

static void print_row(FILE *out, const char *of, const char *name, const char *form,
		      enum xl_use use, const char *text)
{
	fprintf(out, "=item %sB<%s>%s%s%s\n\n%s: %s\n\n", of, name, form ? "=I<" : "",
		form ? form : "", form ? ">" : "", use_name(use), text);
}

static void print_table(FILE *out, const char *which)
{
	const struct xl_spec_key *spec = !strcmp(which, "disk") ? xl_disk_keys : xl_vif_keys;

	const char *of = !strcmp(which, "disk") ? "disk " : "vif ";

	fprintf(out, "=over\n\n");
	if (!strcmp(which, "keys"))
		for (const struct guest_cfg_key *k = guest_cfg_keys; k->name; k++)
			print_row(out, "", k->name, k->form, k->use, k->text);
	else
		for (; spec->name; spec++)
			print_row(out, of, spec->name, spec->form, spec->use, spec->text);
	fprintf(out, "=back\n");
}

/* xenhost-guest.cfg(5) has the tables as the code has them */
START_TEST(test_man_page)
{
	static const char *const tables[] = { "keys", "disk", "vif" };
	static char page[1 << 18];
	FILE *f = fopen(MAN_PAGE, "re");

	ck_assert_msg(f != NULL, "%s", MAN_PAGE);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	for (size_t i = 0; i < 3; i++) {
		char *text = NULL;
		size_t len;

		f = open_memstream(&text, &len);
		ck_assert_ptr_nonnull(f);
		print_table(f, tables[i]);
		fclose(f);
		ck_assert_msg(
			strstr(page, text) != NULL,
			"the table of %s differs: put the output of \"test-guest-cfg %s\" there",
			tables[i], tables[i]);
		free(text);
	}
}
END_TEST

/* with an argument (keys, disk, vif) it prints that table for the man page */
int main(int argc, char **argv)
{
	const TTest *const tests[] = { test_example,   test_texts,   test_numbers, test_actions,
				       test_devices,   test_refused, test_ignored, test_table,
				       test_addresses, test_man_page };

	if (argc == 2) {
		print_table(stdout, argv[1]);
		return EXIT_SUCCESS;
	}
	return unit_run("guest_cfg", setup, teardown, tests, sizeof(tests) / sizeof(*tests));
}
