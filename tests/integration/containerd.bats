#!/usr/bin/env bats
# requires root overlay jq containerd ctr runc busybox setfattr
# SPDX-License-Identifier: Apache-2.0
#
# The real containerd, with varved as its snapshotter.

load ../lib/helpers
load ../lib/containerd
load ../lib/snapshots

setup() {
	agent_setup
	containerd_setup
	snapshots_setup
}

teardown() {
	containerd_teardown
	snapshots_teardown
	agent_teardown
}

image=test.local/three:latest

# Three layers: programs and odd files; data and whiteouts of some of the first layer's files; more data.
make_layers() {
	local program
	layers=$BATS_TEST_TMPDIR/layers
	mkdir -p "$layers"/1/{bin,etc,odd,hidden/below} "$layers"/2/{data,hidden} "$layers"/3/data
	cp "$(command -v busybox)" "$layers/1/bin/busybox"
	for program in sh cat sleep ls; do
		ln -s busybox "$layers/1/bin/$program"
	done
	echo 'root:x:0:0::/:/bin/sh' > "$layers/1/etc/passwd"
	echo one > "$layers/1/one"
	echo gone > "$layers/1/gone"
	echo hidden > "$layers/1/hidden/below/file"
	echo odd > "$layers/1/odd/file"
	ln "$layers/1/odd/file" "$layers/1/odd/link"
	mknod "$layers/1/odd/null" c 1 3
	mkfifo "$layers/1/odd/fifo"
	chown 1000:2000 "$layers/1/odd/file"
	chmod 4751 "$layers/1/odd/file"
	setfattr -n user.note -v 'kept' "$layers/1/odd/file"
	chmod 1770 "$layers/1/odd"
	echo two > "$layers/2/data/two"
	: > "$layers/2/.wh.gone"
	: > "$layers/2/hidden/.wh..wh..opq"
	echo seen > "$layers/2/hidden/seen"
	echo three > "$layers/3/data/three"
	make_image "$BATS_TEST_TMPDIR/image.tar" "$image" "$layers/1" "$layers/2" "$layers/3"
}

# unpack [client|agent]: starts both daemons and unpacks the image; $layer[N] is the record of its Nth
# layer. The argument says who mounts.
unpack() {
	local parent='' n
	make_layers
	start_agent_with "${1:-client}"
	start_containerd
	ctr images import --snapshotter varve "$BATS_TEST_TMPDIR/image.tar" > /dev/null
	layer=()
	for n in 1 2 3; do
		layer[n]=$(varve ls --json | jq -r --arg p "$parent" \
			'select(.snapshot.kind == "committed" and (.parents[0] // "") == $p) | .id')
		parent=${layer[n]}
	done
}

has_records() { # NUMBER
	(($(varve ls -q | wc -l) == $1))
}

has_no_layers() {
	(($(count_layers) == 0))
}

has_stopped() { # ID
	ctr tasks ls | grep -q "^$1 .*STOPPED"
}

opens() { # ID
	varve stats "$1" --json | jq .opens
}

snapshots() {
	ctr snapshots --snapshotter varve "$@"
}

run_container() { # ID [OPTION…] -- COMMAND…
	local id=$1 options=()
	shift
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	ctr run --snapshotter varve "${options[@]}" "$image" "$id" "$@" 3>&-
}

# exec_in ID COMMAND…
exec_in() {
	local id=$1
	shift
	ctr tasks exec --exec-id "e$RANDOM$RANDOM" "$id" "$@" 3>&-
}

end_container() { # ID
	ctr tasks kill --signal SIGKILL "$1"
	retry 100 ctr tasks rm "$1" > /dev/null 2>&1
	ctr containers rm "$1"
}

tree() { # DIRECTORY: lists all files with their attributes, without links and sizes of directories, which overlayfs changes
	(cd "$1" && find . -mindepth 1 -printf '%P %M %U %G %y %l ' ! -type d -printf '%n %s' , -printf '\n' | sort)
	(cd "$1" && getfattr -R -d -m user . 2> /dev/null)
}

# view PARENT: makes a view of the snapshot; prints where it is mounted. Fails when containerd's garbage
# collector removed the view before it had its label.
view() {
	local key=view$RANDOM
	snapshots view "$key" "$1"
	snapshots label "$key" containerd.io/gc.root=test > /dev/null || return
	key=$(varve ls --json | jq -r 'select(.snapshot.kind == "view") | .snapshot.key')
	[[ -n $key ]] && mount_snapshot "$key" view
}

# key_of ID: the name that containerd's clients have for a snapshot.
key_of() {
	varve inspect "$1" --json | jq -r '.snapshot.key | split("/")[2:] | join("/")'
}

counts_what_is_read() { # client|agent
	local before after merged=$BATS_TEST_TMPDIR/merged n shown
	unpack "$1"
	[[ -n ${layer[1]} && -n ${layer[2]} && -n ${layer[3]} ]]
	for n in 1 2 3; do
		before[n]=$(opens "${layer[n]}")
	done
	run run_container c1 --rm -- /bin/cat /one /data/two /data/two
	assert_status 0
	[[ $output == $'one\ntwo\ntwo' ]]
	(($(opens "${layer[1]}") > before[1]))
	(($(opens "${layer[2]}") == before[2] + 2))
	(($(opens "${layer[3]}") == before[3]))
	run varve files "${layer[1]}" --json
	assert_json_lines 'map(select(.path == "one" and .opens == 1)) | length == 1'
	assert_json_lines 'map(select(.path == "bin/busybox" and .opens == 1)) | length == 1'
	run varve stats --json
	# shellcheck disable=SC2016
	assert_json_lines 'map(select(.readBytes > 0) | .id) | sort == ([$first, $second] | sort)' \
		--arg first "${layer[1]}" --arg second "${layer[2]}"

	# A view shows the three layers merged.
	cp -a "$layers/1" "$merged"
	rm -r "$merged/hidden/below" "$merged/gone"
	cp -a "$layers"/{2,3}/. "$merged"
	find "$merged" -name '.wh.*' -delete
	shown=$(retry 5 view "$(key_of "${layer[3]}")")
	diff <(tree "$merged") <(tree "$shown")
	run touch "$shown/x"
	assert_output_has "Read-only file system"
}

@test "reads are counted in the two layers that a container reads, when containerd mounts" {
	count_accesses
	counts_what_is_read client
}

@test "reads are counted in the two layers that a container reads, when the agent mounts" {
	count_accesses
	counts_what_is_read agent
}

@test "containerd takes the difference that a container makes, and commits it" {
	count_accesses
	local id shown
	unpack
	run_container c1 -- /bin/sh -c 'echo new > /data/new && echo other > /one'
	snapshots diff c1 > "$BATS_TEST_TMPDIR/diff.tar"
	run tar tf "$BATS_TEST_TMPDIR/diff.tar"
	assert_output_has data/new
	assert_output_has one
	[[ $output != *three* && $output != *busybox* ]]
	snapshots commit committed c1
	id=$(varve ls --json | jq -r 'select(.snapshot.key | endswith("/committed")) | .id')
	[[ -n $id ]]
	shown=$(retry 5 view committed)
	[[ $(cat "$shown/data/new" "$shown/one" "$shown/data/three") == $'new\nother\nthree' ]]
	run varve inspect "$id" --json
	assert_json '.size > 0'
	run varve fsck
	assert_status 0
}

reads_of_workloads() {
	varve stats --json | jq -c '[.id, .opens, .reads, .readBytes, .lastAccessAt]' | sort
}

@test "what containerd reads to take a difference is upkeep" {
	count_accesses
	local before id
	unpack
	run_container c1 -- /bin/sh -c 'echo new > /data/new'
	id=$(varve ls --json | jq -r 'select(.snapshot.key | endswith("/c1")) | .id')
	before=$(reads_of_workloads)
	snapshots diff c1 > /dev/null
	# Meanwhile there may be a view for the comparison.
	[[ -z $(comm -23 <(echo "$before") <(reads_of_workloads)) ]]
	run varve stats "$id" --json
	assert_json '.upkeep.readBytes >= 4'
}

@test "containerd's snapshots are records that only containerd can remove" {
	local key
	unpack
	run_container c1 -d -- /bin/sleep 1000
	run varve ls --json
	assert_json_lines 'map(.snapshot.kind) | sort == ["active", "committed", "committed", "committed"]'
	assert_json_lines 'all(.inUse and (.description == .snapshot.key))'
	run varve lease ls --json
	assert_json_lines 'any(.name | startswith("containerd/varve-"))'
	run varve lease rm "containerd/$CONTAINERD_NAMESPACE"
	assert_status 5
	assert_output_has "is containerd's"
	run varve rm "${layer[3]}"
	assert_status 5
	assert_output_has "containerd removes it"
	run varve prune -a
	assert_status 0
	run varve ls -q
	((${#lines[@]} == 4))

	run snapshots usage
	assert_status 0
	((${#lines[@]} == 5))
	run snapshots tree
	assert_status 0
	run snapshots info c1
	assert_status 0
	assert_json '.Kind == "Active" and .Name == "c1"'
	key=$(jq -r .Parent <<< "$output")
	run snapshots info "$key"
	assert_json '.Kind == "Committed"'
	# containerd passes only labels with certain prefixes on to the snapshotter.
	snapshots label "$key" containerd.io/snapshot/example=yes other=no > /dev/null
	run varve inspect "${layer[3]}" --json
	assert_json '.labels == {"containerd.io/snapshot/example": "yes"}'
	run varve label "${layer[3]}" mine=yes
	assert_status 5
	assert_output_has "its labels are containerd's"

	end_container c1
	ctr images rm --sync "$image" > /dev/null
	retry 50 has_records 0
	retry 50 has_no_layers
	run varve lease ls --json
	assert_json_lines 'map(.name) == ["cli"]'
	run varve fsck
	assert_status 0
}

counts_while_it_is_away() { # client|agent
	local before n
	unpack "$1"
	run_container c1 -d -- /bin/sleep 1000
	before=$(opens "${layer[2]}")
	stop_agent
	for n in 1 2 3; do
		exec_in c1 /bin/cat /data/two > /dev/null
	done
	exec_in c1 /bin/sh -c 'echo new > /data/new'
	run snapshots info c1
	[[ $status -ne 0 ]]
	start_agent
	(($(opens "${layer[2]}") == before + 3))
	exec_in c1 /bin/cat /data/two > /dev/null
	(($(opens "${layer[2]}") == before + 4))
	# containerd connects again by itself.
	retry 100 snapshots info c1
	# Its status: ctr may end before it has passed on what a short program says.
	# shellcheck disable=SC2016 # the container's shell expands it
	exec_in c1 /bin/sh -c 'read -r line < /data/new; test "$line" = new'
	end_container c1
}

@test "a container that containerd mounted runs on while the agent is stopped, and its reads are counted" {
	count_accesses
	counts_while_it_is_away client
}

@test "a container that the agent mounted runs on while the agent is stopped, and its reads are counted" {
	count_accesses
	counts_while_it_is_away agent
}

@test "a container survives restarts and kills of containerd and the agent" {
	unpack
	run_container c1 -d -- /bin/sleep 1000
	stop_containerd
	start_containerd
	run ctr tasks ls
	assert_output_has RUNNING
	exec_in c1 /bin/cat /data/two

	stop_containerd KILL
	kill_agent
	start_agent
	start_containerd
	run ctr tasks ls
	assert_output_has RUNNING
	exec_in c1 /bin/sh -c 'echo after > /one'
	# shellcheck disable=SC2016 # the container's shell expands it
	exec_in c1 /bin/sh -c 'read -r line < /one; test "$line" = after'
	run varve fsck
	assert_status 0
	run run_container c2 --rm -- /bin/cat /one
	[[ $output == one ]]
	end_container c1
	ctr images rm --sync "$image" > /dev/null
	retry 50 has_records 0
}

@test "the agent mounts a snapshot again when containerd starts its container" {
	local id
	unpack agent
	run_container c1 -- /bin/sh -c 'echo kept > /kept'
	id=$(varve ls --json | jq -r 'select(.snapshot.kind == "active") | .id')
	umount "$agent_root/mnt/$id"
	ctr tasks start -d c1 3>&-
	retry 100 has_stopped c1 # until then the container may be writing the file again
	[[ $(cat "$agent_root/mnt/$id/kept") == kept ]]
	ctr tasks rm c1 > /dev/null
	stop_agent
	umount "$agent_root/mnt/$id"
	start_agent
	retry 100 ctr tasks start -d c1 3>&-
	retry 100 has_stopped c1
	[[ $(cat "$agent_root/mnt/$id/kept") == kept ]]
	ctr tasks rm c1 > /dev/null
	ctr containers rm c1
}

@test "a stopped container that containerd mounted is started again" {
	unpack
	run_container c1 -- /bin/sh -c 'cat /kept 2> /dev/null; echo kept >> /kept'
	stop_agent
	start_agent
	retry 100 ctr tasks start -d c1 3>&-
	retry 100 has_stopped c1
	ctr tasks rm c1 > /dev/null
	run ctr tasks start c1 3>&-
	[[ $output == $'kept\nkept' ]]
	ctr tasks rm c1 > /dev/null || true # it may be gone already
	ctr containers rm c1
}
