#!/bin/bash
# SPDX-License-Identifier: MIT
# The EXAMPLES of section 3 compile without a warning and end with status 0, each over a host that has what it
# shows; their last line of output is known.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

build=$(dirname "$RUN")
xenstored_start xenhost-xenstored --host none
daemon_start xenhost-bridged
bridged=$started

fake="fake:$socket" tool=bridge:$dir/bridge/tool.sock service=bridge:$dir/bridge/blkback.sock

# example PAGE URI LAST-LINE
example()
{
	local page=$SRCDIR/man/xenhost-$1.3.pod out

	sed -n '/^=head1 EXAMPLES/,/^=head1 SEE ALSO/s/^ //p' "$page" >"$dir/example-$1.c"
	grep -q 'int main' "$dir/example-$1.c" || fail "$page has no example"
	${XENHOST_CC:-cc} -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror -D_DEFAULT_SOURCE -o "$dir/example-$1" \
		"$dir/example-$1.c" -I"$SRCDIR/libxenhost/include" -L"$build/libxenhost/.libs" -lxenhost \
		-Wl,-rpath,"$build/libxenhost/.libs" || fail "the example of $page does not compile"
	out=$(timeout 30 "$dir/example-$1" "$2") || fail "the example of $page ends with status $?: $out"
	[ "$(printf '%s\n' "$out" | tail -n 1)" = "$3" ] || fail "the example of $page says: $out"
	seen="${seen:-} xenhost-$1.3.pod"
}

example open "$tool" 'domain 0'
example store "$fake" '1 visitors'
example evtchn "$service" 'port 1, quiet'
example gnttab "$fake" 'grefs 8 and 9'
example ring '' 42
example domain "$tool" '32001 netback'
example hypercall "$fake" 4.17
example transport '' 'domain 77'
example backend "$fake" ''
example frontend "$fake" 'no such device'

# shellcheck disable=SC2086
[ "$(ls "$SRCDIR"/man/ | grep -c '\.3\.pod$')" = "$(echo $seen | wc -w)" ] || fail "an example was not run"
daemon_end "$bridged"
xenstored_end
