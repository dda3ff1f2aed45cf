#!/usr/bin/env bats
# requires root overlay jq sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# varve fsck on stores that were damaged by hand.

load ../lib/helpers

found() { # [OPTION…]: prints fsck's findings as "kind what repaired" lines, and the numbers of its summary
	varve fsck --json "$@" | jq -r 'if .kind then "\(.kind) \(.what) \(.repaired)" else "\(.found) \(.repaired)" end'
}

# finds LINE…: fsck finds exactly these problems, repairs them with --repair, and then finds none.
finds() {
	local expected
	expected=$(printf '%s false\n' "$@" | sort)
	run -8 varve fsck --json
	[[ $(found | grep -v '^[0-9]' | sort) == "$expected" ]] || {
		echo "found: $output"
		return 1
	}
	[[ $(found --repair | grep -v '^[0-9]' | sort) == "${expected// false/ true}" ]]
	[[ $(found) == "0 0" ]]
}

layer_of() {
	varve inspect "$1" --json | jq -r .layer
}

@test "fsck finds no problem in a sound store" {
	start_agent
	a=$(result a)
	varve mount "$(varve new --parent "$a")" > /dev/null
	run -0 varve fsck
	[[ $output == "2 records checked, 0 problems found, 0 repaired" ]]
	run -0 varve fsck --repair --json
	[[ $output == '{"records":2,"found":0,"repaired":0}' ]]
}

@test "B80 records and refs are back when a lost layers directory is back" {
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	varve get "$b"
	stop_agent
	mv "$agent_root/layers" "$agent_root/elsewhere"
	start_agent
	[[ $(varve ls -q) == "" ]]
	new=$(varve new)
	run -8 varve fsck
	[[ $output == *"lost-record"*"$a"*"has lost its data"*"2 problems found, 0 repaired"* ]]
	stop_agent
	cp -a "$agent_root/layers/." "$agent_root/elsewhere/"
	rm -rf "$agent_root/layers"
	mv "$agent_root/elsewhere" "$agent_root/layers"
	start_agent
	[[ $(varve ls -q | sort) == $(printf '%s\n' "$a" "$b" "$new" | sort) ]]
	[[ $(varve ls --json | jq -r 'select(.inUse) | .id' | sort) == $(printf '%s\n' "$a" "$b" "$new" | sort) ]]
	[[ -s $(varve mount "$b" --read-only)/data ]]
	[[ $(found) == "0 0" ]]
}

@test "fsck --repair drops a record without its data and the records on top of it" {
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	c=$(result c)
	layer=$(layer_of "$b")
	stop_agent
	rm -rf "$agent_root/layers/$(sqlite3 "$agent_root/varve.db" "SELECT layer FROM records WHERE id = '$a'")"
	start_agent
	[[ -d $agent_root/layers/$layer ]]
	finds "lost-record $a" "lost-record $b"
	[[ ! -d $agent_root/layers/$layer ]]
	[[ $(varve ls -q) == "$c" ]]
	[[ $(stored "SELECT count(*) FROM records; SELECT count(*) FROM layers" | xargs) == "1 1" ]]
}

@test "fsck --repair drops records whose parents are missing or form a circle" {
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	c=$(result c)
	d=$(result d --parent "$c")
	e=$(result e --parent "$d")
	stop_agent
	sqlite3 "$agent_root/varve.db" "DELETE FROM records WHERE id = '$a'; UPDATE records SET parent = '$e' WHERE id = '$c'"
	start_agent
	grep -q "record=$b has lost its parent" "$agent_log"
	grep -q "record=$c has lost the end of its chain of parents" "$agent_log"
	finds "lost-record $b" "lost-record $c" "lost-record $d" "lost-record $e"
}

@test "fsck --repair drops a record whose layer vanishes while the agent runs" {
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	rm -rf "$agent_root/layers/$(layer_of "$a")"
	varve get "$b"
	run -8 varve fsck --repair
	[[ $output == *"missing-layer"*"$a"*"is held, mounted or pinned"* ]]
	varve release "$b"
	finds "missing-layer $a"
	[[ $(varve ls -q) == "" ]]
}

@test "fsck --repair removes layers, links, mounts and mount points without a record" {
	start_agent
	a=$(result a)
	mkdir -p "$agent_root/layers/zz/fs" "$agent_root/mnt/stray" "$agent_root/mnt/mounted"
	mount -t tmpfs none "$agent_root/mnt/mounted"
	ln -s ../layers/zy/fs "$agent_root/l/zy"
	ln -sfn ../layers/zz/fs "$agent_root/l/$(layer_of "$a")"
	finds "orphan-layer layers/zz" "orphan-link l/zy" "broken-link l/$(layer_of "$a")" \
		"stray-mount-point mnt/stray" "stray-mount mnt/mounted"
	cat "$(varve mount "$a" --read-only)/data" > /dev/null
}

@test "fsck --repair leaves files that are not Varve's alone" {
	start_agent
	mkdir "$agent_root/layers/lost+found"
	touch "$agent_root/layers/lost+found/mine"
	run -8 varve fsck --repair
	[[ $output == *"stranger"*"layers/lost+found"*"left alone"* ]]
	[[ -e $agent_root/layers/lost+found/mine ]]
	rm -rf "$agent_root/layers/lost+found"
}

@test "fsck finds a wrong size, and --repair measures the layer again" {
	start_agent
	a=$(result a)
	size=$(varve du --json | jq .size)
	head -c 3M /dev/zero > "$agent_root/layers/$(layer_of "$a")/fs/smuggled"
	[[ $(varve du --json | jq .size) -eq $size ]]
	finds "wrong-size $a"
	[[ $(varve du --json | jq .size) -eq $((size + (3 << 20))) ]]
}

@test "fsck finds a mount that was unmounted without the agent" {
	start_agent
	a=$(result a)
	umount "$(varve mount "$a" --read-only)"
	finds "lost-mount $a"
	[[ $(varve inspect "$a" --json | jq .mountpoint) == null ]]
	cat "$(varve mount "$a" --read-only)/data" > /dev/null
}

@test "fsck finds database rows whose owner is missing" {
	start_agent
	result a > /dev/null
	stop_agent
	sqlite3 "$agent_root/varve.db" "INSERT INTO labels VALUES ('gone', 'k', 'v'); INSERT INTO holds VALUES ('gone', 'gone', 1, 1);
		INSERT INTO layer_files(layer, inode, opens, read_bytes, last_access) VALUES ('gone', 1, 1, 1, 1)"
	start_agent
	run -8 varve fsck
	[[ $output == *"stray-rows"*"labels"*"1 row in varve.db whose owner is not there"* ]]
	run -0 varve fsck --repair
	[[ $(found) == "0 0" ]]
	[[ $(stored "SELECT count(*) FROM labels WHERE record = 'gone'") == 0 ]]
}

@test "fsck --repair restores a lock file that was removed" {
	start_agent
	rm "$agent_root/lock"
	finds "stale-lock lock"
	run -5 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket_dir/other"
	kill_agent
	echo "4711" > "$agent_root/lock" # the pid of an agent that has ended
	start_agent
	[[ $(found) == "0 0" ]]
}

@test "fsck reports a damaged database" {
	start_agent
	a=$(result a --label k=v)
	stop_agent
	schema() { # TEXT REPLACEMENT
		sqlite3 "$agent_root/varve.db" ".dbconfig defensive off" "PRAGMA writable_schema = ON;
			UPDATE sqlite_schema SET sql = replace(sql, '$1', '$2') WHERE name = 'labels'"
	}
	schema "value TEXT NOT NULL" "value TEXT"
	sqlite3 "$agent_root/varve.db" "UPDATE labels SET value = NULL"
	schema "value TEXT" "value TEXT NOT NULL"
	start_agent
	run -8 varve fsck --repair
	[[ $output == *"damaged-database"*"NULL value in labels.value"* ]]
	varve inspect "$a" > /dev/null
}
