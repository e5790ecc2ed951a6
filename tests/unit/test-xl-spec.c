/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tools/xl_spec.h"

static char word[XL_WORD_MAX];

/* TARGET|FORMAT|VDEV|rw and what else is so */
static const char *disk(const char *spec)
{
	static char out[2 * XL_PATH_MAX];
	const char *why = NULL;
	struct xl_disk d;

	ck_assert_msg(xl_disk_parse(spec, &d, &why, word) == 0, "%s: %s: %s", spec, word, why);
	snprintf(out, sizeof(out), "%s|%s|%s|%s%s%s%s", d.target, d.format, d.vdev,
		 d.read_only ? "r" : "w", d.cdrom ? " cdrom" : "",
		 d.no_discard ? " no-discard" : "", d.device.untrusted ? " untrusted" : "");
	return out;
}

static void bad_disk(const char *spec, const char *expected)
{
	const char *why = NULL;
	struct xl_disk d;

	ck_assert_msg(xl_disk_parse(spec, &d, &why, word) == -EINVAL, "%s is taken", spec);
	ck_assert_msg(strstr(why, expected) != NULL, "%s: %s", spec, why);
}

/* the examples of Xen's own page, and what is the same */
START_TEST(test_disks)
{
	ck_assert_str_eq(disk("/dev/vg/guest-volume,,hda"), "/dev/vg/guest-volume|raw|hda|w");
	ck_assert_str_eq(disk("/dev/vg/guest-volume,raw,hda,rw"), "/dev/vg/guest-volume|raw|hda|w");
	ck_assert_str_eq(disk("format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume"),
			 "/dev/vg/guest-volume|raw|hda|w");
	ck_assert_str_eq(disk("raw:/dev/vg/guest-volume,hda,w"), "/dev/vg/guest-volume|raw|hda|w");
	ck_assert_str_eq(disk("/root/image.iso,,hdc,cdrom"), "/root/image.iso|raw|hdc|r cdrom");
	ck_assert_str_eq(disk("/root/image.iso,,hdc,,cdrom"), "/root/image.iso|raw|hdc|r cdrom");
	ck_assert_str_eq(disk("/root/image.iso,raw,hdc,devtype=cdrom"),
			 "/root/image.iso|raw|hdc|r cdrom");
	ck_assert_str_eq(
		disk("format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso"),
		"/root/image.iso|raw|hdc|r cdrom");
	ck_assert_str_eq(disk("raw:/root/image.iso,hdc:cdrom,ro"),
			 "/root/image.iso|raw|hdc|r cdrom");
	ck_assert_str_eq(disk("tap:aio:/x,xvda1,r"), "/x|raw|xvda1|r");
	ck_assert_str_eq(disk("qcow2:/x,xvda,w"), "/x|qcow2|xvda|w");
	ck_assert_str_eq(disk("phy:vg/x,xvda,w"), "/dev/vg/x|raw|xvda|w");
	ck_assert_str_eq(disk("vdev=xvdb,target=/a,b=c,d "), "/a,b=c,d |raw|xvdb|w");
	ck_assert_str_eq(disk(",raw,xvdb,target=/a"), "/a|raw|xvdb|w");
	ck_assert_str_eq(disk("/x,qcow2,xvdb,no-discard, untrusted ,direct-io-safe,"),
			 "/x|qcow2|xvdb|w no-discard untrusted");
	ck_assert_str_eq(disk("/x,raw,xvdb,backendtype=phy,backend=0,specification=xen,script="),
			 "/x|raw|xvdb|w");
	ck_assert_str_eq(disk("/a=b/x.img,,xvda"), "/a=b/x.img|raw|xvda|w");
}
END_TEST

START_TEST(test_bad_disks)
{
	char long_path[XL_PATH_MAX + 64];

	bad_disk("", "no name");
	bad_disk("/x", "no name");
	bad_disk(",,xvda", "no image");
	bad_disk(",hdc:cdrom,r", "empty drive");
	bad_disk("/x,raw,xvda,w,more", "are given");
	bad_disk("/x,rawish,xvda", "no format");
	bad_disk("/x,raw,vda", "no name of a disk");
	bad_disk("/x,raw,xvda,x", "no access");
	bad_disk("/x,raw,xvda,devtype=tape", "no type");
	bad_disk("/x,raw,xvda,vdev=xvdb", "there twice");
	bad_disk("/x,raw,xvda,target=/y", "there twice");
	bad_disk("/x,raw,xvda,discard,discard", "there twice");
	bad_disk("/x,raw,xvda,colour=red", "no such key");
	bad_disk("/x,raw,xvda,backend=driverdom", "blkbackd");
	bad_disk("/x,raw,xvda,script=block-drbd", "no scripts");
	bad_disk("nbd:host:10809,xvda,w", "no scripts");
	bad_disk("/x,raw,xvda,specification=virtio", "no virtio");
	bad_disk("/x,raw,xvda,colo", "no COLO");
	memset(long_path, 'x', sizeof(long_path));
	memcpy(long_path, "/", 1);
	strcpy(long_path + sizeof(long_path) - 8, ",,xvda");
	bad_disk(long_path, "too long");
}
END_TEST

START_TEST(test_vdevs)
{
	static const struct {
		const char *name;
		unsigned int devid;
	} good[] = { { "xvda", 51712 },
		     { "xvda1", 51713 },
		     { "xvdp15", 51967 },
		     { "xvdq", 1 << 28 | 16 << 8 },
		     { "xvda16", 1 << 28 | 16 },
		     { "xvdaa", 1 << 28 | 26 << 8 },
		     { "d0p0", 51712 },
		     { "d5p1", 51712 + 5 * 16 + 1 },
		     { "d536p37", 1 << 28 | 536 << 8 | 37 },
		     { "hda", 768 },
		     { "hdb2", 834 },
		     { "hdc", 5632 },
		     { "hdd1", 5697 },
		     { "sda", 2048 },
		     { "sdp1", 2289 } };
	static const char *const bad[] = { "",	    "xvd",    "xvd1",	   "hde",	  "sdq",
					   "hda64", "sda16",  "vda",	   "xvda0",	  "xvda1p",
					   "d",	    "dp1",    "d1p",	   "d1p256",	  "xvda256",
					   "XVDA",  "d0p0p0", "xvdzzzzzz", "d99999999999" };
	unsigned int devid;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		ck_assert_msg(xl_vdev_parse(good[i].name, &devid) == 0, "%s", good[i].name);
		ck_assert_msg(devid == good[i].devid, "%s: %u", good[i].name, devid);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(xl_vdev_parse(bad[i], &devid) == -EINVAL, "%s is taken", bad[i]);
}
END_TEST

static struct xl_vif vif(const char *spec)
{
	const char *why = NULL;
	struct xl_vif v;

	ck_assert_msg(xl_vif_parse(spec, &v, &why, word) == 0, "%s: %s: %s", spec, word, why);
	return v;
}

static void bad_vif(const char *spec, const char *expected)
{
	const char *why = NULL;
	struct xl_vif v;

	ck_assert_msg(xl_vif_parse(spec, &v, &why, word) == -EINVAL, "%s is taken", spec);
	ck_assert_msg(strstr(why, expected) != NULL, "%s: %s", spec, why);
}

START_TEST(test_vifs)
{
	static const uint8_t mac[6] = { 0, 0x16, 0x3e, 0x74, 0x3d, 0x76 };
	struct xl_vif v = vif("");

	ck_assert(!v.has_mac && !*v.bridge && !*v.vifname && v.devid == -1 && !v.rate_bytes);
	v = vif("mac=00:16:3E:74:3d:76, model=rtl8139 ,bridge=xenbr0,type=ioemu,ip=10.0.0.1");
	ck_assert(v.has_mac && !memcmp(v.mac, mac, 6));
	ck_assert_str_eq(v.bridge, "xenbr0");
	v = vif("vifname=web0,mtu=9000,devid=3,untrusted,script=/etc/xen/scripts/vif-bridge");
	ck_assert_str_eq(v.vifname, "web0");
	ck_assert(v.mtu == 9000 && v.devid == 3 && v.device.untrusted && !v.has_script);
	ck_assert(vif("script=vif-route,gatewaydev=eth0").has_script);
	ck_assert(vif("netdev=eth0").has_gatewaydev);
}
END_TEST

START_TEST(test_rates)
{
	struct xl_vif v = vif("rate=10Mb/s");

	ck_assert(v.rate_bytes == 62500 && v.rate_us == 50000);
	v = vif("rate=250KB/s");
	ck_assert(v.rate_bytes == 12500 && v.rate_us == 50000);
	v = vif("rate=1MB/s@20ms");
	ck_assert(v.rate_bytes == 20000 && v.rate_us == 20000);
	v = vif("rate=8b/s@1us");
	ck_assert(v.rate_bytes == 1 && v.rate_us == 1);
	v = vif("rate=0B/s@1s");
	ck_assert(v.rate_bytes == 0 && v.rate_us == 1000000);
	bad_vif("rate=10", "no rate");
	bad_vif("rate=10Mb", "no rate");
	bad_vif("rate=10TB/s", "no rate");
	bad_vif("rate=2000GB/s", "no rate");
	bad_vif("rate=1MB/s@0s", "no rate");
	bad_vif("rate=1MB/s@61s", "no rate");
	bad_vif("rate=1MB/s20ms", "no rate");
	bad_vif("rate=99999999999999999999B/s", "no rate");
}
END_TEST

START_TEST(test_bad_vifs)
{
	bad_vif("mac=00:16:3e:74:3d", "no address");
	bad_vif("mac=00-16-3e-74-3d-76", "no address");
	bad_vif("mac=01:16:3e:74:3d:76", "group");
	bad_vif("bridge=averyveryverylongname", "too long");
	bad_vif("vifname=a/b", "no name");
	bad_vif("bridge=br+0", "no name"); /* xenhost-opend would refuse it later */
	bad_vif("vifname=..", "no name");
	bad_vif("mtu=67", "no MTU");
	bad_vif("mtu=9k", "no MTU");
	bad_vif("devid=4096", "no number");
	bad_vif("backend=netdom", "netbackd");
	bad_vif("colour=red", "no such key");
	bad_vif("xenbr0", "KEY=VALUE");
	bad_vif("mtu=1500,mtu=1500", "there twice");
}
END_TEST

UNIT_MAIN("xl_spec", test_disks, test_bad_disks, test_vdevs, test_vifs, test_rates, test_bad_vifs)
