#!/usr/bin/env bats
# requires root overlay bpf jq dockerd
# SPDX-License-Identifier: Apache-2.0
#
# Debian 13's dockerd with containerd's image store on the installed agent: containers read known layers, and each
# access is counted, whatever happens to the agent meanwhile; also with userns-remap.

load system

docker() {
	command docker "$@" 3>&-
}

setup_file() {
	local layers=$BATS_FILE_TMPDIR/layers program
	bats_require_minimum_version 1.5.0
	BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
	mkdir -p "$layers"/{1/bin,2/data} /etc/docker
	cp "$(command -v busybox)" "$layers/1/bin/busybox"
	for program in sh cat sleep true; do
		ln -s busybox "$layers/1/bin/$program"
	done
	echo docker > "$layers/2/data/docker"
	configure_containerd
	make_image "$BATS_FILE_TMPDIR/image.tar" docker.io/test/two:latest "$layers/1" "$layers/2"
	configure_docker
	docker load -i "$BATS_FILE_TMPDIR/image.tar"
}

teardown_file() {
	systemctl stop docker.service docker.socket
}

# configure_docker [FILTER]: as the documents say, without a network, and changed by the filter of jq.
configure_docker() {
	# shellcheck disable=SC2016 # not for the shell
	sed -n '/^```json/,/^```/{/^```/!p}' /opt/varve/docker.md |
		jq '. + {bridge: "none", iptables: false, ip6tables: false}' | jq "${1-.}" > /etc/docker/daemon.json
	grep -q '"storage-driver": "varve"' /etc/docker/daemon.json
	systemctl restart docker.service
	retry 200 docker version > /dev/null
}

# data_layer: the upper layer of the only image.
data_layer() {
	varve ls --json | jq -r 'select(.snapshot.kind == "committed" and (.parents | length) == 1) | .id'
}

@test "a container of Docker's reads its layers, and is counted, as the documents configure it" {
	local id before
	run -0 docker run --rm --network none test/two cat /data/docker
	[[ $output == docker ]]
	id=$(data_layer)
	before=$(opens "$id")
	run -0 docker run --rm --network none test/two cat /data/docker /data/docker
	(($(opens "$id") == before + 2))
}

@test "no read of a container of Docker's is lost when the agent is restarted and killed under load" {
	local id before n pid
	id=$(data_layer)
	before=$(opens "$id")
	mkdir -p "$BATS_TEST_TMPDIR/load"
	# shellcheck disable=SC2016 # the container's shell expands it
	docker run --detach --name load --network none --volume "$BATS_TEST_TMPDIR/load:/mnt" test/two sh -c \
		'i=0; until [ -e /mnt/stop ]; do cat /data/docker > /dev/null; i=$((i + 1)); done; echo $i > /mnt/reads; echo content > /kept'
	for n in 1 2 3; do
		pid=$(agent_pid)
		if ((n == 2)); then systemctl restart varved.service; else kill -9 "$pid"; fi
		retry 200 other_agent "$pid"
		run -0 docker run --rm --network none test/two true
	done
	touch "$BATS_TEST_TMPDIR/load/stop"
	run -0 docker wait load
	[[ $output == 0 ]]
	echo "$(< "$BATS_TEST_TMPDIR/load/reads") reads"
	(($(< "$BATS_TEST_TMPDIR/load/reads") > 10))
	(($(opens "$id") == before + $(< "$BATS_TEST_TMPDIR/load/reads")))
	[[ $(docker cp load:/kept - | tar -xO) == content ]]
	docker rm load
	run varve fsck
	assert_status 0
}

# dockerd makes a snapshot with the owners that its containers need.
@test "with userns-remap, a container of Docker's runs as another user, and its reads are counted" {
	local id pid
	id dockremap > /dev/null || useradd --system --user-group --shell /usr/sbin/nologin dockremap
	echo dockremap:100000:65536 | tee /etc/subuid > /etc/subgid
	configure_docker '. + {"userns-remap": "default"}'
	docker load -i "$BATS_FILE_TMPDIR/image.tar"
	docker run --detach --name mapped --network none test/two sh -c 'cat /data/docker > /got; exec sleep 100000'
	pid=$(docker inspect --format '{{.State.Pid}}' mapped)
	[[ $(awk '$1 == 0 { print $2 }' "/proc/$pid/uid_map") == 100000 ]]
	retry 50 test -s "/proc/$pid/root/got"
	[[ $(stat -c %u "/proc/$pid/root/got") == 100000 && $(cat "/proc/$pid/root/got") == docker ]]
	for id in $(varve ls -q --no-trunc); do
		varve files "$id" --json | jq -c --arg id "$id" 'select(.path == "data/docker" and .opens == 1) | {id: $id}'
	done > "$BATS_TEST_TMPDIR/read"
	cat "$BATS_TEST_TMPDIR/read"
	[[ $(wc -l < "$BATS_TEST_TMPDIR/read") -eq 1 ]]
	docker rm --force mapped
	run varve fsck
	assert_status 0
}
