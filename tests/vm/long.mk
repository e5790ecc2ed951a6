# SPDX-License-Identifier: MIT
# What takes too long for check-vm, a machine each. In a tree that is built with sanitizers the daemons of
# the machine have them too.
LONG_TARGETS += long-vm-disks long-vm-net long-systemd long-vm-kills long-vm-hostile long-vm-smp long-vm-kexec long-vm-systemd long-planted long-demo long-vm-disk-image
EXTRA_DIST += vm/long.mk planted
RUN_L1 = $(srcdir)/vm/run-l1 --build $(abs_top_builddir)

long-vm-kills:
	$(RUN_L1) --limit 1800 $(srcdir)/vm/l1/kills.sh 50 xenstored bridged
long-vm-hostile:
	mkdir -p vm/hostile && $(srcdir)/vm/hostile/build vm/hostile
	$(RUN_L1) --limit 1500 --memory 2048 --file vm/hostile/hostile-32:/hostile/hostile-32 \
		--file vm/hostile/hostile-64:/hostile/hostile-64 $(srcdir)/vm/l1/hostile.sh 600
long-vm-smp:
	$(RUN_L1) --limit 1200 --cpus 2 $(srcdir)/vm/l1/smp.sh 300
long-vm-kexec:
	$(RUN_L1) --limit 1200 $(srcdir)/vm/l1/kexec.sh 10
# blkbackd is killed 20 times under a guest that verifies its disk
long-vm-disks:
	$(RUN_L1) --limit 1800 $(srcdir)/vm/l1/disks.sh 20
# breaks the code in one place after another: each must be noticed
long-planted:
	$(srcdir)/planted
# a disk as scripts/guest-image makes it: login over ssh -p 2222, a new kernel, reboot; as root
long-vm-disk-image:
	rm -rf vm/image && mkdir -p vm/image && ssh-keygen -q -t ed25519 -N '' -f vm/image/key
	$(top_srcdir)/scripts/guest-image --key vm/image/key.pub --size 2G vm/image/debian.qcow2
	cp "$$(bash -c '. $(srcdir)/vm/lib.sh && ls "$$rig_cache"/debs/linux-image-6.12*_amd64.deb' | tail -n 1)" vm/image/kernel.deb
	$(RUN_L1) --limit 3600 --memory 4096 --tree vm/image:/image --bin $$(command -v ssh) --bin $$(command -v passt) \
		--bin $$(command -v qemu-nbd) $(srcdir)/vm/l1/disk-image.sh
# what README says first
long-demo:
	$(top_srcdir)/scripts/demo
# packages on a host with systemd; the second ones are newer by their number alone
long-vm-systemd:
	$(top_srcdir)/scripts/build-packages vm/debs
	$(srcdir)/vm/newer-packages vm/debs vm/debs-newer
	$(srcdir)/vm/run-systemd-l1 --debs vm/debs --debs vm/debs-newer --results vm/systemd.results \
		$(srcdir)/vm/l1/systemd.sh
# the same packages without a machine: a container, loopback guests; as root
long-systemd:
	$(top_srcdir)/scripts/build-packages vm/debs
	$(srcdir)/vm/newer-packages vm/debs vm/debs-newer
	$(srcdir)/vm/run-systemd-here vm/debs vm/debs-newer $(srcdir)/vm/l1/systemd-loop.sh
# networks of guests, with programs of this machine
long-vm-net:
	rm -rf vm/net-tools
	bash -c '. $(srcdir)/vm/lib.sh && for tool in iperf3 ethtool; do \
		add_program vm/net-tools $$(command -v $$tool) usr/bin/$$tool || exit; done'
	$(RUN_L1) --limit 1500 --memory 1536 --tree vm/net-tools:/net-tools --bin $$(command -v iperf3) \
		--bin $$(command -v passt) $(srcdir)/vm/l1/net.sh
.PHONY: long-vm-disks long-systemd long-vm-net long-vm-systemd long-vm-kills long-vm-hostile long-vm-smp long-vm-kexec long-planted long-demo long-vm-disk-image
