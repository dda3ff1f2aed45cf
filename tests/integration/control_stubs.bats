#!/usr/bin/env bats
# requires root overlay jq go buildkit-stubs
# SPDX-License-Identifier: Apache-2.0
#
# Calls the agent with BuildKit's own message code and Go's gRPC, as Debian packages them.

load ../lib/helpers

setup_file() {
	[[ -n $(command -v go) ]] || return 0 # the test then skips
	# The compiled packages are kept in build/go, because compiling them takes far longer than the test.
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$(realpath "$BATS_TEST_DIRNAME/../..")/build/go \
		go build -o "$BATS_FILE_TMPDIR/stubs" "$BATS_TEST_DIRNAME/../buildkit-stubs.go" ||
		[[ ! -d /usr/share/gocode/src/github.com/moby/buildkit ]]
}

stubs() {
	"$BATS_FILE_TMPDIR/stubs" "$agent_socket" "$@"
}

@test "BuildKit's own Go client lists and prunes records and gets the worker" {
	start_agent
	base=$(result base --type source.local)
	child=$(result child --parent "$base")
	cat "$(varve mount --read-only "$child")/data" > /dev/null
	varve umount "$child"
	run stubs du
	assert_json '.record | length == 2'
	run stubs du "id==$child"
	assert_json ".record | length == 1 and .[0].ID == \"$child\" and .[0].Parent == \"$base\""
	assert_json '.record[0] | .Size >= 1048576 and .UsageCount >= 1 and .RecordType == "regular" and .Description == "child"'
	assert_json '.record[0] | .CreatedAt[:2] == "20" and .LastUsedAt[:2] == "20"'
	run stubs workers
	assert_json '.record | length == 1 and .[0].Labels["org.mobyproject.buildkit.worker.snapshotter"] == "varve"'
	assert_json '.record[0].platforms[0].OS == "linux"'
	[[ $(stubs prune "id==$child" | jq -r .ID) == "$child" ]]
	[[ $(stubs prune | jq -r .ID) == "$base" ]]
	run -1 stubs du 'id=='
	[[ $output == "InvalidArgument: filter 'id=='"* ]]
}

@test "BuildKit's own Go client learns at once that the agent builds nothing" {
	start_agent
	for method in solve session; do
		run -1 stubs "$method"
		[[ $output == "Unimplemented: unknown method /moby.buildkit.v1.Control/${method^}; this is varved"*"builds nothing"* ]]
	done
}
