#!/bin/bash
# SPDX-License-Identifier: MIT
# xenhost doctor, report and top: what they say of this machine and of guests that are processes; no secret gets
# into a report.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

export XENHOST_GUESTS=$dir/guests XENHOST_RUNDIR=$dir XENHOST_GRUB=$dir/grub
secret=hunter2hunter2

# checks EXPRESSION: doctor's findings are d, by name, and the expression holds
checks()
{
	local status=0

	"$RUN" xenhost doctor --json >"$dir/json" 2>"$dir/errors" || status=$?
	python3 - "$dir/json" "$status" "$1" <<-'EOP' || fail "doctor: not $1: $(cat "$dir/json")"
		import json, sys
		all = json.load(open(sys.argv[1]))
		d = {f["check"]: f for f in all}
		assert len(d) == len(all) == 15
		assert all[0]["check"] == "processor" and set(f["grade"] for f in all) <= {"ok", "note", "bad"}
		assert int(sys.argv[2]) == any(f["grade"] == "bad" for f in all)
		sys.exit(not eval(sys.argv[3]))
	EOP
}

mkdir "$dir/guests"
checks 'd["grub"]["grade"] == "note" and "grub-xen-host" in d["grub"]["remedy"]'
: >"$dir/grub"
checks 'd["grub"]["grade"] == "ok" and d["grub"]["remedy"] is None'
checks 'd["daemons"]["grade"] == "note" and "no xenhost-bridged runs" in d["daemons"]["what"]'
checks 'd["guests"]["what"] == "0 guests are known" and d["programs"]["grade"] == "ok"'
[ -e /dev/kvm ] || checks 'd["kvm"]["grade"] == "bad" and d["kvm-xen"]["grade"] == "bad"'
cp "$(dirname "$RUN")/tools/.libs/xenhost" "$dir/xenhost-alone"
status=0
XENHOST_DAEMONS='' LD_LIBRARY_PATH=$(dirname "$RUN")/libxenhost/.libs "$dir/xenhost-alone" doctor >"$dir/out" || status=$?
if grep -q 'programs .* is not found' "$dir/out"; then # it is not when it is installed on this machine
	[ "$status" = 1 ] || fail 'a machine without daemons is a healthy one'
	grep -qx 'This machine cannot run guests; see BAD above.' "$dir/out" || fail "$(cat "$dir/out")"
fi

printf 'name = "web"\nextra = "quiet token=%s"\nvncpasswd = "%s"\n' $secret $secret >"$dir/guests/web.cfg"
printf 'name = "bad"\nmemroy = 1\n' >"$dir/guests/bad.cfg"
checks 'd["guests"]["grade"] == "note" and d["guests"]["what"] == "1 of 2 known guests have mistakes"'

daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-xenstored
xenstored=$started
checks 'd["daemons"]["grade"] == "ok"'
daemon_start xenhost-loopguest --guests 1 --name demo
guests=$started
domid=$("$RUN" xenhost info demo-0 | sed -n 's/^domid: *//p')
for node in data/user/deep vm-data/cloud vnc-passwd; do
	"$RUN" xenhost store write "/local/domain/$domid/$node" $secret
done
[ "$("$RUN" xenhost top --json)" = '[]' ] || fail 'top shows devices that there are not'
"$RUN" xenhost top --count 1 | grep -q '^guest .* requests/s .* events/s .* 99% us$' || fail 'top has no table'

(umask 022 && : >"$dir/report.tar.gz")
TMPDIR=$dir "$RUN" xenhost report "$dir/report.tar.gz" >"$dir/out" 2>>"$dir/log" || fail 'no report is made'
[ "$(cat "$dir/out")" = "$dir/report.tar.gz" ] || fail "report says: $(cat "$dir/out")"
[ "$(stat -c %a "$dir/report.tar.gz")" = 600 ] || fail 'others can read the report'
mkdir "$dir/unpacked"
tar -C "$dir/unpacked" -xzf "$dir/report.tar.gz"
cd "$dir/unpacked/xenhost-report"
grep -r $secret . && fail 'a secret is in the report'
grep -q 'vncpasswd = (removed)' guest-web.cfg || fail "guest-web.cfg: $(cat guest-web.cfg)"
grep -q '  *deep = (removed)' store.txt || fail 'store.txt has no data'
grep -q "name = \|domain" store.txt || fail 'store.txt has no nodes'
grep -q '"demo-0"' domains.json || fail "domains.json: $(cat domains.json)"
grep -q 'kvm-xen' doctor.txt || fail "doctor.txt: $(cat doctor.txt)"
for file in system.txt list.json store-top.json disks.json networks.json top.json evtchn.json grant.json \
	processes.txt rundir.txt; do
	[ -s $file ] || fail "$file is empty"
done
for file in *.json; do
	python3 -m json.tool $file >/dev/null || fail "$file: $(cat $file)"
done
cd "$dir"
status=0
TMPDIR=$dir "$RUN" xenhost report "$dir/none/report.tar.gz" >"$dir/out" 2>&1 || status=$?
[ "$status" = 1 ] || fail 'a report into nowhere is made'
grep -q 'cannot make the report .*: No such file' "$dir/out" || fail "report: $(cat "$dir/out")"
[ -z "$(find "$dir" -maxdepth 1 -name 'xenhost-??????')" ] || fail 'a report leaves its folder behind'
daemon_end "$guests"
daemon_end "$xenstored"
daemon_end "$bridged"
