# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# What the tests in L1 share; sourced as /harness.sh. A test reports each step in one line and ends
# with finish. scripts/demo runs a test outside of L1 too: then the variables XH_L2 (kernels and
# initramfs of guests), XH_RESULTS and XH_TMP name other folders.

passed=0
failed=0
# shellcheck disable=SC2034 # for the test that sources this
l2=${XH_L2:-/l2}
results=${XH_RESULTS:-/tmp/results}
tmp=${XH_TMP:-/tmp/harness}
mkdir -p "$tmp" "$results"
log_lines=$(dmesg | wc -l)
# the test's own output, also inside of check
exec 3>&1

note()
{
	echo "$*" >&3
}

ok()
{
	passed=$((passed + 1))
	echo "ok $*"
}

fail()
{
	failed=$((failed + 1))
	echo "FAIL $*"
}

# check NAME COMMAND...: one step; the command's last line of output says why it failed.
check()
{
	check_name=$1
	shift
	check_status=0
	"$@" >"$tmp/why" 2>&1 || check_status=$?
	if [ "$check_status" = 0 ]; then
		ok "$check_name"
	else
		fail "$check_name: status $check_status: $(tail -n 1 "$tmp/why")"
		return 1
	fi
}

uptime_s()
{
	cut -d . -f 1 /proc/uptime
}

same()
{
	[ "$1" = "$2" ] || {
		echo "'$1' is not '$2'"
		return 1
	}
}

digest()
{
	sha256sum "$1" | cut -d ' ' -f 1
}

# All waits are told how long a thing may take on an idle machine, and give a slow one so many times more.
patience=4

# wait_line PATTERN FILE PID SECONDS: until FILE holds a line that matches. Fails when the process
# has ended without it or the time is over.
wait_line()
{
	wait_end=$(($(uptime_s) + $4 * patience))
	while ! grep -q "$1" "$2"; do
		if ! kill -0 "$3" 2>/dev/null; then
			grep -q "$1" "$2" && return
			echo "ended without a line '$1'"
			return 1
		fi
		if [ "$(uptime_s)" -ge "$wait_end" ]; then
			echo "no line '$1' in $(($4 * patience)) s"
			return 1
		fi
		usleep 100000
	done
}

# wait_exit PID SECONDS: until the process has ended; a child is left as a zombie for wait.
wait_exit()
{
	wait_end=$(($(uptime_s) + $2 * patience))
	while [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; do
		[ "$(uptime_s)" -lt "$wait_end" ] || return 1
		usleep 100000
	done
}

# Nothing bad in the kernel log since the test began.
kernel_log_clean()
{
	! dmesg | tail -n +$((log_lines + 1)) |
		grep -E 'cut here|BUG: |Oops|Call Trace|soft lockup|detected stall|blocked for more than'
}

finish()
{
	check kernel-log kernel_log_clean
	echo "$passed $failed" >"$results/counts"
	[ "$failed" = 0 ]
	exit
}
