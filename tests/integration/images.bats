#!/usr/bin/env bats
# requires root overlay jq containerd-1.7 ctr docker-registry skopeo
# SPDX-License-Identifier: Apache-2.0
#
# `varve images`: those of the real containerd, and those that Varve has pulled.

# retry evaluates conditions, and jq's variables look like the shell's.
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
	printf '[containerd]\naddress = %s\n' "$CONTAINERD_ADDRESS" >> "$agent_config"
}

teardown() {
	stop_registry
	containerd_teardown
	agent_teardown
}

# Makes the images "base" (one layer), "app" (that and another one) and "other" (a layer of its own) in a registry.
make_remote_images() {
	local n
	layout_new oci
	for n in 1 2 3; do
		mkdir -p "tree$n/bin"
		head -c $((n * 200000)) /dev/urandom > "tree$n/bin/$n"
		head -c $((n * 200000)) /dev/urandom > "tree$n/bin/unread$n"
		tar_of "tree$n" "$n.tar"
		gzip "$n.tar"
	done
	layout_image oci base 1.tar.gz
	layout_image oci app 1.tar.gz 2.tar.gz
	layout_image oci other 3.tar.gz
	start_registry
	for n in base app other; do
		skopeo copy --quiet --dest-tls-verify=false "oci:oci:$n" "docker://$registry/$n:1"
	done
}

pull() { # NAMESPACE IMAGE
	"$VARVE_BUILD/tests/tools/containerd_pull" "$CONTAINERD_ADDRESS" "$1" "$registry/$2:1"
}

top_chain() { # NAMESPACE IMAGE
	varve inspect --json "$(image "$1" "$2" | jq -r .record)" | jq -r '.snapshot.key | split("/")[2]'
}

# image NAMESPACE NAME: its line.
image() {
	varve images --read-share --json | jq -c --arg n "$1" --arg t "$registry/$2:1" 'select(.namespace == $n and (.tags | index($t)))'
}

@test "images of all namespaces are shown with what they take, what they share and what was read of them" {
	count_accesses
	make_remote_images
	start_agent
	start_containerd
	pull one base
	pull one app
	pull two other
	ctr --namespace one images tag "$registry/app:1" "$registry/app:2" > /dev/null
	varve pull "$registry/other:1" > /dev/null 2>&1
	[[ $(varve images --json | jq -rs 'map(.namespace) | join(",")') == one,one,two, ]]
	run -0 image one app
	assert_json '.tags == [$t + "1", $t + "2"] and .layers == 2 and .sharedSize < .size and .uniqueSize == .size - .sharedSize
		and .containers == [] and .inUse == false and .pinned == false and .lastReadAt == null and .readFileBytes == 0
		and .fileBytes == 1200000 and (.digest | startswith("sha256:")) and .pulledAt != null' --arg t "$registry/app:"
	run -0 image one base
	assert_json '.layers == 1 and .uniqueSize == 0' # app has its layer, too
	run -0 image two other
	assert_json '.layers == 1 and .uniqueSize == 0' # as has the image that Varve pulled
	# A container that reads one file of two in the top layer.
	ctr --namespace one snapshots --snapshotter varve prepare box "$(top_chain one app)" > /dev/null
	mkdir at
	sh -c "$(ctr --namespace one snapshots --snapshotter varve mounts at box)"
	cat at/bin/2 > /dev/null
	umount at
	run -0 image one app
	assert_json '.readFileBytes == 400000 and .lastReadAt != null'
	run -0 varve images
	[[ ${lines[0]} == NAMESPACE*TAG*SIZE*SHARED*UNIQUE*CONTAINERS*STATE*PULLED*LAST\ CONTAINER*LAST\ READ*EVER\ READ && ${#lines[@]} == 5 ]]
	[[ $(varve images -q | head -n 1) == "$registry/app:1" ]]
}

@test "images prune removes what was not read, and neither what is pinned nor what a container uses" {
	printf 'evict = images\n' >> "$agent_config"
	make_remote_images
	start_agent
	start_containerd
	pull one base
	pull one app
	pull two base
	pull two other
	ctr --namespace two images label "$registry/base:1" io.cri-containerd.pinned=pinned > /dev/null
	[[ $(image one app | jq .lastContainerAt) == null ]] # its layers were unpacked, which is no container
	ctr --namespace one containers create --snapshotter varve "$registry/app:1" box > /dev/null
	[[ $(image one app | jq -c '[.containers, .inUse, .lastContainerAt != null]') == '[["box"],true,true]' ]]
	[[ $(image two other | jq .lastContainerAt) == null ]]
	# base is part of app, but another image: only its name goes.
	run -0 varve images prune --unread-for 30d --dry-run --json
	[[ -z $output ]]
	sleep 1 # so that all of them are older than a second
	run -0 varve images prune --unread-for 1s --dry-run --json
	[[ $(jq -rs 'map(.namespace + " " + .tags[0]) | sort | join(", ")' <<< "$output") == "one $registry/base:1, two $registry/other:1" ]]
	[[ $(varve images -q | wc -l) == 4 ]]
	run -0 varve images prune --unread-for 1s --json
	[[ $(jq -rs 'map(.refused) | unique | tojson' <<< "$output") == '[null]' ]]
	[[ $(varve images --json | jq -rs 'map(.namespace + " " + .tags[0]) | join(", ")') == "one $registry/app:1, two $registry/base:1" ]]
	[[ $(ctr --namespace one images ls -q) == "$registry/app:1" && $(ctr --namespace two images ls -q) == "$registry/base:1" ]]
	# What is known of the container outlives it, and the agent.
	created=$(image one app | jq .lastContainerAt)
	ctr --namespace one containers delete box
	retry 100 eval '[[ $(image one app | jq .lastContainerAt) > $created ]]'
	removed=$(image one app | jq -c '[.containers, .lastContainerAt]')
	kill_agent
	start_agent
	[[ $(image one app | jq -c '[.containers, .lastContainerAt]') == "$removed" && $removed == '[[],'* ]]
}

@test "an agent that is killed while containerd removes images has lost nothing, and the next prune goes on" {
	printf 'evict = images\n' >> "$agent_config"
	make_remote_images
	start_agent
	start_containerd
	pull one app
	pull two other
	sleep 1 # so that both are older than a second
	varve images prune --unread-for 1s > /dev/null 2>&1 3>&- &
	pruning=$!
	retry 100 eval '[[ $(ctr --namespace one images ls -q; ctr --namespace two images ls -q) != *app*other* ]]'
	kill_agent
	wait "$pruning" || true
	start_agent
	varve images prune --unread-for 1s
	[[ -z $(varve images -q) && -z $(ctr --namespace one images ls -q) && -z $(ctr --namespace two images ls -q) ]]
	# containerd collects with its next change; a snapshot that it could not remove goes then.
	ctr --namespace one leases create --id again > /dev/null
	ctr --namespace one leases delete --sync again > /dev/null
	retry 100 eval '[[ -z $(varve ls --json | jq -r ".snapshot // empty") ]]'
	run varve fsck
	assert_status 0
}

@test "containerd is not asked to remove images unless the configuration says so" {
	make_remote_images
	start_agent
	start_containerd
	pull one base
	sleep 1 # so that it is older than a second
	run -0 varve images prune --unread-for 1s --dry-run -q
	[[ $output == "$registry/base:1" ]]
	run ! varve images prune --unread-for 1s
	assert_output_has "set evict = images in the section [containerd]"
	[[ $(ctr --namespace one images ls -q) == "$registry/base:1" ]]
	run -2 varve images prune
	run -2 varve images --dry-run
	run -2 varve images remove
}

@test "containerd is an owner: its images are planned, explained and removed through it, and counted by what they free" {
	count_accesses
	printf 'evict = images\nnamespaces = one, three\n[snapshots]\nkeep_removed = 0\n' >> "$agent_config"
	make_remote_images
	start_agent
	start_containerd
	pull one base
	pull one app
	pull two other
	pull three other
	ctr --namespace one images tag "$registry/app:1" "$registry/app:2" > /dev/null
	ctr --namespace one containers create --snapshotter varve "$registry/base:1" box > /dev/null
	run -0 varve owners --json
	assert_json '.name == "containerd" and .kind == "containerd" and .reachable and .version != null and .evict == ["images"]'
	# base has a container; the layer of other is in another namespace, too, which is not to be asked about.
	assert_json '.records == 3 and .evictable == 2 and .size > .evictableSize and .evictableSize > 800000 and .evictableSize < 1000000'
	id=$(image one app | jq -r .record)
	run -0 varve explain "$id"
	assert_output_has "it is a layer of the image one/$registry/app:1 of containerd, which can be asked to remove it: varve prune --owner containerd --filter id==one/$registry/app:1"
	run -0 varve explain "$(varve inspect --json "$id" | jq -r '.parents[0]')"
	assert_output_has "it is a layer of the image one/$registry/base:1 of containerd, which is not asked to remove it: in use"
	assert_output_has "the container box of containerd needs it (image $registry/base:1)"
	run -0 varve stats --json "$id"
	assert_json '[.owners[] | .kind + " " + .id] == ["image one/" + $r + "/app:1"]' --arg r "$registry"
	run -0 varve files "$id"
	assert_output_has "containerd: image one/$registry/app:1"
	# Both names go; what the base needs stays.
	run -0 varve prune --owner containerd --filter "id==one/$registry/app:1" --json
	assert_json_lines '.[0].recordType == "image" and .[0].refused == null and .[0].description == ([1, 2] | map($r + "/app:\(.)") | join(" "))' \
		--arg r "$registry"
	assert_json_lines 'length == 2 and last.freed == last.predicted and last.freed > 800000'
	[[ $(ctr --namespace one images ls -q) == "$registry/base:1" ]]
	# A plan is stale once something has read the image.
	plan=$(varve prune --owner containerd --dry-run --json | jq -r '.plan // empty')
	ctr --namespace three snapshots --snapshotter varve prepare look "$(top_chain three other)" > /dev/null
	mkdir at
	sh -c "$(ctr --namespace three snapshots --snapshotter varve mounts at look)"
	cat at/bin/3 > /dev/null
	umount at
	run -5 varve prune --plan "$plan"
	# What a client prepares on top of it keeps it, too.
	run -0 varve prune --owner containerd --json
	assert_json_lines 'length == 1'
	ctr --namespace three snapshots --snapshotter varve rm look
	retry 100 eval '[[ -n $(varve prune --owner containerd --dry-run -q) ]]' # once containerd has collected it
	# Pinned by Kubernetes between the plan and its step.
	plan=$(varve prune --owner containerd --dry-run --json | jq -r '.plan // empty')
	ctr --namespace three images label "$registry/other:1" io.cri-containerd.pinned=pinned > /dev/null
	run -0 varve prune --plan "$plan" --json
	assert_json_lines '.[0].refused == "it is pinned by Kubernetes"'
	ctr --namespace three images label "$registry/other:1" io.cri-containerd.pinned= > /dev/null
	run -0 varve prune --owner containerd --json
	# The layer is still that of another namespace.
	assert_json_lines '.[0].refused == null and last.freed == 0'
	[[ $(ctr --namespace two images ls -q) == "$registry/other:1" && -z $(ctr --namespace three images ls -q) ]]
}

@test "without containerd, Varve's own images are shown, and why the others are missing" {
	make_remote_images
	start_agent
	varve pull "$registry/app:1" > /dev/null 2>&1
	run -0 --separate-stderr varve images --json
	assert_json '.namespace == null and .tags == [$t] and .layers == 2 and .held == true' --arg t "docker://$registry/app:1"
	[[ $stderr == *"the images of containerd are missing"* ]]
	# By its name it can be drawn, with all of its layers; and each blob that was fetched is an event.
	for name in "$registry/app:1" "docker://$registry/app:1"; do
		run -0 varve heat --json -d 0 "$name"
		assert_json_lines 'length == 2'
	done
	run -0 varve events --json
	assert_json_lines 'map(select(.event == "fetched")) | length >= 2 and all(.[]; .size > 0)'
	run ! varve images prune --unread-for 1s --dry-run
}
