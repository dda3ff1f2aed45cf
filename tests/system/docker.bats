#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# Debian 13's dockerd on the installed agent: a container reads known layers, and its reads are counted. Debian 12's
# dockerd has no image store of containerd's.

load system

setup() {
	command -v dockerd > /dev/null || skip "this system has no dockerd"
}

docker() {
	command docker "$@" 3>&-
}

@test "a container of Docker's reads its layers, and is counted, as the documents configure it" {
	local layers=$BATS_TEST_TMPDIR/layers before id
	mkdir -p "$layers"/{1/bin,2/data} /etc/docker
	cp "$(command -v busybox)" "$layers/1/bin/cat"
	echo docker > "$layers/2/data/docker"
	make_image "$BATS_TEST_TMPDIR/image.tar" docker.io/test/two:latest "$layers/1" "$layers/2"
	# shellcheck disable=SC2016
	sed -n '/^```json/,/^```/{/^```/!p}' /opt/varve/docker.md | jq '. + {bridge: "none", iptables: false}' > /etc/docker/daemon.json
	grep -q '"storage-driver": "varve"' /etc/docker/daemon.json
	systemctl start docker.service
	varve ls -q --no-trunc | sort > "$BATS_TEST_TMPDIR/before"
	docker load -i "$BATS_TEST_TMPDIR/image.tar"
	run -0 docker run --rm --network none test/two /bin/cat /data/docker
	[[ $output == docker ]]
	id=$(varve ls --json | jq -r 'select(.snapshot.kind == "committed" and (.parents | length) == 1) | .id' |
		grep -vxF -f "$BATS_TEST_TMPDIR/before")
	before=$(opens "$id")
	run -0 docker run --rm --network none test/two /bin/cat /data/docker /data/docker
	(($(opens "$id") == before + 2))
	docker image rm test/two
	systemctl stop docker.service docker.socket
}
