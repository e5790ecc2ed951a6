#!/bin/bash
# SPDX-License-Identifier: MIT
# Completion, by bash itself: what follows a command line.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

export XENHOST_GUESTS=$dir/guests XENHOST_RUNDIR=$dir
mkdir "$dir/guests" "$dir/files"
printf 'name = "web"\n' >"$dir/guests/web.cfg"
: >"$dir/files/a.cfg"
: >"$dir/files/a b.img"

# completes WORD... EXPECTED: the last of the words may become these, with a / behind each
completes()
{
	local got want=${*: -1}

	# shellcheck disable=SC2016
	got=$(cd "$dir/files" && "$RUN" bash -c '. "$SRCDIR/tools/completion/xenhost.bash"
		COMP_WORDS=(xenhost "$@") COMP_CWORD=$#
		_xenhost
		[ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}"' bash "${@:1:$#-1}" |
		LC_ALL=C sort | tr '\n' /)
	[ "$got" = "$want" ] || fail "${*:1:$#-1}: $got, not $want"
}

completes de define/destroy/
completes undefine '' web/
completes edit x ''
completes shutdown --w --wait/
completes shutdown --wait '' ''
completes list --j --json/
completes run --ker --kernel/
completes run --kernel a 'a b.img/a.cfg/'
completes run --memory '' ''
completes run --sparse '' 'a b.img/a.cfg/'
completes define a. a.cfg/
completes block st stat/
completes block --rundir /x de detach/
completes store l live-update/ls/
completes nonsense '' ''
completes nonsense --h ''
completes pause '' ''

daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-loopguest --guests 2 --name demo
guests=$started
completes pause '' demo-0/demo-1/
completes pause demo-1 demo-1/
completes pause demo-0 '' ''
completes info '' demo-0/demo-1/web/
completes block stat demo-0 demo-0/
daemon_end "$guests"
daemon_end "$bridged"

# every command is known there: what bash offers is what --help lists
all=$("$RUN" xenhost --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p' | LC_ALL=C sort | tr '\n' /)
completes '' "$all"

command -v zsh >/dev/null || exit 0
zsh -n "$SRCDIR/tools/completion/_xenhost" || fail 'zsh does not understand its completion'
