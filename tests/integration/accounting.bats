#!/usr/bin/env bats
# requires root overlay bpf jq perl python3
# SPDX-License-Identifier: Apache-2.0
#
# Every access is counted once, in the layer that served it.

load ../lib/helpers

counts() { # ID: prints opens and bytes read
	varve stats "$1" --json | jq -r '"\(.opens) \(.readBytes)"'
}

# Makes a record base with file a, a record middle with file b on it, and a mounted workspace on top; sets
# base, middle, work and dir.
chain() {
	base=$(varve new --retain)
	printf aaaa > "$(varve mount "$base")/a"
	mkdir "$(varve mount "$base")/sub"
	printf cc > "$(varve mount "$base")/sub/c"
	cp "$VARVE_BUILD/tests/tools/access" "$(varve mount "$base")/access" 2> /dev/null || true
	base=$(varve commit "$base")
	middle=$(varve new --parent "$base" --retain)
	printf bbbbbb > "$(varve mount "$middle")/b"
	middle=$(varve commit "$middle")
	work=$(varve new --parent "$middle" --retain)
	dir=$(varve mount "$work")
	read -r base_opens base_bytes <<< "$(counts "$base")"
	read -r middle_opens middle_bytes <<< "$(counts "$middle")"
}

# assert_read OPENS BYTES OPENS BYTES: since chain() that many were counted for base, and for middle.
assert_read() {
	local found
	found="$(counts "$base") $(counts "$middle")"
	local wanted="$((base_opens + $1)) $((base_bytes + $2)) $((middle_opens + $3)) $((middle_bytes + $4))"
	[[ $found == "$wanted" ]] || {
		echo "counted $found instead of $wanted"
		return 1
	}
}

@test "a read is counted in the layer that has the file" {
	start_agent
	chain
	cat "$dir/a" "$dir/a" "$dir/b" > /dev/null
	assert_read 2 8 1 6
	ls -lR "$dir" > /dev/null
	assert_read 2 8 1 6
}

@test "reads of files on other file systems are not counted" {
	start_agent
	chain
	cat "$agent_root/layers/"*/fs/a "$agent_log" > /dev/null
	assert_read 0 0 0 0
}

@test "reads through a chroot, a bind mount and another mount namespace are counted" {
	start_agent
	chain
	mkdir "$BATS_TEST_TMPDIR/bind"
	mount --bind "$dir/sub" "$BATS_TEST_TMPDIR/bind"
	cat "$BATS_TEST_TMPDIR/bind/c" > /dev/null
	umount "$BATS_TEST_TMPDIR/bind"
	assert_read 1 2 0 0
	unshare -m cat "$dir/a" > /dev/null
	assert_read 2 6 0 0
	perl -e 'chroot $ARGV[0] or die; open(F, "<", "/b") or die; sysread(F, $x, 100); close F' "$dir"
	assert_read 2 6 1 6
}

@test "reads by a container whose root is a mount are counted" {
	start_agent
	chain
	cp /bin/busybox "$dir/"
	mkdir "$BATS_TEST_TMPDIR/bundle"
	(cd "$BATS_TEST_TMPDIR/bundle" && runc spec)
	jq --arg root "$dir" '.process.terminal = false | .root = { path: $root } |
		.process.args = ["/busybox", "cat", "/a", "/b", "/sub/c"]' \
		"$BATS_TEST_TMPDIR/bundle/config.json" > "$BATS_TEST_TMPDIR/config.json"
	mv "$BATS_TEST_TMPDIR/config.json" "$BATS_TEST_TMPDIR/bundle/"
	[[ $(runc --root "$BATS_TEST_TMPDIR/runc" run --bundle "$BATS_TEST_TMPDIR/bundle" \
		"varve-test-$BASHPID") == aaaabbbbbbcc ]]
	assert_read 2 6 1 6
}

@test "reads while the agent is dead are counted, each of them once" {
	start_agent
	chain
	cat "$dir/a" > /dev/null
	kill_agent
	cat "$dir/a" "$dir/b" > /dev/null
	start_agent
	assert_read 2 8 1 6
	kill_agent
	start_agent
	assert_read 2 8 1 6
	cat "$dir/b" > /dev/null
	assert_read 2 8 2 12
	grep -q "record=$work mount adopted" "$agent_log"
}

@test "the agent folds the counters of a mount that was unmounted while the agent was dead" {
	start_agent
	chain
	kill_agent
	cat "$dir/a" > /dev/null
	umount "$dir"
	start_agent
	assert_read 1 4 0 0
	run varve inspect "$work" --json
	assert_json '.mountpoint == null'
}

@test "reads are counted for the right record when mounts of two records reuse device numbers" {
	start_agent
	ids=()
	for name in one two; do
		id=$(varve new --retain)
		printf '%s' "$name" > "$(varve mount "$id")/f"
		id=$(varve commit "$id")
		varve finalize "$id"
		ids+=("$id")
	done
	for id in "${ids[@]}"; do
		opens+=("$(varve stats "$id" --json | jq .opens)")
	done
	for ((i = 0; i < 100; i++)); do
		for n in 0 1; do
			d=$(varve mount "${ids[n]}" --read-only)
			devices+=("$(stat -c %d "$d")")
			mounts+=("$(varve stats "${ids[n]}" --mounts --json | jq -s '.[0].mount')")
			[[ $n == 0 ]] && cat "$d/f" > /dev/null || cat "$d/f" "$d/f" > /dev/null
			varve umount "${ids[n]}"
		done
	done
	[[ $(printf '%s\n' "${devices[@]}" | sort -u | wc -l) -lt 100 ]]
	[[ $(printf '%s\n' "${mounts[@]}" | sort -u | wc -l) -eq 200 ]]
	[[ $(varve stats "${ids[0]}" --json | jq .opens) == $((opens[0] + 100)) ]]
	[[ $(varve stats "${ids[1]}" --json | jq .opens) == $((opens[1] + 200)) ]]
}

@test "cat of the pinned iterator prints the usage table without the agent" {
	start_agent
	chain
	[[ -e $agent_pins/usage ]] || skip "this kernel refuses BPF iterators"
	mount=$(varve stats "$work" --mounts --json | jq -s '.[0].mount')
	kill_agent
	cat "$dir/b" "$dir/b" > /dev/null
	run cat "$agent_pins/usage"
	[[ ${lines[0]} == "mount layer opens execs reads read_bytes writes written_bytes "* ]]
	# The middle layer: 2 opens and the bytes of b twice. The number of reads depends on cat.
	grep -Eqx "$mount 1 2 0 [0-9]+ 12 0 0 .*" <<< "$output"
	# The base was not read: it has an empty cell or none.
	run ! grep -E "^$mount 2 [1-9]" <<< "$output"
	start_agent
}

@test "a read is counted from the moment at which the mount is visible" {
	local at_first_sight='
import os, sys
open(sys.argv[2], "w").close()
while True:
	try:
		os.read(os.open(sys.argv[1], os.O_RDONLY), 100)
		break
	except FileNotFoundError:
		pass'
	start_agent
	chain
	varve umount "$work"
	mkfifo "$BATS_TEST_TMPDIR/ready"
	for ((i = 1; i <= 20; i++)); do
		python3 -c "$at_first_sight" "$dir/a" "$BATS_TEST_TMPDIR/ready" 3>&- &
		reader=$!
		: < "$BATS_TEST_TMPDIR/ready"
		varve mount "$work" > /dev/null
		wait "$reader"
		assert_read "$i" $((4 * i)) 0 0
		varve umount "$work"
	done
}

@test "counters that the backend does not have are null in JSON and a dash in tables" {
	start_agent --backend syscall
	chain
	cat "$dir/a" > /dev/null
	run varve stats "$base" --json
	assert_json '.stats == null and .copiedUpBytes == null and .copyUps == 0 and .opens > 0'
	run varve stats "$base" --no-headings -o STATS,COPY-UPS,EXECS
	[[ $output =~ ^\ *[–-]\ +0\ +0$ ]]
}

@test "the mount of a record without a parent is an overlay, writable or read-only, and its reads are counted" {
	start_agent
	id=$(varve new --retain)
	dir=$(varve mount "$id")
	[[ $(stat -f -c %T "$dir") == overlayfs ]]
	printf x > "$dir/f"
	id=$(varve commit "$id")
	before=$(varve stats "$id" --json | jq .opens)
	dir=$(varve mount "$id" --read-only)
	[[ $(stat -f -c %T "$dir") == overlayfs ]]
	cat "$dir/f"
	[[ $(varve stats "$id" --json | jq .opens) == $((before + 1)) ]]
}

@test "varve files lists which files of a layer were read, how often, and which never" {
	start_agent
	chain
	cat "$dir/a" "$dir/a" > /dev/null
	run varve files "$base" --json
	assert_json_lines 'map(select(.path == "a")) | .[0].opens == 2 and .[0].readBytes == 8'
	run varve files "$base" --never-read --json
	assert_json_lines 'map(.path) | index("sub/c") != null and index("a") == null'
	varve umount "$work"
	run varve files "$base" --hot -n 1 --json
	assert_json_lines 'length == 1 and .[0].path == "a" and .[0].opens == 2'
}

@test "with --backend none mounts work, every counter is null, and doctor warns" {
	start_agent --backend none
	id=$(varve new)
	dir=$(varve mount "$id")
	echo data > "$dir/f"
	run varve stats "$id" --json
	assert_json '.opens == null and .readBytes == null and .backend == "none"'
	run varve stats "$id" --no-headings -o OPENS,READS,READ,WRITES
	[[ $output =~ ^\ *[–-]\ +[–-]\ +[–-]\ +[–-]$ ]]
	run -8 varve doctor
	varve umount "$id"
	varve mount "$id"
	varve get --mutable "$id" || true
}

@test "reads are counted when the agent mounts by mount(2)" {
	export VARVE_OVERLAY_METHOD=mount
	start_agent
	[[ $(varve info --json | jq -r .mountMethod) == mount ]]
	chain
	cat "$dir/a" "$dir/b" > /dev/null
	assert_read 1 4 1 6
}

# map_and_touch FILE EVERY: maps the file, and touches the first byte of every EVERY-th page.
map_and_touch() {
	python3 - "$1" "$2" <<- 'EOF'
		import mmap, sys
		with open(sys.argv[1], 'rb') as file:
		    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
		    for at in range(0, len(pages), int(sys.argv[2]) * mmap.PAGESIZE):
		        pages[at]
	EOF
}

@test "faults in a mapped file are counted for its layer and the file, a program's too" {
	local page touched mapped
	start_agent
	chain
	[[ $(varve stats "$base" --json | jq .mappedBytes) == 0 ]] || skip "this kernel shows no faults to the agent"
	page=$(getconf PAGESIZE)
	touched=$((16 * page))
	varve umount "$work"
	work=$(varve new --parent "$middle" --retain)
	dir=$(varve mount "$work")
	head -c $((1024 * page)) /dev/zero > "$dir/data"
	cp /bin/true "$dir/program"
	work=$(varve commit "$work")
	dir=$(varve mount "$work")

	map_and_touch "$dir/data" 64
	mapped=$(varve stats "$work" --json | jq .mappedBytes)
	# A fault maps up to 16 pages around the one that was touched.
	((mapped >= touched && mapped <= 17 * touched))
	run varve files "$work" --json
	assert_json_lines "map(select(.path == \"data\"))[0].mappedBytes == $mapped"
	run varve files "$work"
	assert_output_has MAPPED
	[[ $(varve stats "$base" --json | jq .mappedBytes) == 0 ]]

	"$dir/program"
	run varve files "$work" --json
	assert_json_lines 'map(select(.path == "program"))[0].mappedBytes > 0'
}
