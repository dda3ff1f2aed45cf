#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# The directory of the store: its owners, and the modes of the files that the agent makes in it.

load ../lib/helpers

# refused_root ROOT TEXT…: varved refuses to start there, and to tear down, with each text; it creates nothing.
refused_root() {
	local root=$1 text before
	shift
	before=$(find "$BATS_TEST_TMPDIR")
	for option in --verbose --teardown; do
		run -6 timeout 20 "$VARVE_BUILD/varved" --root "$root" --socket "$agent_socket" "$option"
		for text; do
			assert_output_has "$text"
		done
		[[ ${#lines[@]} == 1 && ! -e $agent_socket ]]
	done
	[[ $(find "$BATS_TEST_TMPDIR") == "$before" ]]
}

@test "the agent refuses a root that another user owns or can write to" {
	chmod 755 "$BATS_TEST_TMPDIR"
	dir=$BATS_TEST_TMPDIR/dir
	mkdir -p "$dir/store"
	chown nobody "$dir/store"
	refused_root "$dir/store" "uid $(id -u nobody) owns $dir/store" "only root can change"
	chown root "$dir/store"
	chmod 1777 "$dir/store"
	refused_root "$dir/store" "other users can write to $dir/store (mode 1777)" "chmod go-w"
	chmod 0755 "$dir/store"
	chown nobody "$dir"
	refused_root "$dir/store" "owns $dir and"
	refused_root "$dir/new/deep" "owns $dir and"
	chown root:games "$dir"
	chmod 0775 "$dir"
	refused_root "$dir/new" "other users can write to $dir (mode 0775)"
}

@test "the agent follows a link to the store only when root owns the link and its target" {
	real=$BATS_TEST_TMPDIR/real
	mkdir -p "$real/store"
	ln -s "$real" "$BATS_TEST_TMPDIR/link"
	chmod 777 "$real"
	refused_root "$BATS_TEST_TMPDIR/link/store" "other users can write to"
	chmod 755 "$real"
	chown -h nobody "$BATS_TEST_TMPDIR/link"
	refused_root "$BATS_TEST_TMPDIR/link/store" "owns $BATS_TEST_TMPDIR/link"
	chown -h root "$BATS_TEST_TMPDIR/link"
	agent_root=$BATS_TEST_TMPDIR/link/store
	start_agent
	varve info
}

@test "the agent accepts a root in a sticky directory such as /tmp unless another user made it" {
	mkdir -m 1777 "$BATS_TEST_TMPDIR/tmp"
	agent_root=$BATS_TEST_TMPDIR/tmp/store
	mkdir "$agent_root"
	chown nobody "$agent_root"
	refused_root "$agent_root" "owns $agent_root"
	rmdir "$agent_root"
	start_agent
	varve info
}

@test "--teardown of a root without a store creates nothing" {
	for root in "$BATS_TEST_TMPDIR/mistyped" "$BATS_TEST_TMPDIR"; do
		run -1 "$VARVE_BUILD/varved" --root "$root" --socket "$agent_socket" --teardown
		assert_output_has "no store at $root"
		[[ ${#lines[@]} == 1 && ! -e $root/varve.db ]]
	done
	[[ ! -e $BATS_TEST_TMPDIR/mistyped ]]
}

@test "the modes of the store, of mounts and of exports do not depend on the umask" {
	for mask in 0000 0022 0077; do
		umask "$mask"
		agent_root=$BATS_TEST_TMPDIR/store$mask
		start_agent
		id=$(varve new --retain)
		[[ $(stat -c %a "$(varve mount "$id")") == 755 ]]
		(umask 022 && echo x > "$agent_root/mnt/$id/file")
		id=$(varve commit "$id")
		varve export "$id" "oci:$BATS_TEST_TMPDIR/layout$mask"
		varve export "$id" "tar:$BATS_TEST_TMPDIR/tar$mask"
		[[ -z $(find "$agent_root" -maxdepth 1 -type f -perm /077) ]]
		[[ -z $(find "$BATS_TEST_TMPDIR/layout$mask" -type f ! -perm 644) ]]
		[[ -z $(find "$BATS_TEST_TMPDIR/layout$mask" -type d ! -perm 755) ]]
		[[ $(stat -c %a "$BATS_TEST_TMPDIR/tar$mask") == 644 ]]
		stop_agent
		"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown
		find "$agent_root" -maxdepth 1 -printf '%P %m\n' | sort > "$BATS_TEST_TMPDIR/modes$mask"
	done
	cmp "$BATS_TEST_TMPDIR/modes0000" "$BATS_TEST_TMPDIR/modes0022"
	cmp "$BATS_TEST_TMPDIR/modes0022" "$BATS_TEST_TMPDIR/modes0077"
}

@test "while the store is opened, info says so, and other calls wait" {
	local waiting
	mkdir -p "$agent_root"
	# The agent waits some seconds for a database that is locked.
	coproc holder { python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()' "$agent_root/varve.db" 3>&-; }
	read -r -u "${holder[0]}"
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" \
		"${agent_backend[@]}" >> "$agent_log" 2>&1 3>&- &
	agent_pid=$!
	retry 100 test -S "$agent_socket"
	run varve info --json
	[[ $(jq -r .state <<< "$output") == starting && $(jq .records <<< "$output") == 0 ]]
	varve new > "$BATS_TEST_TMPDIR/new" 3>&- &
	waiting=$!
	run -0 varve info
	assert_output_has "starting"
	[[ ! -s $BATS_TEST_TMPDIR/new ]]
	echo >&"${holder[1]}"
	wait "$waiting"
	run -0 varve info --json
	[[ $(jq -r .state <<< "$output") == ready && $(jq .records <<< "$output") == 1 ]]
	stop_agent
}

@test "B12 a copy of a store works: a record is mounted there with what it has, and can be written and committed" {
	start_agent
	base=$(varve new --retain)
	printf one > "$(varve mount "$base")/h1"
	ln "$(varve mount "$base")/h1" "$(varve mount "$base")/h2"
	base=$(varve commit "$base")
	top=$(varve new --retain --parent "$base")
	printf two > "$(varve mount "$top")/h1"
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --backend none --teardown
	cp -a "$agent_root" "$BATS_TEST_TMPDIR/copy"
	agent_root=$BATS_TEST_TMPDIR/copy
	start_agent
	at=$(varve mount "$top")
	[[ $at == "$agent_root"/* && $(< "$at/h1") == two && $(< "$at/h2") == one ]]
	printf three > "$at/h2"
	top=$(varve commit "$top")
	at=$(varve mount "$(varve new --parent "$top")")
	[[ $(< "$at/h1") == two && $(< "$at/h2") == three ]]
	varve fsck
}
