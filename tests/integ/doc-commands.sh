#!/bin/bash
# SPDX-License-Identifier: MIT
# Command lines of README and of the EXAMPLES of man pages of sections 1 and 8: each is executed, in order, page by page,
# with the system's daemons and without any guest of hardware. None is a mistake; those that need no guest succeed;
# what README shows as their output is their output. (Those with a guest are tests/vm's.)
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

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

# lines FILE: the command lines, continued ones in one
lines()
{
	case $1 in
	*.md) sed -n 's/^    \(\$ \)\{0,1\}\(.*\)/\2/p' "$1" ;;
	*) sed -n '/^=head1 EXAMPLES/,/^=head1 SEE ALSO/s/^ \{1,\}\(\$ \)\{0,1\}\(.*\)/\2/p' "$1" ;;
	esac | sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' |
		grep -E '^(sudo )?(\./run )?(xenhost|truncate|xenhost-loopguest)( |-[a-z]+ )' | grep -v '^xenhost-.*: '
}

# must_succeed COMMAND-LINE: it needs no guest
must_succeed()
{
	case $1 in
	'xenhost '[a-z]*' web'* | *'xenhost doctor'* | *'xenhost run'* | *guest-4711* | *'/local/domain/1'* | 'xenhost start'*) return 1 ;;
	esac
}

seen=0
# execute FILE COMMAND-LINE
execute()
{
	local status=0 before=$SECONDS

	# they take long and are tested elsewhere
	case $2 in
	*'xenhost trace'*) "$RUN" timeout 2 bash -c "$2" >"$dir/out" 2>&1 </dev/null || status=$? ;;
	*'xenhost report'* | *'xenhost supervise'* | 'xenhost start'*) return ;;
	# a daemon in the background, with its files here; it ends with the test
	*'&')
		local line=${2//\/tmp/$dir}
		"$RUN" bash -c "exec ${line%&}" >"$dir/background" 2>&1 </dev/null &
		daemons+=("$!")
		;;
	*) "$RUN" timeout 60 bash -c "$2" >"$dir/out" 2>&1 </dev/null || status=$? ;;
	esac
	# it goes on until it is ended
	case $2 in *'xenhost trace'*) [ "$status" != 124 ] || status=0 ;; esac
	seen=$((seen + 1))
	case $status in
	2 | 124 | 126 | 127) fail "$1: '$2' has status $status: $(cat "$dir/out")" ;;
	esac
	! must_succeed "$2" || [ "$status" = 0 ] || fail "$1: '$2' has status $status: $(cat "$dir/out")"
	[ $((SECONDS - before)) -lt 600 ] || fail "$1: '$2' takes too long"
}

daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-xenstored
xenstored=$started

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
	disk = [ '/var/lib/xenhost/web.img,raw,xvda,rw' ]
	vif = [ 'bridge=br0' ]
EOT
sed -n '/^    \$ xenhost define/,/^$/s/^    //p' "$SRCDIR/README.md" >"$dir/tour"
grep '^\$ ' "$dir/tour" | sed 's/^\$ //' | while read -r line; do
	echo "\$ $line"
	"$RUN" sh -c "$line" || fail "README.md: $line"
done >"$dir/real" 2>&1
diff "$dir/tour" "$dir/real" || fail "README.md shows other output"
"$RUN" xenhost undefine web

for file in "$SRCDIR/README.md" "$SRCDIR"/man/*.[18].pod; do
	while read -r line; do
		execute "${file##*/}" "$line"
	done < <(lines "$file")
	rm -f "$XENHOST_GUESTS"/*.cfg
done
[ "$seen" -ge 30 ] || fail "only $seen command lines were found"
daemon_end "$xenstored"
daemon_end "$bridged"
