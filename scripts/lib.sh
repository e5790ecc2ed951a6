# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts that build share. Sourced, never run; sets $top and $build.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${XENHOST_BUILD:-$top/build}
# longest time that one command may take, in seconds; with it, all tiers stay below the 90 minutes of a CI run
limit=2700

say()
{
	printf '%s: %s\n' "${0##*/}" "$*"
}

# logged NAME COMMAND...: its output goes to a log, whose name is left in $log.
logged()
{
	mkdir -p "$build/logs"
	log=$build/logs/$1.log
	shift
	timeout -k 10 "$limit" "$@" >"$log" 2>&1
}

# logged_or_tell NAME COMMAND...: a failure shows the end of the log.
logged_or_tell()
{
	logged "$@" && return
	say "FAIL $1; the last lines of $log:"
	tail -n 40 "$log"
	return 1
}

# The names of automake's and autoconf's inputs that are newer than configure, or all.
newer_than_configure()
{
	find "$top" -path "$build" -prune -o \( -name Makefile.am -o -name configure.ac \) \
		-newer "$top/configure" -print 2>&1
}

bootstrap()
{
	[ -z "$(newer_than_configure)" ] || logged_or_tell bootstrap "$top/bootstrap"
}

# configured DIR: it was configured, from this source tree.
configured()
{
	grep -qsx "abs_top_srcdir = $top" "$1/Makefile"
}
