#!/bin/bash
# SPDX-License-Identifier: MIT
# A live update of Debian's own xenstored (under the stub) whose stream goes through our daemon on its way:
# ours reads what it writes, and it reads what ours writes.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/stock.sh"

stock_need
command -v xenstore-ls >/dev/null || skip stock "xenstore-ls is missing (package xenstore-utils)"
export STOCK=$stock_bin/xenstored
stock_start c
export XENSTORED_PATH=$stock_socket
python3 - <<'END2' || fail "Debian's daemon was not filled"
import os, socket, struct
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["XENSTORED_PATH"])
def ask(kind, *strings):
    data = b"".join(x + b"\0" for x in strings)
    s.sendall(struct.pack("=IIII", kind, 1, 0, len(data)) + data)
    h = struct.unpack("=IIII", s.recv(16, socket.MSG_WAITALL))
    answer = s.recv(h[3], socket.MSG_WAITALL)
    assert h[0] == kind, (kind, strings, answer)
for d in b"5", b"6":
    ask(8, d, b"1", b"9")                                   # INTRODUCE
    for path in b"", b"/data", b"/a/b/c":
        ask(12, b"/local/domain/" + d + path)               # MKDIR
        ask(14, b"/local/domain/" + d + path, b"n" + d, b"r7")
ask(19, b"5", b"6")                                         # SET_TARGET
for i in range(300):
    ask(12, b"/many/%d" % i)
END2
xenstore-write /a/b 'hello' /raw '\x01\xff"\x00z' /local/domain/0/name Domain-0 /local/domain/0/domid 0
xenstore-chmod /a/b n0 r5 b6
xenstore-ls -fp / | sort >"$dir/before"
[ "$(wc -l <"$dir/before")" -gt 310 ] || fail "Debian's daemon has too little"
timeout 60 "$stock_bin/xenstore-control" live-update -F "$SRCDIR/tests/support/through-ours" >"$dir/said" 2>&1 ||
	: # its own connection is one to a socket, which no stream of ours has
for _ in $(seq 300); do
	timeout 20 xenstore-exists / 2>/dev/null && break
	sleep 0.1
done
timeout 20 xenstore-ls -fp / | sort >"$dir/after" || fail "Debian's daemon did not go on: $(cat "$dir/said" "$dir"/c/ours-log)"
diff "$dir/before" "$dir/after" || fail "it came back as something else"
[ -s "$dir/c/our-stream" ] || fail "the stream never came to our daemon"
stock_end
