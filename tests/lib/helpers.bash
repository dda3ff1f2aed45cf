# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For the bats files: `load ../lib/helpers`. The second line of a file says what its tests need, e.g.
# `# requires root overlay bpf jq`; a word that lacking() does not know is a program that must be installed.
#
# Each test may start one agent, on a private store and socket. It counts accesses only in a file that requires
# bpf, or after count_accesses: loading the programs takes most of an agent's start. teardown() stops it, takes its store
# down, and fails the test when a mount, a pin or a process is left. A file with a setup() or
# teardown() of its own calls agent_setup and agent_teardown in them. scripts/run-bats runs each file in
# a private mount namespace, which the tests rely on.

setup() {
	agent_setup
}

teardown() {
	agent_teardown
}

# A file whose tests share one agent calls these in setup_file(), setup() and teardown_file(), and has a teardown()
# that does nothing. The agent is started in setup_file(), after agent_setup_file.
agent_setup_file() {
	BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
	agent_setup
	export agent_root agent_log agent_socket_dir agent_socket agent_config
}

agent_setup_shared() {
	bats_require_minimum_version 1.5.0
	require
}

agent_teardown_file() {
	BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
	agent_teardown
}

agent_setup() {
	bats_require_minimum_version 1.5.0
	require
	agent_root=$BATS_TEST_TMPDIR/store
	agent_log=$BATS_TEST_TMPDIR/agent.log
	# The path of a socket has at most 107 bytes, and the path of the test's folder can be too long for it.
	agent_socket_dir=$(mktemp -d -t varve.XXXXXX)
	agent_socket=$agent_socket_dir/sock
	agent_pid=
	agent_pins=
	agent_backend=(--backend none)
	! requires bpf || agent_backend=()
	# A nearly full disk must not make the agent evict records during a test.
	agent_config=$BATS_TEST_TMPDIR/varved.conf
	printf '[prune]\nautomatic = no\n' > "$agent_config"
	export VARVE_ADDRESS=unix://$agent_socket
}

agent_teardown() {
	local left='' status=0
	[[ -n ${agent_root-} ]] || return 0
	[[ -z $agent_pid ]] || stop_agent || status=1
	if [[ -e $agent_root/varve.db ]]; then
		# What was counted last is not asked for any more, so that nothing has to be loaded to read it.
		"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --backend none --teardown 3>&- || {
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
	# bats shows this output only when the test has failed.
	[[ ! -s $agent_log ]] || sed 's/^/agent: /' "$agent_log" | tail -n 40
	return "$status"
}

# Prints mounts below the store, pins, and processes that have the store's path among their arguments.
agent_leftovers() {
	local process
	awk -v root="$agent_root/" 'index($5, root) == 1 { print "mount " $5 }' /proc/self/mountinfo
	[[ -z $agent_pins || ! -e $agent_pins ]] || echo "pins $agent_pins"
	list_pins "$agent_root" "$BATS_TEST_TMPDIR"
	# One grep, because there are hundreds of processes. The path is no argument of its own.
	grep -lsazxF -f <(echo "$agent_root") -- /proc/[0-9]*/cmdline | while read -r process; do
		echo "process ${process//[^0-9]/}"
	done
}

# list_pins FOLDER…: the pins of stores in these folders. An empty name, as of a variable that bats has not set, is
# no folder: it would name the stores of all tests.
list_pins() {
	local link folder store
	for link in /sys/fs/bpf/varve*/v*/store; do
		store=$(readlink "$link") || continue
		for folder; do
			[[ -z $folder || $store/ != "$folder"/* || ${link%/store} == "$agent_pins" ]] || echo "pins ${link%/store}"
		done
	done | sort -u
}

# Removes a test's leftovers, so that they do not fail the next test.
clear_leftovers() {
	local kind what
	while read -r kind what; do
		case $kind in
		mount) umount -l "$what" ;;
		pins) rm -rf "${what:?}" && rmdir --ignore-fail-on-non-empty "${what%/*}" ;;
		process) kill -9 "$what" ;;
		esac
	done < <(agent_leftovers | tac)
}

# start_agent [OPTION…]: starts varved with these options besides --root, --socket and --config, and returns
# when it answers. The words of $agent_launcher go in front of the command.
start_agent() {
	local attempt
	# bats waits for every process that holds its descriptor 3.
	# shellcheck disable=SC2086
	${agent_launcher-} "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" \
		"${agent_backend[@]}" "$@" >> "$agent_log" 2>&1 3>&- &
	agent_pid=$!
	for ((attempt = 0; attempt < 5000; attempt++)); do
		if varve info --json > "$BATS_TEST_TMPDIR/info.json" 2> "$BATS_TEST_TMPDIR/info.error" &&
			! grep -q '"state":"starting"' "$BATS_TEST_TMPDIR/info.json"; then
			agent_pins=$(sed -n 's/.*"pinDirectory":"\([^"]*\)".*/\1/p' "$BATS_TEST_TMPDIR/info.json")
			return 0
		fi
		kill -0 "$agent_pid" 2> /dev/null || break
		sleep 0.02
	done
	echo "the agent does not answer on $agent_socket: $(< "$BATS_TEST_TMPDIR/info.error")$(< "$BATS_TEST_TMPDIR/info.json"); it said:"
	cat "$agent_log"
	return 1
}

# result NAME [OPTION…]: makes a finalized record of 1 MiB that is not held; prints its id.
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

# Stops the agent as a service manager does, and fails when its exit status is not 0, which a report of a
# sanitizer changes, too.
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

# Kills the agent, as a crash would.
kill_agent() {
	local pid=$agent_pid
	agent_pid=
	kill -9 "$pid"
	wait "$pid" 2> /dev/null || true
}

# The client of $client_program instead, where a test has set that: a sanitizer makes each call five times as slow.
varve() {
	"${client_program:-$VARVE_BUILD/varve}" -H "unix://$agent_socket" "$@"
}

# gojq does the same and starts in a tenth of the time. It sorts the keys of objects: where their order matters, a
# test calls `command jq`.
if [[ -n $(command -v gojq) ]]; then
	jq() {
		gojq "$@"
	}
fi

# stored SQL: asks a copy of the database, which the running agent has locked.
stored() {
	local copy
	copy=$(mktemp -d "$BATS_TEST_TMPDIR/stored.XXXXXX")
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" backup "$copy/varve.db" > /dev/null || return
	sqlite3 -readonly "$copy/varve.db" "$1"
	rm -r "$copy"
}

# Counts the layers that have a directory in the store.
count_layers() {
	find "$agent_root/layers" -mindepth 1 -maxdepth 1 | wc -l
}

has_layers() { # COUNT
	(($(count_layers) == $1))
}

# retry N COMMAND…: runs the command until it succeeds, with pauses of a tenth of a second. N tries are
# enough on an idle machine; retry makes ten times as many before it fails.
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

# assert_json FILTER [JQ OPTION…], after `run`: the jq filter is true of the output, which is one object.
assert_json() {
	local filter=$1
	shift
	jq -e "$@" "$filter" <<< "$output" > /dev/null || {
		printf 'not true: %s\nof:       %s\n' "$filter" "$output"
		return 1
	}
}

# assert_json_lines FILTER [JQ OPTION…]: like assert_json, but the filter gets an array of all objects.
assert_json_lines() {
	assert_json "$@" --slurp
}

# What the file requires, on one line.
requirements() {
	sed -n 's/^# requires //p' "$BATS_TEST_FILENAME"
}

requires() {
	[[ " $(requirements) " == *" $1 "* ]]
}

# count_accesses, before start_agent: this test's agent counts accesses, in a file that does not require bpf.
count_accesses() {
	local reason
	agent_backend=()
	reason=$(lacking bpf) && skip_for bpf "$reason"
	return 0
}

# Skips the test when the file's `# requires` line names something that this machine lacks, or fails it when
# MUST_RUN names that, too.
require() {
	local feature reason
	# shellcheck disable=SC2013
	for feature in $(requirements); do
		reason=$(lacking "$feature") && skip_for "$feature" "$reason"
	done
	return 0
}

# skip_for FEATURE REASON: skips the test, or fails it when MUST_RUN names the feature.
skip_for() {
	if [[ " ${MUST_RUN-} " == *" $1 "* ]]; then
		echo "MUST_RUN names $1, but: $2"
		return 1
	fi
	skip "$1: $2"
}

# lacking FEATURE: prints why the feature is missing; fails when it is present.
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
		[[ ! -d /usr/share/gocode/src/github.com/moby/buildkit ]] && echo "the package golang-github-docker-docker-dev is not installed"
		;;
	python3-grpc)
		! /usr/bin/python3 -c 'import grpc, google.protobuf' 2> /dev/null && echo "the package python3-grpcio is not installed"
		;;
	history)
		! "$BATS_TEST_DIRNAME/../../scripts/build-version" > /dev/null 2>&1 && echo "this is not a clone with the project's history"
		;;
	docker)
		! "$BATS_TEST_DIRNAME/../../scripts/fetch-docker" > /dev/null && echo "no Docker of Debian 13 here, nor in reach"
		;;
	containerd-1.7)
		! "$BATS_TEST_DIRNAME/../../scripts/fetch-containerd" > /dev/null && echo "no containerd 1.7 here, nor in reach"
		;;
	failpoints)
		! "$VARVE_BUILD/varved" --fail-points &> /dev/null && echo "this build has no fail points (make SAN=address or FAIL_POINTS=1)"
		;;
	*)
		! command -v "$1" > /dev/null && echo "the program $1 is not installed"
		;;
	esac
}
