#!/usr/bin/env bats
# requires root overlay jq containerd-1.7 ctr docker-registry skopeo
# SPDX-License-Identifier: Apache-2.0
#
# The real containerd pulls an image whose layers Varve has, and neither fetches nor unpacks them.

# retry evaluates conditions.
# shellcheck disable=SC2016

load ../lib/helpers
load ../lib/containerd
load ../lib/images
load ../lib/registry

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	agent_setup
	containerd_setup
	PATH=$("$BATS_TEST_DIRNAME/../../scripts/fetch-containerd"):$PATH
	containerd_diff varve-diff walking
	printf '[containerd]\naddress = %s\n[snapshots]\nkeep_free = 0\n' "$CONTAINERD_ADDRESS" >> "$agent_config"
}

teardown() {
	stop_registry
	containerd_teardown
	agent_teardown
}

# Sets $image to an image of three layers in a registry.
make_remote_image() {
	local n
	layout_new oci
	for n in 1 2 3; do
		mkdir -p "tree$n/bin"
		head -c 200000 /dev/urandom > "tree$n/bin/$n"
		tar_of "tree$n" "$n.tar"
		gzip "$n.tar"
	done
	layout_image oci image {1,2,3}.tar.gz
	start_registry
	image=$registry/test/image:latest
	skopeo copy --quiet --dest-tls-verify=false oci:oci:image "docker://$image"
}

pull() { # [NAMESPACE]
	"$VARVE_BUILD/tests/tools/containerd_pull" "$CONTAINERD_ADDRESS" "${1-$CONTAINERD_NAMESPACE}" "$image"
}

# fetched [NAMESPACE]: how many of the image's layers are in containerd's content.
fetched() {
	ctr ${1:+--namespace "$1"} content ls -q | grep -c -F -f <(sha256sum {1,2,3}.tar.gz | cut -d ' ' -f 1) || true
}

remove() { # [NAMESPACE]
	ctr ${1:+--namespace "$1"} images rm --sync "$image"
}

committed() { # [NAMESPACE]
	ctr ${1:+--namespace "$1"} snapshots --snapshotter varve ls | grep -c Committed || true
}

# same_files NAMESPACE: what a container would see is the image.
same_files() {
	local n top
	mkdir -p at
	top=$(ctr --namespace "$1" snapshots --snapshotter varve ls |
		awk '$NF == "Committed" { name[$1]; if (NF == 3) parent[$2] } END { for (i in name) if (!(i in parent)) print i }')
	ctr --namespace "$1" snapshots --snapshotter varve prepare look "$top" > /dev/null
	sh -c "$(ctr --namespace "$1" snapshots --snapshotter varve mounts at look)"
	for n in 1 2 3; do
		cmp "at/bin/$n" "tree$n/bin/$n"
	done
	umount at
	ctr --namespace "$1" snapshots --snapshotter varve rm look
}

@test "an image that was removed is pulled again without fetching or unpacking a layer" {
	make_remote_image
	start_agent
	start_containerd
	pull
	[[ $(fetched) == 3 && $(committed) == 3 ]]
	ids=$(varve ls --json | jq -r .id | sort)
	remove
	retry 100 eval '[[ $(committed) == 0 && $(fetched) == 0 ]]'
	[[ $(varve ls --json | jq -r .recordType | sort -u) == image.layer ]]
	pull
	[[ $(fetched) == 0 && $(committed) == 3 ]]
	[[ $(varve ls --json | jq -r .id | sort) == "$ids" ]]
	[[ $(varve ls --json | jq -r .snapshot.kind | sort -u) == committed ]]
	same_files "$CONTAINERD_NAMESPACE"
	# Once more, with another agent, and with containerd's garbage collector of another start.
	remove
	retry 100 eval '[[ $(committed) == 0 ]]'
	stop_agent
	stop_containerd
	start_agent
	start_containerd
	pull
	[[ $(fetched) == 0 && $(varve ls --json | jq -r .id | sort) == "$ids" ]]
	same_files "$CONTAINERD_NAMESPACE"
}

@test "an image takes its space once in all namespaces, and stays until the last one has removed it" {
	make_remote_image
	start_agent
	start_containerd
	for namespace in one two three; do
		pull "$namespace"
		[[ $(committed "$namespace") == 3 ]]
		same_files "$namespace"
	done
	[[ $(fetched one) == 3 && $(fetched two) == 0 && $(fetched three) == 0 ]]
	retry 100 eval '[[ $(count_layers) == 3 ]]'
	# Each namespace has snapshots of its own.
	[[ $(varve ls --json | jq -r '.snapshot.key | split("/")[0]' | sort | uniq -c | xargs) == "3 one 3 three 3 two" ]]
	remove one
	same_files two
	remove two
	same_files three
	retry 100 eval '[[ $(count_layers) == 3 ]]'
	remove three
	retry 100 eval '[[ $(varve ls --json | jq -r .recordType | sort | uniq -c) =~ ^\ *3\ image.layer$ ]]'
	pull two
	same_files two
	[[ $(fetched two) == 0 ]]
	retry 100 eval '[[ $(count_layers) == 3 ]]'
	run -0 varve fsck
}

@test "with share_namespaces = no each namespace has its own layers" {
	echo 'share_namespaces = no' >> "$agent_config"
	make_remote_image
	start_agent
	start_containerd
	pull one
	pull two
	[[ $(fetched two) == 3 && $(count_layers) == 6 ]]
	remove one
	retry 100 eval '[[ $(committed one) == 0 ]]'
	pull one
	[[ $(fetched one) == 0 && $(count_layers) == 6 ]]
	same_files one
	same_files two
}

@test "a layer that varve has pulled is not fetched by containerd, and the other way round" {
	make_remote_image
	start_agent
	start_containerd
	id=$(varve pull "$image" 2> /dev/null)
	pull
	[[ $(fetched) == 0 && $(count_layers) == 3 ]]
	same_files "$CONTAINERD_NAMESPACE"
	varve release "$id"
	varve prune --all > /dev/null
	same_files "$CONTAINERD_NAMESPACE"
	rm -rf registry/docker/registry/v2/blobs # nothing can be fetched any more
	remove
	retry 100 eval '[[ $(committed) == 0 ]]'
	[[ $(varve ls --json | jq -r .recordType | sort -u) == image.layer ]]
}
