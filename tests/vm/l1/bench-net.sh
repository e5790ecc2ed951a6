#!/bin/sh
# SPDX-License-Identifier: MIT
# iperf3 between a guest and its host, both ways: ours, and beside it QEMU 10 with its Xen network card and with virtio-net,
# each on a TAP. Same kernel and initramfs; in turns. Argument: seconds of each measurement, then rounds. Run by
# tests/bench/net-vm. Lines "GOAL name: measured (goal ...) met|MISSED".
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

line="quiet panic=-1 xh_steps=iperf xh_seconds=$1 xh_http=http://10.77.0.1:8000 xh_address=10.77.0.2/24"

# one TAP after another has the address: the guests are never there together
net_prepare()
{
	mkdir -p $tmp/srv && tar -c -f $tmp/srv/tools.tar -C /net-tools . || return
	httpd -p 8000 -h $tmp/srv
	iperf3 -s -D
}

# use_tap NAME: made, with our address
use_tap()
{
	tunctl -t $1 >/dev/null && ip addr add 10.77.0.1/24 dev $1 && ip link set $1 up
}

drop_tap()
{
	tunctl -d $1 >/dev/null
}

ours()
{
	rm -f $results/console-ours.log
	use_tap xt0 || return
	configure ours "append = console=hvc0 $line" 'memory = 224M' 'vcpus = 1' 'net = tap=xt0'
	supervise ours
	finished ours 300 && drop_tap xt0
}

# qemu NAME OPTION...: with its console in a file. Its own status says nothing: with the Xen card it ends by a segmentation
# fault when the guest has powered off. The guest says whether it has come to its end.
qemu()
{
	qemu_name=$1
	shift
	rm -f $results/console-$qemu_name.log
	use_tap xt1 || return
	timeout 400 /qemu/lib/ld-linux-x86-64.so.2 --library-path /qemu/lib /qemu/qemu-system-x86_64 \
		-L /qemu/share -nodefaults -no-user-config -display none -no-reboot -M pc -m 224 \
		-kernel $l2/vmlinuz-6.12 -initrd $l2/initrd-6.12 \
		-chardev file,id=console,path=$results/console-$qemu_name.log \
		-netdev tap,id=net,ifname=xt1,script=no,downscript=no \
		"$@" 2>$results/qemu-$qemu_name.errors </dev/null
	drop_tap xt1
	grep -q '^guest: .* ok, 0 failed' $results/console-$qemu_name.log
}

xen_net()
{
	qemu xen-net -accel kvm,xen-version=0x40011,kernel-irqchip=split -cpu host,+xen-vapic \
		-device xen-console,chardev=console -device xen-net-device,netdev=net \
		-append "console=hvc0 xen_emul_unplug=unnecessary $line"
}

virtio()
{
	qemu virtio -accel kvm -cpu host -serial chardev:console \
		-device virtio-net-pci,netdev=net,romfile= \
		-append "console=ttyS0 $line xh_modules=virtio_pci,virtio_net"
}

# rate NAME WAY: of its last guest
rate()
{
	tr -d '\r' <$results/console-$1.log | sed -n "s/^guest: iperf $2: \([0-9]*\) kbit.*/\1/p" | tail -n 1
}

# measured NAME: both figures are there, and are kept
measured()
{
	for way in out in; do
		figure=$(rate $1 $way)
		[ -n "$figure" ] || return
		note "$1, $way: $figure kbit/s"
		echo "$figure" >>$tmp/$1-$way
	done
}

median()
{
	sort -n $tmp/$1 | sed -n "$((($(wc -l <$tmp/$1) + 1) / 2))p"
}

# goal NAME WAY PEER LEAST: in hundredths
goal()
{
	verdict=MISSED
	ratio=$(($(median ours-$2) * 100 / $(median $3-$2)))
	[ $ratio -lt $4 ] || verdict=met
	echo "GOAL $1: $((ratio / 100)).$(printf %02d $((ratio % 100))) (goal >= $(($4 / 100)).$(printf %02d $(($4 % 100)))) $verdict"
}

modprobe -a kvm-amd tun 2>/dev/null
check daemons start_daemons
check prepare net_prepare
for round in $(seq ${2:-1}); do
	for name in xen_net virtio ours; do
		log=$(echo $name | tr _ -)
		check $log-$round $name
		check $log-figures-$round measured $log ||
			tail -n 20 $results/console-$log.log $results/qemu-$log.errors 2>/dev/null
	done
done
if [ "$failed" = 0 ]; then
	for way in out in; do
		goal net-vm-$way-to-xen-net $way xen-net 300
		goal net-vm-$way-to-virtio $way virtio 100
	done
fi
finish
