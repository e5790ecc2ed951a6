#!/bin/bash
# SPDX-License-Identifier: MIT
# Command lines of README and of the EXAMPLES of man pages of sections 1, 5 and 8. Each is executed here, in order, page by
# page, with the system's daemons and a guest that is a process, and succeeds; or tests/COMMANDS.tsv has it, with the
# test that runs it and why that is another one. What README shows as the output of its tour is its output.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

table=$SRCDIR/tests/COMMANDS.tsv
export XENHOST_GUESTS=$dir/guests XENHOST_RUNDIR=$dir VISUAL=true
mkdir "$dir/bin" "$dir/cwd"
cat >"$dir/bin/sudo" <<-'EOT'
	#!/bin/sh
	exec "$@"
EOT
chmod +x "$dir/bin/sudo"
cp "$RUN" "$dir/cwd/run"
cd "$dir/cwd"
PATH=$dir/bin:$PATH
truncate -s 1M first.img web-data.img

# commands FILE: its command lines, continued ones in one. In a piece of a page that has lines with "$ " only these
# are any; in others all are.
commands()
{
	case $1 in
	*.md) cat "$1" ;;
	*) sed -n '/^=head1 EXAMPLES/,/^=head1 SEE ALSO/p' "$1" ;;
	esac | awk -v deep="$(case $1 in *.md) echo 4 ;; *) echo 1 ;; esac)" '
		function flush(    i, lines, n) {
			n = split(piece, lines, "\n")
			for (i = 1; i < n; i++)
				if (!dollar || lines[i] ~ /^\$ /) {
					sub(/^\$ /, "", lines[i])
					print lines[i]
				}
			piece = ""; dollar = 0
		}
		{
			match($0, /^ */)
			if (RLENGTH < deep || $0 ~ /^ *$/) { flush(); next }
			text = substr($0, RLENGTH + 1)
			if (more) { sub(/\\\n$/, "", piece) ; piece = piece text "\n" } else piece = piece text "\n"
			more = text ~ /\\$/
			if (text ~ /^\$ /) dollar = 1
		}
		END { flush() }' | sed 's/ *# .*//'
}

# elsewhere PAGE COMMAND-LINE: another test runs it
elsewhere()
{
	local page begin why test text

	while IFS=$'\t' read -r page begin why test text; do
		[ "$page" = "$1" ] && [ "${2#"$begin"}" != "$2" ] || continue
		grep -qF -- "$text" "$SRCDIR/$test" || fail "COMMANDS.tsv: $test does not have '$text'"
		printf '%s\n' "$page	$begin" >>"$dir/used"
		printf '%-24s %s: %s (%s)\n' "$1" "$2" "$test" "$why"
		return 0
	done < <(grep -v '^#' "$table")
	return 1
}

# here COMMAND-LINE: with our guest, files and folders in the places of those that it speaks of
here()
{
	case $1 in
	*'xenhost block '* | *'xenhost trace '*) set -- "${1// web/ demo-0}" ;;
	esac
	sed -e "s|guest-4711|demo-0|g" -e "s|/local/domain/1/|/local/domain/$domid/|" -e "s|/tmp/store|$dir/store|g" \
		-e "s|/srv/[a-z-]*.img|$dir/cwd/web-data.img|" -e 's|--timeout 10|--timeout 1|' <<<"$1"
}

seen=0
# execute PAGE COMMAND-LINE
execute()
{
	local status=0 line

	line=$(here "$2")
	case $2 in
	# a daemon in the background, with its files here; it ends with the test
	*'&')
		"$RUN" bash -c "exec ${line%&}" >"$dir/background" 2>&1 </dev/null &
		daemons+=("$!")
		until "$RUN" xenstore-exists / 2>/dev/null || [ -S "$dir/store/xenstored.sock" ]; do
			kill -0 "${daemons[-1]}" || fail "$1: '$2' has ended: $(cat "$dir/background")"
			sleep 0.05
		done
		;;
	# it goes on until it is ended
	*'xenhost trace'*)
		"$RUN" timeout 2 bash -c "$line" >"$dir/out" 2>&1 </dev/null || status=$?
		[ "$status" != 124 ] || status=0
		;;
	*) "$RUN" timeout 120 bash -c "$line" >"$dir/out" 2>&1 </dev/null || status=$? ;;
	esac
	seen=$((seen + 1))
	# what it finds is this machine's business
	case $2 in *'xenhost doctor'*) [ "$status" != 1 ] || status=0 ;; esac
	[ "$status" = 0 ] || fail "$1: '$2' ($line) has status $status: $(cat "$dir/out")"
}

daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-xenstored
xenstored=$started
daemon_start xenhost-opend --any
opend=$started
daemon_start xenhost-loopguest --guests 1 --name demo
guest=$started
domid=$("$RUN" xenhost info demo-0 | sed -n 's/^domid: *//p')
"$RUN" xenhost store write "/local/domain/$domid/device" ''

# README's tour: a guest that is known
cat >web.cfg <<-'EOT'
	name = "web"
	uuid = "9d2af5bc-6e0c-4bb1-8f58-9b3f7b0a3c55"
	kernel = "/boot/vmlinuz-6.12-amd64"
	ramdisk = "/boot/initrd.img-6.12-amd64"
	root = "/dev/xvda1"
	extra = "console=hvc0"
	memory = 1024
	vcpus = 2
	disk = [ '/var/lib/xenhost/images/web.img,raw,xvda,rw' ]
	vif = [ 'bridge=br0' ]
EOT
sed -n '/^    \$ cat web.cfg/,/^$/s/^    //p' "$SRCDIR/README.md" >"$dir/tour"
# the guest that plays here is none of the tour's
grep '^\$ ' "$dir/tour" | sed 's/^\$ //' | while read -r line; do
	echo "\$ $line"
	"$RUN" sh -c "$line" || fail "README.md: $line"
done 2>&1 | grep -v '^demo-0 ' >"$dir/real"
diff "$dir/tour" "$dir/real" || fail "README.md shows other output"
"$RUN" xenhost undefine web

: >"$dir/used"
for file in "$SRCDIR/README.md" "$SRCDIR"/man/*.[18].pod; do
	page=${file##*/}
	if [ "$page" = xenhost-block.1.pod ]; then
		daemon_start xenhost-blkbackd
		blkbackd=$started
		# the page's guest has a disk already
		"$RUN" xenhost block attach demo-0 "$dir/cwd/first.img" >/dev/null || fail "the guest gets no disk"
	fi
	while read -r line; do
		elsewhere "$page" "$line" || execute "$page" "$line"
	done < <(commands "$file")
	[ "$page" != xenhost-block.1.pod ] || daemon_end "$blkbackd"
	rm -f "$XENHOST_GUESTS"/*.cfg
done
[ "$seen" -ge 30 ] || fail "only $seen command lines were executed"
echo "$seen command lines were executed, $(wc -l <"$dir/used") are run elsewhere"
# what is listed is there
grep -v '^#' "$table" | cut -f 1,2 | while read -r row; do
	grep -qxF -- "$row" "$dir/used" || fail "COMMANDS.tsv: no page has $row"
done
daemon_end "$guest"
daemon_end "$opend"
daemon_end "$xenstored"
daemon_end "$bridged"
