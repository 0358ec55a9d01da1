# shellcheck shell=sh disable=SC2034,SC2154 # its users set and read these
# What tests of whole guests share: guest-tests and net-tests read this file. Runs in the lab's host (busybox sh).
#
# A group of tests is a function group_NAME. A test sets $test, its name, does something, and ends with ok, fail,
# or a check that calls one of them.

KERNEL=/images/vmlinuz
INITRD=/images/initrd
TIMEOUT=120 # what `guest` gives one, in seconds
T=$(mktemp -d) || exit 1
servers= # processes that end with the tests
trap 'rm -rf "$T"; kill $servers 2>/dev/null' EXIT
others= # guests run beside those that `refused` looks at
passed=0
failed=0

ok() { passed=$((passed + 1)); echo "ok    $test"; }
fail() {
	failed=$((failed + 1))
	echo "FAIL  $test: $*"
	sed 's/^/      | /' "$T/out" | tail -n 40
	sed 's/^/      ! /' "$T/err" | tail -n 10
}

# guest COMMANDS [RUN OPTION...]: types COMMANDS into a guest's shell; leaves status, $T/out and $T/err.
# loglevel=1: or a message of the guest's kernel may stand in the middle of a line of its output.
guest() {
	commands=$1
	shift
	limit=$TIMEOUT
	before=
	for word in "$@"; do
		[ "$before" != --timeout ] || limit=$word
		before=$word
	done
	printf '%s\n' "$commands" |
		sarang run -k "$KERNEL" -i "$INITRD" --timeout "$TIMEOUT" -a loglevel=1 "$@" >"$T/out" 2>"$T/err" &
	vmm=$!
	wait_for_vmm "$limit"
}

# wait_for_vmm LIMIT: for process $vmm, which was started with --timeout LIMIT; leaves status.
wait_for_vmm() {
	end_if_it_hangs $vmm $(($1 + 60)) &
	watcher=$!
	wait $vmm
	status=$?
	kill $watcher
}

# end_if_it_hangs PID SECONDS: a sarang that is still there then is killed; where it hung is printed.
end_if_it_hangs() {
	sleep "$2"
	echo "sarang hangs: it should have ended by itself a minute ago; its threads:"
	for thread in /proc/"$1"/task/*; do
		echo "$(cat "$thread/comm"): $(grep ^State "$thread/status"), system call $(cat "$thread/syscall")"
		cat "$thread/stack"
	done
	kill -KILL "$1"
}

# shows PATTERN...: extended patterns that the guest's output has.
shows() {
	for pattern in "$@"; do
		if ! tr -d '\r' <"$T/out" | grep -qE -e "$pattern"; then
			fail "its output has no /$pattern/"
			return
		fi
	done
	ok
}

# expect STATUS [PATTERN...]: the last guest's exit status as well.
expect() {
	wanted=$1
	shift
	if [ "$status" -ne "$wanted" ]; then
		fail "exit status $status, not $wanted"
	else
		shows "$@"
	fi
}

# refused SENTENCE-PATTERN ARGS...: sarang says one sentence, exits 1, and leaves nothing behind.
refused() {
	pattern=$1
	shift
	"$@" >"$T/out" 2>"$T/err" </dev/null
	status=$?
	if [ "$status" -ne 1 ]; then
		fail "exit status $status, not 1"
	elif [ "$(wc -l <"$T/err")" -ne 1 ]; then
		fail "not one sentence"
	elif ! grep -qE -e "$pattern" "$T/err"; then
		fail "no /$pattern/"
	elif [ -z "$others" ] && pidof sarang sarang-slirp >/dev/null; then
		fail "a process is left behind"
	else
		ok
	fi
}

# run_groups GROUP...: the tests of each, then "N passed, N failed"; fails if any did, or none ran.
run_groups() {
	for group in "$@"; do
		echo "== $group"
		begun=$(cut -d. -f1 /proc/uptime)
		group_"$group"
		echo "      ($group: $(($(cut -d. -f1 /proc/uptime) - begun)) s)"
	done
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
