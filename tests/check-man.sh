#!/bin/sh
# SPDX-License-Identifier: MIT
# Man pages: well-formed; every option of a program's --help is in its page, every symbol of the library in one of
# section 3, and the reverse.
set -eu
man=${SRCDIR:?}/man
failed=0

fail() {
	echo "$*"
	failed=1
}

# check_options PAGE COMMAND...: "--name" at the start of a help line against "=item B<--name>" of the page
check_options() {
	page=$man/$1
	shift
	help=$("$@" --help) || fail "$* --help does not end with status 0"
	for option in $(printf '%s\n' "$help" | sed -n 's/^  \(--[a-z-]*\).*/\1/p'); do
		grep -q "^=item.*B<$option>" "$page" || fail "$page: $option of $* --help is missing"
	done
	for option in $(sed -n 's/^=item B<\(--[a-z-]*\)>.*/\1/p' "$page"); do
		printf '%s\n' "$help" | grep -q -e "^  $option\b" || fail "$page: $option is not an option of $*"
	done
}

for page in "$man"/*.pod; do
	podchecker -warnings -warnings "$page" 2>&1 | grep -v ' OK\.$' && fail "$page: podchecker complains" || :
	for section in NAME SYNOPSIS DESCRIPTION 'SEE ALSO'; do
		grep -q "^=head1 $section\$" "$page" || fail "$page: no section $section"
	done
done
for page in "$man"/*.3.pod; do
	for section in 'RETURN VALUE' ERRORS NOTES EXAMPLES; do
		grep -q "^=head1 $section\$" "$page" || fail "$page: no section $section"
	done
	for item in Threads Blocking Ownership Units ABI; do
		sed -n '/^=head1 NOTES/,/^=head1 EXAMPLES/p' "$page" | grep -q "^=item B<$item>" || fail "$page: no note on $item"
	done
done
symbols=$(sed -n 's/^\t\t\(xenhost_[a-z0-9_]*\);$/\1/p' "$SRCDIR/libxenhost/libxenhost.map")
for symbol in $symbols; do
	grep -q "^ .*\b$symbol(" "$man"/*.3.pod || fail "$symbol is in no SYNOPSIS"
	grep -q "B<$symbol>()" "$man"/*.3.pod || fail "$symbol is nowhere explained"
done
for symbol in $(sed -n '/^=head1 SYNOPSIS/,/^=head1 DESCRIPTION/s/^ .*[ *]\(xenhost_[a-z0-9_]*\)(.*/\1/p' "$man"/*.3.pod); do
	printf '%s\n' "$symbols" | grep -qx "$symbol" || fail "$symbol has a page and is not exported"
done
for daemon in bridged dbusd opend xenstored vmm blkbackd netbackd loopguest; do
	check_options xenhost-$daemon.8.pod "${RUN:?}" xenhost-$daemon
done
for name in $(sed -n 's/^.*\(METHOD\|SD_BUS_PROPERTY\)("\([A-Za-z]*\)".*/\2/p' "$SRCDIR/dbusd/objects.c"); do
	grep -q "B<$name>" "$man/xenhost-dbusd.8.pod" || fail "$name of D-Bus has no place in xenhost-dbusd(8)"
done
for unit in "$SRCDIR"/systemd/*.service.in; do
	unit=${unit##*/}
	case $unit in org.*) continue ;; esac
	unit=$(echo "${unit%.in}" | sed 's/@/@I<GUEST>/')
	grep -q "B<$unit>" "$man/xenhost.target.8.pod" || fail "$unit has no place in xenhost.target(8)"
done
check_options xenhost-block.1.pod "$RUN" xenhost block
check_options xenhost-net.1.pod "$RUN" xenhost net
check_options xenhost-domain.1.pod "$RUN" xenhost domain
check_options xenhost-evtchn.1.pod "$RUN" xenhost evtchn
check_options xenhost-grant.1.pod "$RUN" xenhost grant
check_options xenhost-trace.1.pod "$RUN" xenhost trace
check_options xenhost-start.1.pod "$RUN" xenhost start
check_options xenhost-store.1.pod "$RUN" xenhost store
check_options xenhost-doctor.1.pod "$RUN" xenhost doctor
check_options xenhost-report.1.pod "$RUN" xenhost report
check_options xenhost-top.1.pod "$RUN" xenhost top
check_options xenhost-run.1.pod "$RUN" xenhost run
check_options xenhost-supervise.1.pod "$RUN" xenhost supervise
check_options xenhost-console.1.pod "$RUN" xenhost console
# one page for several commands: each option of one of them is there, and the reverse
for verb in define undefine edit list info pause resume shutdown reboot destroy sysrq log dump-core; do
	"$RUN" xenhost $verb --help || fail "xenhost $verb --help does not end with status 0"
done > "${TMPDIR:-/tmp}/xenhost-man.$$"
check_options xenhost-guest.1.pod sh -c 'cat "${TMPDIR:-/tmp}/xenhost-man.'$$'"' sh
rm -f "${TMPDIR:-/tmp}/xenhost-man.$$"
# every command of xenhost is in its page, and the reverse
commands=$("$RUN" xenhost --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
for command in $commands; do
	grep -q "^=item.*B<$command>" "$man/xenhost.1.pod" || fail "xenhost $command is not in xenhost.1.pod"
done
for command in $(sed -n '/^=head1 COMMANDS/,/^=head1 OPTIONS/s/^=item //p' "$man/xenhost.1.pod" | sed 's/B<\([a-z-]*\)>,*/\1/g'); do
	echo "$commands" | grep -qx "$command" || fail "xenhost.1.pod has $command, which is no command"
done
exit $failed
