# SPDX-License-Identifier: MIT
# What takes too long for check-vm, a machine each. In a tree that is built with sanitizers the daemons of
# the machine have them too.
LONG_TARGETS += long-vm-disks long-vm-disk-kinds long-vm-net long-systemd long-vm-kills long-vm-hostile long-vm-smp long-vm-kexec long-vm-systemd long-planted long-demo long-vm-disk-image
EXTRA_DIST += vm/long.mk planted
RUN_L1 = $(srcdir)/vm/run-l1 --build $(abs_top_builddir)

long-vm-kills:
	$(RUN_L1) --limit 3600 --append "nohz=off highres=off" $(srcdir)/vm/l1/kills.sh 50 xenstored bridged
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
	rm -rf vm/fio && $(srcdir)/vm/fio-tree vm/fio
	$(RUN_L1) --limit 1800 --memory 1536 --tree vm/fio:/fio $(srcdir)/vm/l1/disks.sh 20
# qcow2 by qemu-nbd, nbdkit, a device that is slow and then has errors
long-vm-disk-kinds:
	rm -rf vm/fio vm/qcow2.img && $(srcdir)/vm/fio-tree vm/fio && qemu-img create -q -f qcow2 vm/qcow2.img 64M
	$(RUN_L1) --limit 1200 --memory 1536 --tree vm/fio:/fio --file vm/qcow2.img:/images/qcow2.img --bin $$(command -v qemu-nbd) \
		--bin $$(command -v nbdkit) --bin $$(PATH=$$PATH:/sbin:/usr/sbin command -v dmsetup) \
		--file $$(find /usr/lib/*/nbdkit/plugins/nbdkit-memory-plugin.so):/usr/lib/nbdkit/nbdkit-memory-plugin.so \
		$(srcdir)/vm/l1/disk-kinds.sh 200
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
	rm -rf vm/fio && $(srcdir)/vm/fio-tree vm/fio
	$(srcdir)/vm/run-systemd-l1 --debs vm/debs --debs vm/debs-newer --tree vm/fio:/fio --results vm/systemd.results \
		$(srcdir)/vm/l1/systemd.sh
# the same packages without a machine: a container, loopback guests; as root
long-systemd:
	$(top_srcdir)/scripts/build-packages vm/debs
	$(srcdir)/vm/newer-packages vm/debs vm/debs-newer
	$(srcdir)/vm/run-systemd-here vm/debs vm/debs-newer $(srcdir)/vm/l1/systemd-loop.sh
# networks of guests, with programs of this machine
NET_KILLS = 50
long-vm-net:
	rm -rf vm/net-tools
	bash -c '. $(srcdir)/vm/lib.sh && add_net_tools vm/net-tools'
	$(RUN_L1) --limit 1800 --memory 1536 --tree vm/net-tools:/net-tools --bin $$(command -v iperf3) \
		--bin $$(command -v passt) $(srcdir)/vm/l1/net.sh $(NET_KILLS)
.PHONY: long-vm-disks long-vm-disk-kinds long-systemd long-vm-net long-vm-systemd long-vm-kills long-vm-hostile long-vm-smp long-vm-kexec long-planted long-demo long-vm-disk-image
