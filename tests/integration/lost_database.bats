#!/usr/bin/env bats
# requires root overlay jq sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Stores whose database was deleted, emptied, damaged or opened to other users. Their layers must stay.

load ../lib/helpers

# The agent refuses the store with the exit status 1; prints its output.
refused() {
	run -1 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" 3>&-
	echo "$output"
}

layer_files() {
	find "$agent_root/layers" "$agent_root/blobs" -printf '%P %s\n' | sort
}

stopped_store() { # makes a store with two records and stops its agent; $backup is a copy of its database
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	stop_agent
	backup=$BATS_TEST_TMPDIR/backup.db
	cp "$agent_root/varve.db" "$backup"
	files=$(layer_files)
}

@test "the agent refuses a store without its database and leaves it as it is" {
	stopped_store
	rm "$agent_root/varve.db"
	refused
	[[ $output == *"$agent_root/varve.db is missing or empty, but the store has layers"* ]]
	[[ $output == *"restore it from a backup"*"--root $agent_root --quarantine-layers"* ]]
	refused
	[[ $(layer_files) == "$files" && ! -e $agent_root/varve.db ]]
	cp "$backup" "$agent_root/varve.db"
	start_agent
	[[ $(varve ls -q | sort) == $(printf '%s\n' "$a" "$b" | sort) ]]
	run -0 varve fsck
}

@test "the agent refuses a store with an empty database and keeps the write-ahead log" {
	stopped_store
	: > "$agent_root/varve.db"
	echo kept > "$agent_root/varve.db-wal"
	refused
	[[ $output == *"missing or empty"* ]]
	[[ $(layer_files) == "$files" && $(< "$agent_root/varve.db-wal") == kept ]]
	[[ $(stat -c %s "$agent_root/varve.db") == 0 ]]
	rm "$agent_root/varve.db" "$agent_root/varve.db-wal"
	sqlite3 "$agent_root/varve.db" VACUUM
	refused
	[[ $output == *"missing or empty"* && $(layer_files) == "$files" ]]
	cp "$backup" "$agent_root/varve.db"
	start_agent
	[[ $(varve ls -q | wc -l) == 2 ]]
}

@test "the agent refuses a store of blobs without a database and keeps the blobs" {
	start_agent
	id=$(result a)
	varve export "$id" "oci:$BATS_TEST_TMPDIR/a"
	[[ $(find "$agent_root/blobs/sha256" -type f | wc -l) -gt 0 ]]
	stop_agent
	backup=$BATS_TEST_TMPDIR/backup.db
	mv "$agent_root/varve.db" "$backup"
	rm -rf "$agent_root/layers"
	blobs=$(find "$agent_root/blobs" | sort)
	refused
	[[ $output == *"layers or blobs"* && $(find "$agent_root/blobs" | sort) == "$blobs" ]]
	mv "$backup" "$agent_root/varve.db"
}

@test "the agent refuses a damaged or foreign database and one of an unknown schema" {
	stopped_store
	head -c 100000 /dev/urandom > "$agent_root/varve.db"
	refused
	[[ $output == *"varve.db"*"file is not a database"* && $(layer_files) == "$files" ]]
	for version in -1 1000; do
		cp "$backup" "$agent_root/varve.db"
		sqlite3 "$agent_root/varve.db" "PRAGMA user_version = $version"
		refused
		[[ $output == *"varve.db"*"schema"*"$version"* && $(layer_files) == "$files" ]]
	done
	rm -f "$agent_root/varve.db"*
	sqlite3 "$agent_root/varve.db" "CREATE TABLE addresses(name TEXT)"
	refused
	[[ $output == *"tables that no varved has made"* && $(layer_files) == "$files" ]]
	cp "$backup" "$agent_root/varve.db"
	start_agent
	[[ $(varve ls -q | wc -l) == 2 ]]
}

@test "--quarantine-layers quarantines the layers of a lost database, and fsck --repair deletes them" {
	stopped_store
	run -1 "$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --quarantine-layers 3>&-
	[[ $output == *"is not lost: there is nothing to quarantine"* ]]
	rm "$agent_root/varve.db"
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --quarantine-layers 3>&-
	place=$(echo "$agent_root"/quarantine/*)
	[[ -d $place && $(count_layers) == 0 && $(find "$place/layers" -name data -size 1M | wc -l) == 2 ]]
	start_agent
	[[ $(varve ls -q) == "" && $(count_layers) == 0 ]]
	new=$(result new)
	[[ $(varve ls -q) == "$new" && -d $place/layers ]]
	run -8 varve fsck
	[[ $output == *"quarantine"*"1 problem"*" found, 0 repaired"* ]]
	[[ -d $place/layers ]]
	run -0 varve fsck --repair
	[[ ! -e $place && $(varve ls -q) == "$new" ]]
	run -0 varve fsck
}

@test "the agent quarantines layers that are newer than a restored database" {
	stopped_store
	start_agent
	c=$(result c)
	layer=$(varve inspect "$c" --json | jq -r .layer)
	stop_agent
	mkdir -p "$agent_root/layers/zzz/fs" # as a crash would leave it
	touch -d "2 hours ago" "$agent_root/layers/$layer"
	cp "$backup" "$agent_root/varve.db"
	start_agent
	[[ $(varve ls -q | sort) == $(printf '%s\n' "$a" "$b" | sort) ]]
	[[ ! -e $agent_root/layers/$layer && ! -e $agent_root/layers/zzz ]]
	[[ -s $(echo "$agent_root"/quarantine/*/"$layer"/fs/data) && ! -e $(echo "$agent_root"/quarantine/*/zzz) ]]
	grep -q "layer=$layer belongs to no record, though it is old: moved to $agent_root/quarantine/" "$agent_log"
	run -8 varve fsck
	[[ $output == *"quarantine"*"1 problem"*" found, 0 repaired"* ]]
	run -0 varve fsck --repair
	[[ $(find "$agent_root/quarantine" -mindepth 1) == "" ]]
}

@test "a link whose layer is gone does not survive a start" {
	stopped_store
	ln -s ../layers/zzz/fs "$agent_root/l/zzz"
	start_agent
	[[ ! -L $agent_root/l/zzz && $(find "$agent_root/l" -type l | wc -l) == 2 ]]
	run -0 varve fsck
}

@test "a new store has no quarantine directory" {
	start_agent
	[[ ! -e $agent_root/quarantine ]]
	id=$(varve new --retain)
	stop_agent
	start_agent
	[[ $(varve ls -q) == "$id" ]]
}

@test "only root can read or lock the database, whatever the umask" {
	umask 000
	start_agent
	varve new --retain > /dev/null
	modes() {
		stat -c %a "$agent_root"/varve.db "$agent_root"/varve.db-wal "$agent_root"/lock | sort -u
	}
	[[ $(modes) == 600 ]]
	kill_agent
	chmod 644 "$agent_root"/varve.db* "$agent_root"/lock
	start_agent
	[[ $(modes) == 600 ]]
	umask 022
}

@test "a store whose database was lost is restored from a backup that was made while the agent worked" {
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	varve pin "$a"
	varve label "$b" key=value
	# Writers go on meanwhile.
	(for i in {1..20}; do varve new --retain --description "busy $i"; done) > "$BATS_TEST_TMPDIR/busy" 3>&- &
	writer=$!
	run -0 varve backup "$BATS_TEST_TMPDIR/backup" --json
	[[ $(jq -r .size <<< "$output") == "$(stat -c %s "$BATS_TEST_TMPDIR/backup")" ]]
	wait "$writer"
	late=$(result late)
	late_layer=$(varve inspect "$late" --json | jq -r .layer)
	[[ $(stat -c '%a %F' "$BATS_TEST_TMPDIR/backup") == "600 regular file" ]]
	[[ $(sqlite3 "$BATS_TEST_TMPDIR/backup" "PRAGMA integrity_check") == ok ]]
	[[ $(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name 'backup*') == "$BATS_TEST_TMPDIR/backup" ]]
	[[ $(find "$agent_root/scratch" -mindepth 1 2> /dev/null) == "" ]]
	varve du --json | jq -c --arg a "$a" --arg b "$b" 'select(.id == $a or .id == $b) | del(.neededAgain)' | sort > "$BATS_TEST_TMPDIR/before"
	stop_agent
	files=$(layer_files | grep data)
	rm "$agent_root"/varve.db*
	refused
	[[ $output == *"restore it from a backup"* ]]
	cp "$BATS_TEST_TMPDIR/backup" "$agent_root/varve.db"
	start_agent
	varve du --json | jq -c --arg a "$a" --arg b "$b" 'select(.id == $a or .id == $b) | del(.neededAgain)' | sort |
		diff "$BATS_TEST_TMPDIR/before" -
	[[ $(stat -c %s "$(varve mount "$b" --read-only)/data") == 1048576 ]]
	varve umount "$b"
	# A layer that the backup does not know is kept, however young it is, and reported.
	[[ -s $(echo "$agent_root"/quarantine/*/"$late_layer"/fs/data) ]]
	grep -q "layer=$late_layer belongs to no record, though the database was restored: moved to $agent_root/quarantine/" "$agent_log"
	[[ $(layer_files | grep data) == $(grep -v "^$late_layer/" <<< "$files") ]]
	run -8 varve fsck
	[[ $output == *"quarantine"*"1 problem"* ]]
	run -0 varve fsck --repair
	# From now on the database is like any other.
	stop_agent
	mkdir -p "$agent_root/layers/zzz/fs"
	start_agent
	[[ ! -e $agent_root/layers/zzz && -z $(find "$agent_root/quarantine" -name zzz) ]]
	run -0 varve fsck
}

@test "a restored backup never shows the files of another layer for a record that was removed since" {
	start_agent
	a=$(result a)
	b=$(result b)
	varve backup "$BATS_TEST_TMPDIR/backup"
	varve rm "$b"
	stop_agent
	start_agent
	c=$(result c)
	kill_agent
	rm "$agent_root"/varve.db*
	cp "$BATS_TEST_TMPDIR/backup" "$agent_root/varve.db"
	start_agent
	[[ $(varve ls -q) == "$a" ]]
	grep -q "record=$b has lost its data: quarantined" "$agent_log"
	run -8 varve fsck
	assert_output_has "lost-record"
}

# damaged_store TABLE: makes a store with 41 records, and overwrites one of the pages with rows of the table.
damaged_store() {
	local page
	start_agent
	keep=$(result keep)
	for i in {1..40}; do
		varve umount "$(varve new --retain --description "many $i $(printf '%0300d' 0)" --label "key=$(printf '%0300d' "$i")")"
	done
	stop_agent
	page=$(sqlite3 "$agent_root/varve.db" "SELECT pageno FROM dbstat WHERE name = '$1' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 1")
	dd if=/dev/urandom of="$agent_root/varve.db" bs=4096 seek=$((page - 1)) count=1 conv=notrunc status=none
}

@test "a damaged database is rebuilt from what can be read, and every layer is kept" {
	damaged_store labels
	before=$(count_layers)
	# Whether the agent starts or not, doctor or the refusal says what to do.
	if start_agent 2> /dev/null; then
		run -8 varve doctor
		assert_output_has "varve.db is damaged"
		assert_output_has "varved --rebuild-database"
		run -8 varve fsck
		assert_output_has "damaged-database"
		stop_agent
	else
		grep -q "the database $agent_root/varve.db is damaged.*varved --rebuild-database" "$agent_log"
	fi
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --rebuild-database 3>&-
	assert_output_has "damaged tables: labels"
	cmp "$agent_root"/quarantine/*/varve.db "$agent_root/varve.db" && return 1
	[[ ! -e $agent_root/varve.db.rebuilt && ! -e $agent_root/varve.db.partial ]]
	start_agent
	# Labels of some records are lost, and no record or layer.
	[[ $(varve ls -q | wc -l) == 41 ]]
	labels=$(varve ls --json | jq -s 'map(select(.labels.key)) | length')
	((labels > 10 && labels < 40))
	[[ $(stat -c %s "$(varve mount "$keep" --read-only)/data") == 1048576 ]]
	varve umount "$keep"
	[[ $(count_layers) == "$before" ]]
	[[ $(varve doctor --json | jq -r 'select(.name == "database").state') == ok ]]
	run -0 varve fsck --repair
	run -0 varve fsck
}

@test "records that a damaged database has lost leave their layers in quarantine" {
	damaged_store records
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --rebuild-database 3>&-
	assert_output_has "damaged tables: records"
	assert_output_has "belongs to no record, though the database was restored"
	start_agent
	records=$(varve ls -q | wc -l)
	((records > 10 && records < 41))
	[[ $(find "$agent_root"/quarantine/*/ -mindepth 1 -maxdepth 1 -type d | wc -l) == $((41 - records)) ]]
	[[ $(count_layers) == "$records" ]]
	run -0 varve fsck --repair
	run -0 varve fsck
}

@test "a rebuild that was cut off is completed by the next start" {
	damaged_store labels
	"$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --rebuild-database 3>&-
	# As after the damaged file was moved away, and before the new one took its name.
	mv "$agent_root/varve.db" "$agent_root/varve.db.rebuilt"
	rm -f "$agent_root"/varve.db-*
	start_agent
	[[ $(varve ls -q | wc -l) == 41 && ! -e $agent_root/varve.db.rebuilt ]]
}

@test "nothing is rebuilt where there is no database, or nothing can be read in it" {
	stopped_store
	rm "$agent_root"/varve.db*
	run -1 "$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --rebuild-database 3>&-
	assert_output_has "is missing: there is nothing to rebuild it from"
	head -c 100000 /dev/urandom > "$agent_root/varve.db"
	run -1 "$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --rebuild-database 3>&-
	assert_output_has "is damaged (file is not a database)"
	[[ $(layer_files) == "$files" && -z $(find "$agent_root" -name '*.partial*' -o -name '*.rebuilt*') ]]
	cp "$backup" "$agent_root/varve.db"
	start_agent
}

@test "fsck --repair mends indexes that do not agree with their rows" {
	stopped_store
	# A row that is written while the schema does not have the index is not in the index afterwards.
	row=$(sqlite3 "$agent_root/varve.db" "SELECT quote(name) || ',' || quote(tbl_name) || ',' || rootpage || ',' || quote(sql)
		FROM sqlite_schema WHERE name = 'history_at'")
	sqlite3 "$agent_root/varve.db" "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'history_at'"
	sqlite3 "$agent_root/varve.db" "UPDATE history SET at = at + 1"
	sqlite3 "$agent_root/varve.db" "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES('index', $row)"
	[[ $(sqlite3 "$agent_root/varve.db" "PRAGMA integrity_check(1)") != ok ]]
	start_agent
	run -8 varve fsck
	assert_output_has "damaged-database"
	run -0 varve fsck --repair
	assert_output_has "its indexes did not agree with its rows"
	run -0 varve fsck
	stop_agent
	[[ $(sqlite3 "$agent_root/varve.db" "PRAGMA integrity_check(1)") == ok ]]
}

@test "backup never writes over a file, and leaves nothing when it fails" {
	start_agent
	result a > /dev/null
	echo old > "$BATS_TEST_TMPDIR/file"
	ln -s /nowhere "$BATS_TEST_TMPDIR/link"
	for name in file link; do
		run -5 varve backup "$BATS_TEST_TMPDIR/$name"
		assert_output_has "exists: name a new file"
	done
	[[ $(< "$BATS_TEST_TMPDIR/file") == old && -L $BATS_TEST_TMPDIR/link ]]
	run -4 varve backup "$BATS_TEST_TMPDIR/no/folder"
	run -2 varve backup
	mkdir "$BATS_TEST_TMPDIR/small"
	mount -t tmpfs -o size=16K tmpfs "$BATS_TEST_TMPDIR/small"
	run -1 varve backup "$BATS_TEST_TMPDIR/small/backup"
	assert_output_has "No space left on device"
	[[ -z $(ls "$BATS_TEST_TMPDIR/small") ]]
	umount "$BATS_TEST_TMPDIR/small"
	[[ $(find "$agent_root/scratch" -mindepth 1 2> /dev/null) == "" ]]
	run -3 env VARVE_ADDRESS=unix:///nowhere "$VARVE_BUILD/varve" backup "$BATS_TEST_TMPDIR/unreached"
	[[ ! -e $BATS_TEST_TMPDIR/unreached && -z $(find "$BATS_TEST_TMPDIR" -name '*.partial') ]]
}
