#!/usr/bin/env bats
# requires root overlay bpf jq containerd ctr
# SPDX-License-Identifier: Apache-2.0
#
# Debian's containerd with the installed agent as its snapshotter: containers read known layers, and each access is
# counted, whatever happens to the agent meanwhile. Leaves a running container and a mounted record for
# tests/system/rebooted.bats.

load system

# Three layers: programs, data that is read, and data that is not.
make_layers() {
	local layers=$BATS_TEST_TMPDIR/layers program
	mkdir -p "$layers"/{1/bin,2/data,3/other}
	cp "$(command -v busybox)" "$layers/1/bin/busybox"
	for program in sh cat sleep true; do
		ln -s busybox "$layers/1/bin/$program"
	done
	echo one > "$layers/1/one"
	echo two > "$layers/2/data/two"
	echo three > "$layers/3/other/three"
	make_image "$BATS_TEST_TMPDIR/image.tar" "$image" "$layers/1" "$layers/2" "$layers/3"
}

# Sets layer[N]: the record of the image's Nth layer.
find_layers() {
	local parent='' n
	layer=()
	for n in 1 2 3; do
		layer[n]=$(varve ls --json | jq -r --arg p "$parent" \
			'select(.snapshot.kind == "committed" and (.parents[0] // "") == $p) | .id')
		parent=${layer[n]}
	done
}

has_ended() { # ID
	ctr tasks ls | grep -q "^$1 .*STOPPED"
}

@test "containerd knows the agent as a snapshotter, as the documents configure it" {
	configure_containerd
}

@test "a container's reads are counted, each in its layer" {
	local n before
	make_layers
	ctr images import --snapshotter varve "$BATS_TEST_TMPDIR/image.tar"
	find_layers
	[[ -n ${layer[1]} && -n ${layer[2]} && -n ${layer[3]} ]]
	for n in 1 2 3; do
		before[n]=$(opens "${layer[n]}")
	done
	run -0 ctr run --rm --snapshotter varve "$image" c1 /bin/cat /one /data/two /data/two
	[[ $output == $'one\ntwo\ntwo' ]]
	(($(opens "${layer[2]}") == before[2] + 2))
	(($(opens "${layer[3]}") == before[3]))
	varve files "${layer[1]}" --json | jq -se 'map(select(.path == "one" and .opens == 1)) | length == 1'
}

@test "nothing is lost and nothing counted twice when the agent is restarted and killed under load" {
	local before n pid
	find_layers
	before=$(opens "${layer[2]}")
	mkdir -p "$state/load"
	rm -f "$state"/load/*
	# shellcheck disable=SC2016 # the container's shell expands it
	ctr run --detach --snapshotter varve --mount "type=bind,src=$state/load,dst=/mnt,options=rbind:rw" "$image" load /bin/sh -c \
		'i=0; until [ -e /mnt/stop ]; do cat /data/two > /dev/null; i=$((i + 1)); done; echo $i > /mnt/reads; echo content > /kept'
	for n in 1 2 3; do
		pid=$(agent_pid)
		if ((n == 2)); then systemctl restart varved.service; else kill -9 "$pid"; fi
		retry 200 other_agent "$pid"
		run -0 ctr run --rm --snapshotter varve "$image" "c$n" /bin/true
	done
	touch "$state/load/stop"
	retry 200 test -s "$state/load/reads"
	retry 50 has_ended load
	echo "$(< "$state/load/reads") reads"
	(($(< "$state/load/reads") > 10))
	(($(opens "${layer[2]}") == before + $(< "$state/load/reads")))
	ctr tasks rm load
	ctr containers rm load
	run varve fsck
	assert_status 0
}

# containerd makes a snapshot of its own with the owners that the container needs.
@test "a container in a user namespace runs, and its reads are counted in the layer with its owners" {
	local id
	ctr run --detach --snapshotter varve --uidmap 0:100000:65536 --gidmap 0:100000:65536 "$image" mapped \
		/bin/sh -c 'cat /data/two > /got; sleep 100000'
	retry 50 test -s "/proc/$(ctr tasks ls | awk '$1 == "mapped" { print $2 }')/root/got"
	[[ $(stat -c %u "/proc/$(ctr tasks ls | awk '$1 == "mapped" { print $2 }')/root/got") == 100000 ]]
	id=$(varve ls --json | jq -r 'select((.snapshot.key // "") | endswith("-100000-100000")) | .id')
	varve files "$id" --json | jq -se 'map(select(.path == "data/two" and .opens == 1)) | length == 1'
	ctr tasks kill --signal SIGKILL mapped
	retry 100 ctr tasks rm mapped
	ctr containers rm mapped
}

is_apart() {
	[[ $(readlink "/proc/$1/ns/user") != "$(readlink /proc/self/ns/user)" ]]
}

# As containers without root have it: a user namespace, and a mount whose owners are mapped for it.
@test "root of a user namespace owns a record mounted with its map, and what it reads is counted" {
	local base id dir process before
	base=$(varve new --retain)
	echo content > "$(varve mount "$base")/file"
	base=$(varve commit "$base")
	id=$(varve new --retain --parent "$base" --uid-map 0:100000:65536 --gid-map 0:100000:65536)
	dir=$(varve mount "$id")
	before=$(opens "$base")
	(cd / && exec unshare --user sleep infinity) 3>&- &
	process=$!
	retry 50 is_apart "$process"
	echo 0 100000 65536 | tee "/proc/$process/uid_map" > "/proc/$process/gid_map"
	in_namespace() {
		nsenter --target "$process" --user --setuid 0 --setgid 0 --wd="$dir" "$@"
	}
	[[ $(in_namespace stat -c %u:%g file) == 0:0 && $(stat -c %u:%g "$dir/file") == 100000:100000 ]]
	[[ $(in_namespace cat file) == content ]]
	in_namespace sh -c 'cat file file > /dev/null; echo written > new'
	(($(opens "$base") == before + 3))
	[[ $(in_namespace stat -c %u:%g new) == 0:0 && $(stat -c %u:%g "$dir/new") == 100000:100000 ]]
	kill "$process"
	varve umount "$id"
	varve release "$id"
	varve release "$base"
}

@test "a container runs, and a record is mounted, when the system reboots" {
	workspace > "$state/workspace"
	# The first process of a container would not end at SIGTERM, for which a shutdown waits 90 seconds.
	ctr run --detach --snapshotter varve "$image" kept /bin/sh -c 'trap exit TERM; echo content > /kept; sleep 100000 & wait'
	retry 50 test -s "/proc/$(ctr tasks ls | awk '$1 == "kept" { print $2 }')/root/kept"
	find_layers
	echo "${layer[2]}" > "$state/layer"
	opens "${layer[2]}" > "$state/opens"
	varve ls -q --no-trunc | sort > "$state/records"
}
