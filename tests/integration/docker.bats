#!/usr/bin/env bats
# requires root overlay bpf jq runc busybox docker
# SPDX-License-Identifier: Apache-2.0
#
# The real dockerd of Debian 13 with its builder, on containerd 1.7 with the agent as its snapshotter: what it owns is
# shown, and evicted through it.

# jq's variables look like the shell's.
# shellcheck disable=SC2016

load ../lib/helpers
load ../lib/containerd
load ../lib/docker

setup() {
	agent_setup
	containerd_setup
	docker_setup
	printf '[prune]\nautomatic = no\n[docker]\naddress = %s\ncontainerd = %s\nnamespace = %s\nevict = cache\n' \
		"$docker_socket" "$CONTAINERD_ADDRESS" "$CONTAINERD_NAMESPACE" > "$agent_config"
}

teardown() {
	docker_teardown
	containerd_teardown
	agent_teardown
}

# start_all: the three daemons, and an image "base" with busybox.
start_all() {
	local program layer=$BATS_TEST_TMPDIR/layer
	start_agent
	start_containerd
	start_docker
	mkdir -p "$layer/bin"
	cp "$(command -v busybox)" "$layer/bin/busybox"
	for program in sh cat head; do
		ln -s busybox "$layer/bin/$program"
	done
	make_image "$BATS_TEST_TMPDIR/image.tar" docker.io/test/base:latest "$layer"
	docker load -i "$BATS_TEST_TMPDIR/image.tar"
}

# build TEXT: builds the Dockerfile, without a network.
build() {
	local context=$BATS_TEST_TMPDIR/context
	mkdir -p "$context"
	printf '%s\n' "$1" > "$context/Dockerfile"
	docker buildx build --network none --provenance=false -t "test/${2:-built}" "$context"
}

two_steps=$'FROM test/base\nRUN head -c 300000 /dev/zero > /one\nRUN head -c 700000 /dev/zero > /two'

du_ids() {
	docker buildx du --verbose | sed -n 's/^ID:[ \t]*//p' | sort
}

@test "dockerd is an owner: its builder's records are those of buildx du, and images keep what they share" {
	start_all
	build "$two_steps"
	run varve owners --json
	assert_json '.name == "docker" and .kind == "docker" and .reachable and .records == $count and .size > 3000000' \
		--argjson count "$(du_ids | wc -l)"
	# Sources of the build are its own; the base and both steps are the image's, too.
	run varve prune --owner docker --dry-run --json
	assert_json_lines '[.[] | select(has("id")) | .recordType] | unique == ["source.local"]'
	docker image rm test/built
	run varve prune --owner docker --dry-run --json
	assert_json_lines '[.[] | select(.recordType == "regular") | .parents] | length == 2 and .[1][0] != null'
	assert_json_lines 'last.predicted > 1000000'
}

@test "dockerd removes exactly the records that it is asked for, and its next build makes them again" {
	start_all
	build "$two_steps"
	docker image rm test/built
	# The upper step; the filter names it by what the build said.
	run varve prune --owner docker --filter 'description~=700000' --json
	assert_status 0
	gone=$(jq -r 'select(has("id")) | .id' <<< "$output")
	assert_json_lines 'length == 2 and .[0].refused == null and .[0].owner == "docker"'
	assert_json_lines 'last | .freed == .predicted and .freed > 700000'
	du_ids > "$BATS_TEST_TMPDIR/left"
	[[ $(wc -l < "$BATS_TEST_TMPDIR/left") -eq 4 ]]
	! grep -qx "$gone" "$BATS_TEST_TMPDIR/left"
	run build "$two_steps"
	assert_status 0
	[[ $(docker run --rm --network none test/built cat /one /two | wc -c) -eq 1000000 ]]
}

@test "explain and inspect name a container of dockerd, and the record of its builder" {
	start_all
	build "$two_steps"
	id=$(docker run --detach --network none test/built sh -c 'while :; do cat /one > /dev/null; done')
	top=$(varve ls --json | jq -r --arg id "$id" 'select(.snapshot.key | endswith("/" + $id)) | .id')
	run varve explain "$top"
	assert_output_has "the container ${id:0:12} of docker needs it"
	# So do the layers of its image.
	run varve explain "$(varve inspect --json "$top" | jq -r '.parents[0]')"
	assert_output_has "the container ${id:0:12} of docker needs it"
	docker rm -f "$id"
	upper=$(docker buildx du --verbose | awk '/^ID:/ { id = $2 } /700000/ { print id }')
	run varve ls --json
	assert_json_lines '[.[] | select(any(.owners[]; .id == $id))] | length == 1 and .[0].owners[0].owner == "docker"' --arg id "$upper"
}

@test "with --all go the records that an image shares, and neither the image nor the next build suffers" {
	start_all
	build "$two_steps"
	run varve prune --owner docker --all --keep-storage 1 --json
	assert_status 0
	# The image was unpacked by its chain ids as well: it does not need the builder's own snapshots of the steps.
	[[ $(docker run --rm --network none test/built cat /one /two | wc -c) -eq 1000000 ]]
	docker image rm test/built
	run build "$two_steps"
	assert_status 0
	[[ $(docker run --rm --network none test/built cat /one /two | wc -c) -eq 1000000 ]]
}

@test "without dockerd, and with a server that is not Docker, the owner is unreachable, and says why" {
	start_all
	stop_docker
	run varve owners --json
	assert_json '.reachable == false and (.problem | test("connect to docker at"))'
	sed -i "s,^address = .*,address = $CONTAINERD_ADDRESS," "$agent_config"
	stop_agent
	start_agent
	run varve owners --json
	assert_json '.reachable == false and (.problem | test("docker at"))'
	start_docker
}
