#!/usr/bin/env bats
# requires root overlay bpf jq mkfs.ext4
# SPDX-License-Identifier: Apache-2.0
#
# A layer is counted in whatever overlay it is, whoever has made it, and a directory that is not the
# layer's never is.

load ../lib/helpers

setup() {
	agent_setup
	work=$BATS_TEST_TMPDIR
	mkdir "$work"/{at,top,empty}
}

teardown() {
	local point
	for point in at top; do
		while mountpoint -q "$work/$point"; do
			umount "$work/$point"
		done
	done
	agent_teardown
}

counts() { # ID: opens and bytes read
	varve stats "$1" --json | jq -r '"\(.opens) \(.readBytes)"'
}

uses() { # ID
	varve stats > /dev/null # folds
	varve inspect "$1" --json | jq .usageCount
}

layer_of() { # ID
	echo "$agent_root/layers/$(varve inspect "$1" --json | jq -r .layer)/fs"
}

# layer FILE TEXT [OPTION…]: a finalized record with one file; prints its id.
layer() {
	local file=$1 text=$2 id
	shift 2
	id=$(varve new --retain "$@")
	printf %s "$text" > "$(varve mount "$id")/$file"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve umount "$id" 2> /dev/null || true
	echo "$id"
}

# base with a file a of 4 bytes, and middle on top of it with a file b of 6, both counted from here on.
two_layers() {
	base=$(layer a aaaa)
	middle=$(layer b bbbbbb --parent "$base")
	read -r base_opens base_bytes <<< "$(counts "$base")"
	read -r middle_opens middle_bytes <<< "$(counts "$middle")"
}

# assert_read OPENS BYTES of base, then OPENS BYTES of middle.
assert_read() {
	local found wanted
	found="$(counts "$base") $(counts "$middle")"
	wanted="$((base_opens + $1)) $((base_bytes + $2)) $((middle_opens + $3)) $((middle_bytes + $4))"
	[[ $found == "$wanted" ]] || {
		echo "counted $found instead of $wanted"
		return 1
	}
	[[ $(varve info --json | jq .lost) == 0 ]]
}

# overlay POINT LOWERS [OPTIONS]
overlay() {
	mount -t overlay overlay -o "lowerdir=$2${3:+,$3}" "$1"
}

@test "a mount(8) of our layers is counted, one access once" {
	start_agent
	two_layers
	overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
	cat "$work/at/a" "$work/at/a" "$work/at/b" > /dev/null
	assert_read 2 8 1 6
}

@test "a mount in a private mount namespace is counted" {
	start_agent
	two_layers
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t overlay overlay -o "lowerdir=$1:$2" "$3" && cat "$3/a" "$3/b"' \
		sh "$(layer_of "$middle")" "$(layer_of "$base")" "$work/at"
	assert_read 1 4 1 6
	run ! mountpoint -q "$work/at"
}

@test "a clone of the mount in another namespace is counted, also after the first one is gone" {
	start_agent
	two_layers
	overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
	mkfifo "$work/go" "$work/entered"
	# shellcheck disable=SC2016
	unshare -m sh -c 'cd "$1" && echo > "$2" && cat "$3" > /dev/null && cat a b > /dev/null' \
		sh "$work/at" "$work/entered" "$work/go" 3>&- &
	read -r _ < "$work/entered"
	umount "$work/at"
	echo > "$work/go"
	wait $!
	assert_read 1 4 1 6
}

@test "one of our layers among those of a stranger is counted, at the top, in the middle and below" {
	start_agent
	two_layers
	mkdir "$work"/{one,two}
	echo other > "$work/one/other"
	echo other > "$work/two/other2"
	layer=$(layer_of "$base")
	for lowers in "$layer:$work/one:$work/two" "$work/one:$layer:$work/two" "$work/one:$work/two:$layer"; do
		overlay "$work/at" "$lowers"
		cat "$work/at/a" "$work/at/other" "$work/at/other2" > /dev/null
		umount "$work/at"
	done
	assert_read 3 12 0 0
}

@test "a layer that is the upper of a stranger's overlay is counted, with what is written" {
	start_agent
	two_layers
	upper=$(varve new --retain)
	varve umount "$upper"
	read -r writes bytes <<< "$(varve stats "$upper" --json | jq -r '"\(.writes) \(.writtenBytes)"')"
	overlay "$work/at" "$(layer_of "$base")" \
		"upperdir=$(layer_of "$upper"),workdir=$(layer_of "$upper")/../work"
	printf 12345 > "$work/at/new"
	cat "$work/at/new" "$work/at/a" > /dev/null
	assert_read 1 4 0 0
	run varve stats "$upper" --json
	assert_json ".writes == $writes + 1 and .writtenBytes == $bytes + 5 and .readBytes == 5"
	printf x >> "$work/at/a"
	[[ $(varve stats "$base" --json | jq .copyUps) == 1 ]]
	[[ $(varve inspect "$upper" --json | jq .sizeBytes) != 0 ]]
}

@test "an overlay on top of an overlay is counted in the layer that has the file" {
	start_agent
	two_layers
	overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
	overlay "$work/top" "$work/at:$work/empty"
	cat "$work/top/a" "$work/top/b" > /dev/null
	assert_read 1 4 1 6
	umount "$work/top"
	umount "$work/at"

	# The same on top of a mount of the agent's own.
	dir=$(varve mount "$middle" --read-only)
	overlay "$work/top" "$dir:$work/empty"
	cat "$work/top/a" "$work/top/b" > /dev/null
	umount "$work/top"
	assert_read 2 8 2 12
}

@test "a stranger's mount and the agent's own of one layer: each access is counted once" {
	start_agent
	two_layers
	dir=$(varve mount "$middle" --read-only)
	overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
	cat "$work/at/a" "$dir/a" "$dir/b" > /dev/null
	assert_read 2 8 1 6
	run varve stats "$middle" --mounts --json
	assert_json_lines 'map(select(.layer == 2))[0] | .opens == 1 and .readBytes == 4'
}

@test "files are told apart in a stranger's mount" {
	start_agent
	two_layers
	overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
	cat "$work/at/a" "$work/at/a" > /dev/null
	run varve files "$base" --json
	assert_json_lines 'map(select(.path == "a"))[0] | .opens == 2 and .readBytes == 8'
}

@test "each mount is a use of the layers that are read through it, and only once" {
	start_agent
	two_layers
	base_uses=$(uses "$base") middle_uses=$(uses "$middle")
	for ((i = 0; i < 10; i++)); do
		overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
		cat "$work/at/a" "$work/at/a" > /dev/null
		umount "$work/at"
	done
	[[ $(uses "$base") == $((base_uses + 10)) ]]
	[[ $(uses "$middle") == "$middle_uses" ]]
}

@test "what is mounted while the agent is down, and after its restart, is counted" {
	start_agent
	two_layers
	lowers=$(layer_of "$middle"):$(layer_of "$base")
	kill_agent
	overlay "$work/at" "$lowers"
	cat "$work/at/a" > /dev/null
	start_agent
	assert_read 1 4 0 0
	cat "$work/at/a" "$work/at/b" > /dev/null
	assert_read 2 8 1 6
	umount "$work/at"
	overlay "$work/at" "$(layer_of "$middle"):$(layer_of "$base")"
	cat "$work/at/b" > /dev/null
	assert_read 2 8 2 12
	stop_agent
	cat "$work/at/b" > /dev/null
	start_agent
	assert_read 2 8 3 18
}

@test "a directory in the place of a layer's is not credited with what was the layer's, nor the reverse" {
	start_agent
	two_layers
	layer=$(layer_of "$base")
	mv "$layer" "$work/away"
	mkdir "$layer"
	printf new > "$layer/a"
	printf more > "$layer/c"
	for lower in "$work/away" "$layer"; do
		overlay "$work/at" "$lower:$work/empty"
		cat "$work/at/a" > /dev/null
		umount "$work/at"
	done
	# The former directory is a stranger's. The present one is the layer's from when the agent sees it, which it
	# also does by itself.
	assert_read 0 0 0 0 || assert_read 1 3 0 0
	read -r base_opens base_bytes <<< "$(counts "$base")"
	overlay "$work/at" "$work/away:$work/empty"
	cat "$work/at/a" > /dev/null
	umount "$work/at"
	assert_read 0 0 0 0
	overlay "$work/at" "$layer:$work/empty"
	cat "$work/at/c" > /dev/null
	assert_read 1 4 0 0
}

@test "a directory that gets the inode number of a layer which is gone is a stranger's" {
	local again=0 i
	# A file system of its own, which uses the lowest free number again at once.
	truncate -s 64M "$work/image"
	mkfs.ext4 -q -O ^metadata_csum "$work/image"
	mkdir "$work/disk"
	mount -o loop "$work/image" "$work/disk"
	agent_root=$work/disk/store
	start_agent
	for ((i = 0; i < 10 && again < 3; i++)); do
		id=$(layer f text)
		layer=$(layer_of "$id")
		number=$(stat -c %i "$layer")
		varve release "$id"
		varve rm "$id"
		retry 50 is_empty "$agent_root/trash"
		stranger=$(directory_numbered "$number") || continue
		again=$((again + 1))
		before=$(all_opens)
		echo stranger > "$stranger/f"
		overlay "$work/at" "$stranger:$work/empty"
		cat "$work/at/f" > /dev/null
		umount "$work/at"
		[[ $(all_opens) == "$before" ]]
	done
	((again > 0))
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	agent_root=$work/store
	umount "$work/disk"
}

# directory_numbered NUMBER: a new directory beside the store that has this inode number.
directory_numbered() {
	local n top=$work/disk/strangers/$BATS_TEST_NUMBER.$RANDOM
	for ((n = 0; n < 200; n++)); do
		mkdir -p "$top/$n"
		[[ $(stat -c %i "$top/$n") != "$1" ]] || {
			echo "$top/$n"
			return 0
		}
	done
	return 1
}

all_opens() {
	varve stats --json | jq -s 'map(.opens) | add'
}

is_empty() {
	[[ -z $(ls -A "$1") ]]
}

@test "the pins of an older layout are removed, and counting goes on" {
	start_agent
	two_layers
	dir=$(varve mount "$middle" --read-only)
	cat "$dir/a" > /dev/null
	assert_read 1 4 0 0
	kill_agent
	mv "$agent_pins" "${agent_pins%/*}/v1"
	start_agent
	[[ ! -e ${agent_pins%/*}/v1 ]]
	cat "$dir/a" "$dir/a" "$dir/b" > /dev/null
	assert_read 3 12 1 6
}

@test "reads by the client that fills a layer are not uses of what it commits" {
	start_agent
	base=$(layer a aaaa)
	id=$(varve new --retain --parent "$base")
	dir=$(varve mount "$id")
	printf text > "$dir/f"
	cat "$dir/f" "$dir/a" > /dev/null
	[[ $(uses "$id") == 1 ]]
	id=$(varve commit "$id")
	varve finalize "$id"
	run varve inspect "$id" --json
	assert_json '.usageCount == 0 and .access.lastReadAt == null and .access.opens == 2'
	[[ $(uses "$base") == 1 ]]

	overlay "$work/at" "$(layer_of "$id"):$(layer_of "$base")"
	cat "$work/at/f" > /dev/null
	[[ $(uses "$id") == 1 ]]
}

@test "an open for writing, a create and a write do not move the last read, and a write has its own time" {
	start_agent
	id=$(varve new --retain)
	dir=$(varve mount "$id")
	printf text > "$dir/f"
	: >> "$dir/f"
	run varve inspect "$id" --json
	assert_json '.access.lastReadAt == null and .access.lastWrittenAt != null and .usageCount == 0'
	written=$(varve inspect "$id" --json | jq -r .access.lastWrittenAt)
	cat "$dir/f" > /dev/null
	run varve inspect "$id" --json
	assert_json ".access.lastReadAt > .access.lastWrittenAt and .access.lastWrittenAt == \"$written\" and .usageCount == 1"
}
