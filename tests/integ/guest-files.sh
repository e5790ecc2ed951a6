#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests that are known: xenhost define, undefine, edit, list, info, log; and commands for those that run, here
# processes that play guests.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

export XENHOST_GUESTS=$dir/guests XENHOST_RUNDIR=$dir/nothing
unset VISUAL

# expect STATUS TEXT COMMAND...: its exit status, and a part of what it says
expect()
{
	local status=0 want=$1 text=$2

	shift 2
	"$RUN" xenhost "$@" >"$dir/out" 2>&1 </dev/null || status=$?
	[ "$status" = "$want" ] || fail "$*: status $status, not $want: $(cat "$dir/out")"
	[ -z "$text" ] || grep -qF -- "$text" "$dir/out" || fail "$*: '$text' is not in: $(cat "$dir/out")"
}

# json EXPRESSION COMMAND...: the command's JSON is `j` and the expression holds
json()
{
	local expression=$1

	shift
	"$RUN" xenhost "$@" >"$dir/json" || fail "$*"
	python3 -c "import json, sys; j = json.load(open('$dir/json')); sys.exit(not ($expression))" ||
		fail "$*: not $expression: $(head -c 2000 "$dir/json")"
}

uuid_of()
{
	sed -n 's/^uuid = "\(.*\)"$/\1/p' "$XENHOST_GUESTS/$1.cfg"
}

cat >"$dir/web.cfg" <<-'EOT'
	# a guest with everything of its own
	name = "web"
	memory = 64
	kernel = "/boot/vmlinuz"
	root = "/dev/xvda1"; extra = "console=hvc0"
	disk = [ '/dev/vg/web,raw,xvda,rw', '/srv/data.img,,xvdb,r' ]
	vif = [ '' ]
EOT

# nothing is known, nothing runs
expect 0 'name ' list
json 'j == []' list --json
expect 1 'is not known' undefine web
expect 1 'is not known' edit web
expect 1 'there is no guest web' info web
expect 1 'there is no guest web' log web
expect 1 'does it run?' pause web
expect 1 'is no name for a guest' undefine ../web
expect 2 'define takes FILE' define
expect 2 'sysrq takes NAME KEY' sysrq web
expect 2 'bad value: --wait 0' shutdown --wait 0 web

# one is made known; it keeps its uuid and address
expect 0 web define "$dir/web.cfg"
uuid=$(uuid_of web)
[ "${#uuid}" = 36 ] || fail "no uuid was made: $(cat "$XENHOST_GUESTS/web.cfg")"
head -n 7 "$XENHOST_GUESTS/web.cfg" | diff - "$dir/web.cfg" || fail 'the file was changed'
expect 1 'is known already; --replace' define "$dir/web.cfg"
expect 0 'web                           -        -  yes    off' list
json '[(g["name"], g["state"], g["domid"], g["defined"]) for g in j] == [("web", "off", None, True)]' list --json
expect 0 'disk:            /srv/data.img (read-only)' info web
expect 0 'state:           off' info web
json "j['definition']['uuid'] == '$uuid' and j['domain'] is None and j['definition']['append'] ==
	'root=/dev/xvda1 console=hvc0' and j['definition']['disks'][1]['read_only']" info --json web
mac=$(python3 -c "import json; print(json.load(open('$dir/json'))['definition']['vifs'][0]['mac'])")
json "j['definition']['vifs'][0]['mac'] == '$mac' and '$mac'.startswith('00:16:3e:')" info --json web

# what cannot be known
printf 'name = "x"\nuuid = "%s"\n' "$uuid" >"$dir/x.cfg"
expect 1 'its uuid is that of the guest web' define "$dir/x.cfg"
printf 'name = "x"\nkernel = "vmlinuz"\n' >"$dir/x.cfg"
expect 1 'kernel vmlinuz is no absolute path' define "$dir/x.cfg"
printf 'name = "x"\nkernel = vmlinuz\n' >"$dir/x.cfg"
expect 1 'x.cfg, line 2: a value is missing' define "$dir/x.cfg"
expect 1 'No such file' define "$dir/y.cfg"
[ "$(ls -A "$XENHOST_GUESTS")" = web.cfg ] || fail "left behind: $(ls -A "$XENHOST_GUESTS")"

# an editor with an option; what it breaks is not kept
EDITOR="sed -i -e /^memory/s/64/128/" expect 0 '' edit web
grep -qx 'memory = 128' "$XENHOST_GUESTS/web.cfg" || fail 'the edit is lost'
EDITOR="sed -i -e /^memory/s/128/much/" expect 1 'line 3: a value is missing' edit web
EDITOR="sed -i -e s/web/wob/" expect 1 'the name of web was changed to wob' edit web
EDITOR="sed -i -e /uuid/d" expect 1 'the uuid of web was changed' edit web
EDITOR=false expect 1 'the editor false failed' edit web
[ "$(uuid_of web)" = "$uuid" ] || fail 'the uuid is lost'
grep -qx 'memory = 128' "$XENHOST_GUESTS/web.cfg" || fail 'a bad edit was kept'
[ "$(ls -A "$XENHOST_GUESTS")" = web.cfg ] || fail "left behind: $(ls -A "$XENHOST_GUESTS")"

# a log
expect 1 'what web prints is not kept' log web
EDITOR="sed -i -e '\$a console_log = \"$dir/web.log\"'" expect 0 '' edit web
expect 1 "cannot read the log $dir/web.log" log web
echo 'it prints this' >"$dir/web.log"
expect 0 'it prints this' log web
mkfifo "$dir/follow"
"$RUN" xenhost log --follow web >"$dir/follow" &
follower=$!
exec 7<"$dir/follow"
read -r -t 60 line <&7 || fail 'the log is not shown'
[ "$line" = 'it prints this' ] || fail "the log: $line"
echo 'and this' >>"$dir/web.log"
read -r -t 60 line <&7 || fail 'the log does not go on'
[ "$line" = 'and this' ] || fail "the log goes on: $line"
exec 7<&-
kill "$follower"
wait "$follower" 2>/dev/null || :

# some that run
daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-xenstored
xenstored=$started
export XENHOST_RUNDIR=$dir
expect 1 'there is no domain web' pause web
daemon_start xenhost-loopguest --guests 3 --name demo
guests=$started
json '[(g["name"], g["defined"], g["state"]) for g in j] == [("web", True, "off")] +
	[(f"demo-{i}", False, "running") for i in range(3)]' list --json
expect 0 'demo-0' list
expect 0 'state:           running' info demo-0
json 'j["domain"]["name"] == "demo-1" and j["definition"] is None' info --json demo-1
expect 1 'what demo-0 prints is not kept' log demo-0
expect 1 'no guest' shutdown blkback
expect 1 'only guests can be told' pause blkback
expect 1 'cannot dump domain' dump-core demo-0 "$dir/core"
[ ! -e "$dir/core" ] || fail "a dump that failed left its file"
expect 1 "cannot make the file $dir/web.cfg: File exists" dump-core demo-0 "$dir/web.cfg"
expect 2 'dump-core takes NAME FILE' dump-core demo-0
expect 1 'there is no domain nobody' dump-core nobody "$dir/core"
expect 1 'is no key' sysrq demo-0 sync
domid=$("$RUN" xenhost info demo-0 | sed -n 's/^domid: *//p')
expect 0 '' sysrq demo-0 s
expect 0 s store read "/local/domain/$domid/control/sysrq"
expect 0 '' shutdown demo-0
expect 0 poweroff store read "/local/domain/$domid/control/shutdown"
expect 0 '' reboot demo-0
expect 0 reboot store read "/local/domain/$domid/control/shutdown"
expect 1 'still there after 1 s; xenhost destroy ends it' shutdown --wait 1 demo-0
# what changes about one, and that it goes: something is written until it is known that trace looks
"$RUN" timeout 120 xenhost trace --json demo-2 >"$dir/lines" &
trace=$!
domid=$("$RUN" xenhost info demo-2 | sed -n 's/^domid: *//p')
until grep -q control/sysrq "$dir/lines"; do
	kill -0 "$trace" || fail 'xenhost trace ended'
	"$RUN" xenhost store write "/local/domain/$domid/control/sysrq" $'k\033'
done
# the three are one process, which ends with any of them
daemon_forget "$guests"
expect 0 '' destroy --wait 60 demo-2
json '"demo-2" not in [g["name"] for g in j]' list --json
wait "$trace" || fail "xenhost trace: $(cat "$dir/lines")"
python3 - "$dir/lines" "$domid" <<'EOP' || fail "the trace: $(cat "$dir/lines")"
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
assert lines[0]["what"] == "domain" and lines[0]["state"] == "running", lines
assert lines[1]["path"] == f"/local/domain/{sys.argv[2]}/control/sysrq" and lines[1]["value"] == "k\x1b", lines
assert lines[-1]["what"] == "domain" and lines[-1]["state"] == "gone", lines
EOP
wait "$guests" || :
expect 0 '' undefine web
json 'all(not g["defined"] for g in j)' list --json
daemon_end "$xenstored"
daemon_end "$bridged"
