#!/usr/bin/env bats
# requires root overlay jq mkfs.ext4 strace
# SPDX-License-Identifier: Apache-2.0
#
# Start, end, crash and recovery of the agent: PARITY rows B80 to B83.

load ../lib/helpers

@test "B80 records, refs and mounts survive a restart" {
	start_agent
	parent=$(varve commit "$(varve new --retain)")
	child=$(varve new --parent "$parent" --description child)
	dir=$(varve mount "$child")
	echo data > "$dir/f"
	stop_agent
	[[ $(< "$dir/f") == data ]]
	start_agent
	run varve inspect "$child" --json
	assert_json ".parents == [\"$parent\"] and .inUse and .mountpoint == \"$dir\""
	varve umount "$child"
	run ! mountpoint -q "$dir"
}

@test "B80 at start the agent hides a record whose layer is missing, with its children, and logs it" {
	start_agent
	parent=$(varve commit "$(varve new --retain)")
	child=$(varve commit "$(varve new --parent "$parent" --retain)")
	other=$(varve commit "$(varve new --retain)")
	layer=$(varve inspect "$parent" --json | jq -r .layer)
	stop_agent
	rm -rf "$agent_root/layers/$layer"
	start_agent
	[[ $(varve ls -q | grep -cE "$parent|$child") == 0 ]]
	varve inspect "$other"
	grep -q "record=$parent has lost its data" "$agent_log"
}

@test "B81 at start the agent drops an immutable twin whose mutable half is lost" {
	start_agent
	id=$(varve new --retain)
	twin=$(varve commit "$id")
	stop_agent
	sqlite3 "$agent_root/varve.db" "DELETE FROM records WHERE id = '$id'"
	start_agent
	run -4 varve inspect "$twin"
}

@test "B82 a second agent on the same store is refused while the first lives" {
	start_agent
	run -5 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket_dir/other"
	[[ $output == *"in use by another varved"* ]]
	varve info
	kill_agent
	start_agent
}

@test "B83 at start the agent discards records that were being created when it was killed" {
	start_agent
	varve new > /dev/null
	stop_agent
	sqlite3 "$agent_root/varve.db" "INSERT INTO layers(name) VALUES('zzz');
		INSERT INTO records(id, layer, mutable, state, retain, description, type, created)
		VALUES('aaaaaaaaaaaaaaaaaaaaaaaaa', 'zzz', 1, 0, 1, 'half', 'regular', 1)"
	mkdir -p "$agent_root/layers/zzz/fs" "$agent_root/layers/yyy/fs"
	start_agent
	[[ $(varve ls -q | wc -l) == 1 && ! -e $agent_root/layers/zzz && ! -e $agent_root/layers/yyy ]]
	grep -q "was never finished" "$agent_log"
	before=$(varve ls --json)
	stop_agent
	: > "$agent_log"
	start_agent
	[[ $(varve ls --json) == "$before" ]]
	run ! grep -qE "discarded|dropped" "$agent_log"
}

@test "B83 a failed new leaves nothing behind" {
	start_agent
	before=$(varve info --json | jq '[.records, .layers, .mounts]')
	run -4 varve new --parent nosuchparent
	run -4 varve new --lease nosuchlease
	run -1 varve new --type wrong
	[[ $(varve info --json | jq '[.records, .layers, .mounts]') == "$before" ]]
	[[ -z $(ls "$agent_root/layers") && -z $(ls "$agent_root/mnt") ]]
}

@test "B83 new on a full disk fails with a sentence and leaves nothing behind" {
	mkdir -p "$agent_root"
	mount -t tmpfs -o mode=0755,size=8m,nr_inodes=200 small "$agent_root"
	start_agent
	id=$(varve new --retain)
	dir=$(varve mount "$id")
	head -c 100M /dev/zero > "$dir/fill" || true
	while touch "$dir/f$((files++))" 2> /dev/null; do
		:
	done
	before=$(varve ls -q)
	run -1 --separate-stderr varve new --description x
	[[ $stderr == "varve: "*"No space left"* && $(wc -l <<< "$stderr") == 1 ]]
	[[ $(varve ls -q) == "$before" && $(count_layers) -eq 1 ]]
	rm "$dir"/f*
	varve new
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	umount "$agent_root"
}

@test "new says that no space is left, however few inodes are missing" {
	mkdir -p "$agent_root"
	mount -t tmpfs -o mode=0755,size=8m,nr_inodes=200 small "$agent_root"
	start_agent
	for ((missing = 0; missing < 10; missing++)); do
		rm -rf "$agent_root/fill"
		mkdir "$agent_root/fill"
		while touch "$agent_root/fill/$((files++))" 2> /dev/null; do
			:
		done
		find "$agent_root/fill" -type f | head -n "$missing" | xargs -r rm
		run --separate-stderr varve new
		((status != 0)) || break
		[[ ${stderr,,} == *"no space left"* ]] || {
			echo "with $missing inodes left: $stderr"
			return 1
		}
	done
	((missing > 2 && missing < 10))
	rm -rf "$agent_root/fill"
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	umount "$agent_root"
}

@test "the agent can start and evict on a full disk" {
	truncate -s 64M "$BATS_TEST_TMPDIR/disk"
	mkfs.ext4 -q -m 0 "$BATS_TEST_TMPDIR/disk"
	mkdir "$agent_root"
	mount -o loop "$BATS_TEST_TMPDIR/disk" "$agent_root"
	fill() { # NAME: fills the disk to the last block
		head -c 64M /dev/zero > "$agent_root/fill$1" 2> /dev/null || true
		while mkdir "$agent_root/fill$1.$((folders++))" 2> /dev/null; do
			:
		done
	}
	start_agent
	for name in a b c d; do
		result "$name"
	done
	fill 1
	run -1 --separate-stderr varve new
	[[ $stderr == *"No space left"* ]]
	[[ $(varve prune -q --keep-storage 3500K | wc -l) -eq 1 ]]
	fill 2
	stop_agent
	start_agent
	[[ $(varve prune -q --keep-storage 2500K | wc -l) -eq 1 ]]
	fill 3
	kill_agent
	start_agent
	varve fsck
	[[ $(varve prune -q | wc -l) -eq 2 && $(varve ls -q) == "" ]]
	varve new
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	umount "$agent_root"
}

@test "an agent whose event loop cannot run says so, and exits with a failure" {
	run timeout 100 strace -f -qq -o /dev/null -e inject=timerfd_settime:error=EINVAL \
		"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" \
		"${agent_backend[@]}" 3>&-
	assert_status 1
	assert_output_has "event loop: Invalid argument"
	assert_output_has "error the event loop cannot run"
}

@test "at start the agent unmounts foreign mounts below mnt/" {
	start_agent
	stop_agent
	mkdir "$agent_root/mnt/stranger"
	mount -t tmpfs none "$agent_root/mnt/stranger"
	start_agent
	run ! mountpoint -q "$agent_root/mnt/stranger"
}

@test "mounts and counting go on after SIGTERM has ended the agent" {
	count_accesses
	start_agent
	id=$(varve new --retain)
	dir=$(varve mount "$id")
	echo data > "$dir/f"
	stop_agent
	cat "$dir/f" "$dir/f" > /dev/null
	start_agent
	run varve stats "$id" --json
	assert_json '.reads >= 2 and .readBytes == 10'
}
