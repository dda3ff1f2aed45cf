#!/usr/bin/env bats
# requires root overlay jq h2load protoc python3
# SPDX-License-Identifier: Apache-2.0
#
# The agent's transport, tested by clients that share no code with it: gRPC's own library, h2load,
# and programs that break the rules of HTTP/2.

load ../lib/helpers

tools=$BATS_TEST_DIRNAME/../tools

# check NAME [ARGUMENT…]: runs a check of grpc_calls.
check() {
	if [[ ! -d $BATS_TEST_TMPDIR/modules ]]; then
		mkdir "$BATS_TEST_TMPDIR/modules"
		protoc --python_out="$BATS_TEST_TMPDIR/modules" -I"$BATS_TEST_DIRNAME/../../userspace/proto" varve.proto
	fi
	"$tools/grpc_calls" "$agent_socket" "$BATS_TEST_TMPDIR/modules" "$@"
}

# start_with COUNT [FILES]: starts an agent with that many records.
start_with() {
	start_agent --backend none
	stop_agent
	"$tools/../bench/make_store" "$agent_root" "$@"
	start_agent --backend none
}

@test "the agent answers metadata, sizes, errors, compression and unknown methods as gRPC requires" {
	start_agent
	check plain
	check garbage
}

@test "the agent treats a record once that a request names repeatedly" {
	start_agent
	id=$(varve new --retain)
	varve mount "$id"
	check repeated "$id"
}

@test "the agent serves hundreds of calls at once, over one channel and over many" {
	start_agent
	check crowd
}

@test "the agent answers pings" {
	start_agent
	check pings
}

@test "the agent stops a call between two steps after a deadline, a cancellation or a lost client" {
	mkdir "$agent_root"
	mount -t tmpfs -o mode=0755 store "$agent_root" # it makes files quickly
	start_with 100 300
	check stop 100
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	umount "$agent_root"
}

@test "B69 the agent stops a cancelled prune between two records" {
	start_with 600
	check stop_prune 600
}

@test "SIGTERM lets a running stream finish, and later calls reach the next agent" {
	start_with 1500
	check shutdown 1500 "$agent_pid" > "$BATS_TEST_TMPDIR/said" 3>&- &
	client=$!
	timeout 60 tail --pid="$agent_pid" -s 0.05 -f /dev/null
	wait "$agent_pid"
	[[ $(< "$BATS_TEST_TMPDIR/said") == streamed ]]
	start_agent --backend none
	wait "$client"
}

@test "the agent answers h2load's twenty thousand calls over sixteen connections" {
	start_agent
	printf '\0\0\0\0\0' > "$BATS_TEST_TMPDIR/message"
	run h2load -n 20000 -c 16 -m 32 -d "$BATS_TEST_TMPDIR/message" -H 'content-type: application/grpc' -H 'te: trailers' \
		-B "unix:$agent_socket" http://localhost/varve.v1.Cache/LeaseList
	assert_status 0
	assert_output_has "20000 succeeded, 0 failed, 0 errored, 0 timeout"
	assert_output_has "20000 2xx"
}

@test "frames that break HTTP/2's rules end only their own connection" {
	start_agent
	run "$tools/hostile_frames" "$agent_socket" "$agent_pid"
	assert_status 0
}

@test "a thousand idle connections cost the agent a few KiB each" {
	start_agent
	run "$tools/hostile_frames" "$agent_socket" "$agent_pid" idle 1000
	assert_status 0
	varve info
}

@test "an agent that runs out of descriptors goes on when connections close" {
	agent_launcher="prlimit --nofile=100:100"
	start_agent --backend none
	python3 -c '
import socket, sys
sockets = [socket.socket(socket.AF_UNIX) for _ in range(150)]
for s in sockets:
    s.connect(sys.argv[1])
print(sum(s.recv(1) != b"" for s in sockets[:50]))' "$agent_socket"
	varve info
}
