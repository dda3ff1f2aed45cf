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

# One set of daemons serves all tests of this file, each of which builds images of its own.
setup_file() {
	BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR BATS_TEST_NUMBER=0
	agent_setup
	containerd_setup
	docker_setup
	printf '[prune]\nautomatic = no\n[snapshots]\nkeep_removed = 0\n[docker]\naddress = %s\ncontainerd = %s\nnamespace = %s\nevict = both\n' \
		"$docker_socket" "$CONTAINERD_ADDRESS" "$CONTAINERD_NAMESPACE" > "$agent_config"
	export PATH
	start_all
}

# What teardown_file and the tests need to know of the daemons.
note_daemons() {
	declare -p agent_root agent_log agent_socket agent_socket_dir agent_pid agent_pins agent_config containerd_dir \
		containerd_pid docker_dir docker_socket docker_pid | sed 's/^declare -/declare -g -/' > "$BATS_FILE_TMPDIR/daemons"
}

teardown_file() {
	local status=0
	BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
	[[ -e $BATS_FILE_TMPDIR/daemons ]] || return 0
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/daemons"
	docker_teardown
	containerd_teardown
	agent_teardown || status=1
	return "$status"
}

setup() {
	# shellcheck disable=SC1091
	. "$BATS_FILE_TMPDIR/daemons"
}

# What a test has left must not be what the next one finds.
teardown() {
	docker ps -aq | xargs -r docker rm -f > /dev/null
	docker image ls --format '{{.Repository}}' | grep -v '^test/base$' | xargs -r docker image rm -f > /dev/null
	docker builder prune -af > /dev/null
}

# start_all: the three daemons, and an image "base" with busybox.
start_all() {
	local program layer=$BATS_TEST_TMPDIR/layer
	note_daemons
	start_agent
	note_daemons
	start_containerd
	note_daemons
	start_docker || { cat "$docker_dir/log"; return 1; }
	note_daemons
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
	build "$two_steps"
	run varve owners --json
	# Its images are "base" and "built".
	assert_json '.name == "docker" and .kind == "docker" and .reachable and .records == $count + 2 and .size > 3000000
		and .version == "26.1.5+dfsg1" and .evict == ["cache", "images"]' --argjson count "$(du_ids | wc -l)"
	# Sources of the build are its own; the base and both steps are the image's, too.
	run varve prune --owner docker --dry-run --json
	assert_json_lines '[.[] | select(has("id")) | .recordType] | unique == ["image", "source.local"]'
	docker image rm test/built
	run varve prune --owner docker --dry-run --json
	assert_json_lines '[.[] | select(.recordType == "regular") | .parents] | length == 2 and .[1][0] != null'
	assert_json_lines 'last.predicted > 1000000'
}

@test "dockerd removes exactly the records that it is asked for, and its next build makes them again" {
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
	run ! grep -x "$gone" "$BATS_TEST_TMPDIR/left"
	run build "$two_steps"
	assert_status 0
	[[ $(docker run --rm --network none test/built cat /one /two | wc -c) -eq 1000000 ]]
}

@test "explain and inspect name a container of dockerd, and the record of its builder" {
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
	build "$two_steps"
	run varve prune --owner docker --all --filter type!=image --keep-storage 1 --json
	assert_status 0
	# The image was unpacked by its chain ids as well: it does not need the builder's own snapshots of the steps.
	[[ $(docker run --rm --network none test/built cat /one /two | wc -c) -eq 1000000 ]]
	docker image rm test/built
	run build "$two_steps"
	assert_status 0
	[[ $(docker run --rm --network none test/built cat /one /two | wc -c) -eq 1000000 ]]
}

@test "dockerd is asked to remove images that no container uses, by its API, and its words are what happens" {
	build "$two_steps" first
	build $'FROM test/base\nRUN head -c 500000 /dev/zero > /other' second
	docker tag test/second test/second:again
	docker builder prune -af > /dev/null # the images alone keep their layers
	id=$(docker run --detach --network none test/first sh -c 'while :; do cat /one > /dev/null; done')
	run -0 varve explain "$(varve ls --json | jq -r --arg id "$CONTAINERD_NAMESPACE/docker.io/test/second:again" \
		'select([.owners[] | select(.kind == "image") | .id] == [$id]) | .id')"
	assert_output_has "it is a layer of the image $CONTAINERD_NAMESPACE/docker.io/test/second:again of docker, which can be asked to remove it"
	# Its images are in a containerd of its own, which only [docker] names.
	run -0 varve images --json
	assert_json_lines 'map(select(.namespace == $n) | {(.tags[0]): [.tags[1], (.containers | length), .lastContainerAt != null]}) | add ==
		{"docker.io/test/base:latest": [null, 0, $base], "docker.io/test/first:latest": [null, 1, true],
		"docker.io/test/second:again": ["docker.io/test/second:latest", 0, false]}' --arg n "$CONTAINERD_NAMESPACE" --argjson base true
	run varve prune --owner docker --filter 'description~=second' --json
	assert_status 0
	assert_json_lines 'length == 2 and .[0].recordType == "image" and .[0].refused == null and (last | .freed == .predicted and .freed >= 500000)'
	[[ $(docker image ls --format '{{.Repository}}' | sort | xargs) == "test/base test/first" ]]
	# The other one has a container; when that has stopped, only Docker and its snapshots tell.
	run varve prune --owner docker --filter 'description~=first' --json
	assert_json_lines 'length == 1'
	docker stop -t 0 "$id" > /dev/null
	[[ $(varve images --json | jq -r 'select(.tags[0] == "docker.io/test/first:latest").containers[]') == "$id" ]]
	[[ $(varve images prune --unread-for 1ms --dry-run -q) == docker.io/test/base:latest ]] # no container lies on it
	retry 100 eval '[[ -z $(ctr containers ls -q) ]]'
	run varve prune --owner docker --filter 'description~=first' --json
	assert_json_lines 'length == 1'
	docker image inspect test/first > /dev/null
}

@test "without dockerd, and with a server that is not Docker, the owner is unreachable, and says why" {
	sed "s,^address = .*,address = $docker_socket-gone,; s/^\[docker\]/[buildkit \"gone\"]/" "$agent_config" > "$BATS_TEST_TMPDIR/other.conf"
	sed -n '/^\[docker\]/,$p' "$agent_config" | sed "s,^address = .*,address = $CONTAINERD_ADDRESS," >> "$BATS_TEST_TMPDIR/other.conf"
	sed -i 's/^evict = both/evict = cache/' "$BATS_TEST_TMPDIR/other.conf"
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/other" --socket "$agent_socket_dir/other" --config "$BATS_TEST_TMPDIR/other.conf" \
		> "$BATS_TEST_TMPDIR/other.log" 2>&1 3>&- &
	other=$!
	retry 100 "$VARVE_BUILD/varve" -H "unix://$agent_socket_dir/other" info
	run "$VARVE_BUILD/varve" -H "unix://$agent_socket_dir/other" owners --json
	kill "$other"
	wait "$other" || true
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/other" --socket "$agent_socket_dir/other" --teardown
	assert_json_lines '.[0].reachable == false and (.[0].problem | test("connect to gone at"))'
	assert_json_lines '.[1].reachable == false and (.[1].problem | test("docker at"))'
}
