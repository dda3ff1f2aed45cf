# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For the bats files: `load ../lib/helpers`. Their second line says what they need, e.g.
# `# requires root overlay bpf jq`; any other word is a program that must be there.
#
# Each test may start one agent, on a private store and socket. teardown() stops it, takes its store
# down, and fails the test when a mount, a pin or a process is left. A file with a setup() or
# teardown() of its own calls agent_setup and agent_teardown in them. To run in the private mount
# namespace that this wants, use scripts/run-bats.

setup() {
	agent_setup
}

teardown() {
	agent_teardown
}

agent_setup() {
	bats_require_minimum_version 1.5.0
	require
	agent_root=$BATS_TEST_TMPDIR/store
	agent_log=$BATS_TEST_TMPDIR/agent.log
	# The path of a socket is at most 107 bytes; that of the test's folder may not leave room.
	agent_socket_dir=$(mktemp -d -t varve.XXXXXX)
	agent_socket=$agent_socket_dir/sock
	agent_pid=
	agent_pins=
	# Other users of the disk may fill it: that must not make the agent evict records during a test.
	agent_config=$BATS_TEST_TMPDIR/varved.conf
	printf '[prune]\nautomatic = no\n' > "$agent_config"
	export VARVE_ADDRESS=unix://$agent_socket
}

agent_teardown() {
	local left='' status=0
	[[ -n ${agent_root-} ]] || return 0
	[[ -z $agent_pid ]] || stop_agent || status=1
	if [[ -e $agent_root/varve.db ]]; then
		"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&- || {
			echo "varved --teardown failed"
			status=1
		}
	fi
	left=$(agent_leftovers)
	[[ -z $left ]] || {
		printf 'left behind by the agent:\n%s\n' "$left"
		clear_leftovers
		status=1
	}
	rm -rf "$agent_socket_dir"
	# bats shows it only when the test has failed.
	[[ ! -s $agent_log ]] || sed 's/^/agent: /' "$agent_log" | tail -n 40
	return "$status"
}

# Mounts below the store, pins, and processes that have its path among their arguments.
agent_leftovers() {
	local cmdline
	awk -v root="$agent_root/" 'index($5, root) == 1 { print "mount " $5 }' /proc/self/mountinfo
	[[ -z $agent_pins || ! -e $agent_pins ]] || echo "pins $agent_pins"
	for cmdline in /proc/[0-9]*/cmdline; do
		[[ $(tr '\0' ' ' 2> /dev/null < "$cmdline") != *"--root $agent_root"* ]] ||
			echo "process ${cmdline//[^0-9]/}"
	done
}

# So that one test's leftovers do not fail the next one.
clear_leftovers() {
	local kind what
	while read -r kind what; do
		case $kind in
		mount) umount -l "$what" ;;
		pins) rm -rf "${what:?}" ;;
		process) kill -9 "$what" ;;
		esac
	done < <(agent_leftovers | tac)
}

# start_agent [OPTION…]: options of varved besides --root and --socket. Returns when it answers. The
# words of $agent_launcher go in front of the command.
start_agent() {
	local attempt
	# bats waits for every process that holds its descriptor 3.
	# shellcheck disable=SC2086
	${agent_launcher-} "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" "$@" >> "$agent_log" 2>&1 3>&- &
	agent_pid=$!
	for ((attempt = 0; attempt < 5000; attempt++)); do
		if varve info --json > "$BATS_TEST_TMPDIR/info.json" 2> /dev/null; then
			agent_pins=$(sed -n 's/.*"pinDirectory":"\([^"]*\)".*/\1/p' "$BATS_TEST_TMPDIR/info.json")
			return 0
		fi
		kill -0 "$agent_pid" 2> /dev/null || break
		sleep 0.02
	done
	echo "the agent does not answer on $agent_socket; it said:"
	cat "$agent_log"
	return 1
}

# result NAME [OPTION…]: an unheld, finalized record of 1 MiB; prints its id.
result() {
	local name=$1 id
	shift
	id=$(varve new --retain --description "$name" "$@")
	head -c 1M /dev/urandom > "$(varve mount "$id")/data"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

# preload LIBRARY: prints the value for LD_PRELOAD. A sanitizer's runtime must come first.
preload() {
	ldd "$VARVE_BUILD/varved" | awk -v library="$1" '/lib[at]san/ { printf "%s:", $3 } END { print library }'
}

# Ends the agent as a service manager does, and fails when it does not end well: under a sanitizer
# that is how a report is noticed.
stop_agent() {
	local status=0 pid=$agent_pid
	agent_pid=
	kill "$pid" 2> /dev/null
	timeout 200 tail --pid="$pid" -s 0.01 -f /dev/null || {
		echo "the agent still runs 200 s after SIGTERM"
		kill -9 "$pid"
	}
	wait "$pid" || status=$?
	((status == 0)) || echo "the agent ended with status $status"
	return "$status"
}

# Ends the agent as a crash would.
kill_agent() {
	local pid=$agent_pid
	agent_pid=
	kill -9 "$pid"
	wait "$pid" 2> /dev/null || true
}

varve() {
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" "$@"
}

# Counts the layers that have a directory in the store.
count_layers() {
	find "$agent_root/layers" -mindepth 1 -maxdepth 1 | wc -l
}

# retry N COMMAND…: until it succeeds, a tenth of a second apart. N tries are enough on a machine that
# has nothing else to do; ten times as many are made.
retry() {
	local tries=$(($1 * 10)) attempt
	shift
	for ((attempt = 1; attempt < tries; attempt++)); do
		"$@" && return 0
		sleep 0.1
	done
	"$@"
}

# assert_status N, after `run`.
assert_status() {
	# shellcheck disable=SC2154
	[[ $status -eq $1 ]] || {
		printf 'status %s instead of %s; output:\n%s\n' "$status" "$1" "$output"
		return 1
	}
}

# assert_output_has TEXT, after `run`.
assert_output_has() {
	[[ $output == *"$1"* ]] || {
		printf 'expected: %s\nin:       %s\n' "$1" "$output"
		return 1
	}
}

# assert_json FILTER [JQ OPTION…], after `run`: the single object of the output passes the jq filter.
assert_json() {
	local filter=$1
	shift
	jq -e "$@" "$filter" <<< "$output" > /dev/null || {
		printf 'not true: %s\nof:       %s\n' "$filter" "$output"
		return 1
	}
}

# The same for a listing: the filter gets the array of its objects.
assert_json_lines() {
	assert_json "$@" --slurp
}

# The words of the file's `# requires` line; what is not there skips the test, or fails it when
# MUST_RUN names it.
require() {
	local feature reason
	# shellcheck disable=SC2013
	for feature in $(sed -n 's/^# requires //p' "$BATS_TEST_FILENAME"); do
		reason=$(lacking "$feature") && skip_for "$feature" "$reason"
	done
	return 0
}

# skip_for FEATURE REASON
skip_for() {
	if [[ " ${MUST_RUN-} " == *" $1 "* ]]; then
		echo "MUST_RUN names $1, but: $2"
		return 1
	fi
	skip "$1: $2"
}

# Prints why the feature is missing; fails when it is present.
lacking() {
	case $1 in
	root)
		((EUID != 0)) && echo "this needs root"
		;;
	overlay)
		! grep -qw overlay /proc/filesystems && ! modprobe -q overlay && echo "this kernel has no overlayfs"
		;;
	bpf)
		if [[ ! -r /sys/kernel/btf/vmlinux ]]; then
			echo "this kernel has no BTF"
		else
			! mountpoint -q /sys/fs/bpf && echo "/sys/fs/bpf is not mounted"
		fi
		;;
	buildkit-stubs)
		[[ ! -d /usr/share/gocode/src/github.com/moby/buildkit ]] && echo "no package golang-github-docker-docker-dev here"
		;;
	python3-grpc)
		! /usr/bin/python3 -c 'import grpc, google.protobuf' 2> /dev/null && echo "no package python3-grpcio here"
		;;
	failpoints)
		! "$VARVE_BUILD/varved" --fail-points &> /dev/null && echo "this build has none (make FAIL_POINTS=1)"
		;;
	*)
		! command -v "$1" > /dev/null && echo "no program $1 here"
		;;
	esac
}
