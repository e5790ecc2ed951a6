#!/bin/bash
# SPDX-License-Identifier: MIT
# examples/: built outside of the tree against an installed copy, by pkg-config alone, and under
# 100 lines of code; serves a loopback guest, and goes on when xenstored is killed and the device is plugged in again.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

build=$(dirname "$RUN")
source=$SRCDIR/examples/upper-backend.c
# its own code: without comments and empty lines
lines=$(sed -e "/^[^a-z]*\/\*.*\*\/$/d" -e "/^\/\*$/,/^ \*\/$/d" -e "/^[[:space:]]*$/d" "$source" | wc -l)
[ "$lines" -lt 100 ] || fail "the example has $lines lines of code, there shall be fewer than 100"

make -C "$build/libxenhost" install DESTDIR="$dir/root" >"$dir/log" 2>&1 || fail "make install"
pc=$(find "$dir/root" -name xenhost.pc)
[ -n "$pc" ] || fail "xenhost.pc is not installed"
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir/root
mkdir "$dir/outside"
cp "$source" "$SRCDIR/examples/via-transport.c" "$dir/outside"
# shellcheck disable=SC2046
(cd "$dir/outside" && ${XENHOST_CC:-cc} -Wall -Wextra -Werror upper-backend.c \
	$(pkg-config --cflags --libs xenhost) -o upper-backend) || fail "the example does not compile"

# a transport of one's own as well, loaded by URI
mkdir -m 755 "$dir/outside/transports"
# shellcheck disable=SC2046
(cd "$dir/outside" && ${XENHOST_CC:-cc} -Wall -Wextra -Werror -shared -fPIC via-transport.c \
	$(pkg-config --cflags --libs xenhost) -o transports/via.so) || fail "the transport does not compile"
chmod 755 "$dir/outside/transports/via.so"

# every header by itself, and all together, in C and in C++
headers=$(cd "$dir/root" && find . -path '*/include/xenhost/*.h' | sed 's|.*/||' | sort)
[ "$(echo "$headers" | wc -l)" -ge 12 ] || fail "headers are missing: $headers"
for header in $headers; do
	echo "#include <xenhost/$header>"
done >"$dir/outside/all.h"
for language in "c -std=c99" "c++ -std=c++11"; do
	for header in $headers "../all.h"; do
		printf '#include <xenhost/%s>\nint main() { return 0; }\n' "$header" | sed 's|<xenhost/../all.h>|"all.h"|' |
			# shellcheck disable=SC2046,SC2086
			(cd "$dir/outside" && ${XENHOST_CC:-cc} -x $language -D_GNU_SOURCE -Wall -Wextra -Werror -I. \
				$(pkg-config --cflags xenhost) -fsyntax-only -) || fail "$header as $language"
	done
done
# a C++ program, linked
cat >"$dir/outside/program.cc" <<'EOF'
#include <cstdio>
#include <xenhost/hypercall.h>

int main(int argc, char **argv)
{
	uint64_t version[2];
	xenhost_t *host;
	int r = argc > 1 ? xenhost_open(argv[1], 0, &host) : -1;

	if (r == 0)
		r = xenhost_hypercall(host, XENHOST_HYPERCALL_VERSION, nullptr, 0, version, 2);
	if (r == 0) {
		std::printf("domain %u\n", xenhost_domid(host));
		xenhost_close(host);
	}
	return r < 0;
}
EOF
# shellcheck disable=SC2046
(cd "$dir/outside" && ${XENHOST_CC:-cc} -x c++ program.cc -x none $(pkg-config --cflags --libs xenhost) -lstdc++ -o program) ||
	fail "the C++ program does not compile"

service=--service=upper=32010
xenstored_start xenhost-xenstored --host none $service
daemon_start xenhost-bridged $service
bridged=$started

export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(dirname "${pc%/*}")
[ "$("$dir/outside/program" "bridge:$dir/bridge/upper.sock")" = "domain 32010" ] || fail "the C++ program"
"$dir/outside/upper-backend" "bridge:$dir/bridge/upper.sock" 2>>"$dir/log" &
backend=$!
front=$build/tests/integ/upper-front
timeout 60 "$RUN" "$front" "$dir" 32010 || fail "the first guest"

# the store is gone with all nodes; the back end is the same process
daemon_forget "$daemon"
kill -KILL "$daemon"
wait "$daemon" || :
xenstored_start xenhost-xenstored --host none $service
timeout 60 "$RUN" "$front" "$dir" 32010 || fail "the guest after xenstored was killed"
kill -0 "$backend" || fail "the back end ended"

kill "$backend"
wait "$backend" || :

# the same program over the transport of one's own
XENHOST_TRANSPORTS=$dir/outside/transports "$dir/outside/upper-backend" "via:$dir,upper" 2>>"$dir/log" &
backend=$!
timeout 60 "$RUN" "$front" "$dir" 32010 || fail "the guest of the back end over via:"
kill -0 "$backend" || fail "the back end over via: ended"
kill "$backend"
wait "$backend" || :
daemon_end "$bridged"
xenstored_end
