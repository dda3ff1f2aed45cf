#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 failpoints
# SPDX-License-Identifier: Apache-2.0
#
# The agent's start and end, cut off at each fail point (crash.bash). Each case has a store of its own.

load crash

fresh_store() {
	case=$((case + 1))
	agent_root=$BATS_TEST_TMPDIR/store$case
}

tear_down() {
	"$VARVE_BUILD/varved" --root "$agent_root" --backend "$backend" --socket "$agent_socket" --teardown 3>&-
}

# ends_at NAME COUNT COMMAND…: runs the command, during which the agent is killed at this point.
ends_at() {
	spot="killed at $1 $2"
	arm "$1" "$2" 0
	"${@:3}" &> "$BATS_TEST_TMPDIR/said" || true
	[[ -z $agent_pid ]] || retry 50 agent_is_gone || complain "is not passed this time"
	disarm
	[[ -z $agent_pid ]] || wait "$agent_pid" 2> /dev/null || true
	agent_pid=
}

refuses_at() { # NAME COUNT: a start in which this point fails ends with status 1
	spot="failed at $*"
	arm "$1" "$2" 28
	: > "$agent_log"
	! start &> /dev/null || complain "starts all the same"
	disarm
	wait "$agent_pid" || ended=$?
	agent_pid=
	[[ $ended == 1 ]] || complain "ends with $ended"
	grep -qi '^<3>.*space' "$agent_log" || complain "says: $(< "$agent_log")"
}

# starts_well: the agent starts with the expected facts, and has nothing to do at the next start.
starts_well() {
	local now
	start
	now=$(facts)
	[[ $now == "$expected" ]] || complain "$(diff <(echo "$expected") <(echo "$now"))"
	whole
	stop_agent
	: > "$agent_log"
	start
	[[ $(facts) == "$now" ]] || complain "a second restart changes: $(diff <(echo "$now") <(facts))"
	! grep -Ev ' adopted$| ready$' "$agent_log" || complain "a second restart has something to do"
	stop_agent
	tear_down
}

# crash_start PREPARE: starts the agent on the store that PREPARE makes at $agent_root, and cuts it off.
crash_start() {
	local pass
	trap - DEBUG
	operation=$1
	can_fail_list=" $("$VARVE_BUILD/varved" --fail-points | sed -n 's/ fail$//p' | xargs) "
	fresh_store
	"$1"
	: > "$passed"
	start
	retry 50 trash_is_empty
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
	list_passes
	expected=$(facts)
	stop_agent
	tear_down
	for pass in "${passes[@]}"; do
		fresh_store
		"$1"
		# shellcheck disable=SC2086
		ends_at $pass start
		starts_well
		can_fail "${pass% *}" || continue
		[[ $pass != trash.* && $pass != layer.* && $pass != staging.* ]] || continue # the agent can go on there
		fresh_store
		"$1"
		# shellcheck disable=SC2086
		refuses_at $pass
		starts_well
	done
}

nothing() { :; }

# make_dirty: makes a store with everything that an agent can leave when it is killed.
make_dirty() {
	local id half
	agent_root=$BATS_TEST_TMPDIR/dirty
	start
	id=$(finished a --label k=v)
	varve new --retain --parent "$id" --description kept > /dev/null
	varve new --description unheld > /dev/null
	half=$(varve new --description half)
	stop_agent
	tear_down
	sqlite3 "$agent_root/varve.db" "DELETE FROM holds WHERE record IN (SELECT id FROM records WHERE description IN ('unheld', 'half'));
		UPDATE records SET state = 0 WHERE description = 'half';
		INSERT INTO mounts(id, record, writable, boot) VALUES (1, '$half', 1, 'an earlier boot'); INSERT INTO mount_layers(mount, idx, layer) VALUES (1, 0, 'zzzy')"
	mkdir -p "$agent_root/layers/zzzz/fs" "$agent_root/trash/old" "$agent_root/mnt/stray"
	touch "$agent_root/layers/zzzz/fs/file" "$agent_root/trash/old/file"
	ln -sfn ../layers/zzzz/fs "$agent_root/l/$(sqlite3 "$agent_root/varve.db" "SELECT layer FROM records WHERE id = '$id'")"
}

dirty_store() {
	cp -a "$BATS_TEST_TMPDIR/dirty" "$agent_root"
	mkdir "$agent_root/mnt/stranger"
	mount -t tmpfs none "$agent_root/mnt/stranger"
	mkdir "$agent_root/staging/left"
	mount --bind "$agent_root/staging/left" "$agent_root/staging/left"
}

@test "B80 a first start that is cut off at any step, migrations included, leaves a store that opens" {
	crash_start nothing
}

@test "B80 a recovery that is cut off at any step is completed by the next start" {
	make_dirty
	crash_start dirty_store
	[[ $(wc -l <<< "$expected") == 4 ]]
}

@test "B22 accounting that is cut off at any step of its setup works after the next start" {
	local id dir pass
	trap - DEBUG
	backend=syscall
	operation=accounting
	only=^accounting often=1
	account() {
		start || return
		id=$(varve new --description a) || return
		varve umount "$id"
		varve fsck # it folds the counters
	}
	fresh_store
	account > /dev/null
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
	list_passes
	((${#passes[@]} > 5))
	stop_agent
	tear_down
	for pass in "${passes[@]}"; do
		fresh_store
		# shellcheck disable=SC2086
		ends_at $pass account
		start
		id=$(varve new)
		dir=$(varve mount "$id")
		echo a > "$dir/a"
		cat "$dir/a" > /dev/null
		[[ $(varve stats --json "$id" | jq .opens) == 2 ]] || complain "counts $(varve stats --json "$id")"
		whole
		stop_agent
		tear_down
		[[ ! -e $agent_pins ]] || complain "pins are left"
	done
}

@test "B82 a teardown that is cut off at any step can be repeated" {
	local pass
	trap - DEBUG
	backend=syscall
	operation=teardown
	mounted_store() {
		start
		varve mount "$(varve new --description a)" --read-only > /dev/null
		stop_agent
	}
	fresh_store
	mounted_store
	: > "$passed"
	tear_down
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
	list_passes
	for pass in "${passes[@]}"; do
		fresh_store
		[[ $pass == accounting.* ]] || backend=none # this is quicker
		mounted_store
		# shellcheck disable=SC2086
		ends_at $pass tear_down
		tear_down
		! grep "$agent_root/" /proc/self/mountinfo || complain "mounts are left"
		[[ ! -e $agent_pins ]] || complain "pins are left"
		expected="hold cli a/true 1
lease cli
record a/true parent= twin= retain=false pinned=false labels={} uses=0"
		starts_well
	done
}

@test "a --quarantine-layers that is cut off at any step loses no layer" {
	local pass
	trap - DEBUG
	operation=quarantine only='^quarantine'
	lost_store() {
		start
		finished a > /dev/null
		finished b > /dev/null
		stop_agent
		tear_down
		rm "$agent_root"/varve.db*
	}
	quarantine() {
		"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" --quarantine-layers 3>&-
	}
	fresh_store
	lost_store
	: > "$passed"
	quarantine
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
	list_passes
	((${#passes[@]} > 1))
	for pass in "${passes[@]}"; do
		fresh_store
		lost_store
		# shellcheck disable=SC2086
		ends_at $pass quarantine
		# The command was perhaps killed after the last move: then there is nothing to quarantine.
		quarantine &> "$BATS_TEST_TMPDIR/said" || grep -q "nothing to quarantine" "$BATS_TEST_TMPDIR/said" ||
			complain "says: $(< "$BATS_TEST_TMPDIR/said")"
		start
		[[ $(varve ls -q) == "" && $(count_layers) == 0 ]] || complain "$(count_layers) layers are left"
		[[ $(find "$agent_root/quarantine" -path '*/fs/file' | wc -l) == 2 ]] ||
			complain "in quarantine: $(find "$agent_root/quarantine")"
		varve fsck --repair > /dev/null
		whole
		stop_agent
		tear_down
	done
}

@test "a --rebuild-database that is cut off at any step is completed by the next start" {
	local pass
	trap - DEBUG
	operation=rebuild only='^quarantine'
	rebuild() {
		"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" --rebuild-database 3>&-
	}
	full_store() {
		start
		finished a > /dev/null
		expected=$(facts)
		stop_agent
		tear_down
	}
	fresh_store
	full_store
	: > "$passed"
	rebuild
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
	list_passes
	((${#passes[@]} > 1))
	for pass in "${passes[@]}"; do
		fresh_store
		full_store
		# shellcheck disable=SC2086
		ends_at $pass rebuild
		start
		[[ $(facts) == "$expected" && $(find "$agent_root/quarantine" -name varve.db | wc -l) == 1 ]] ||
			complain "$(diff <(echo "$expected") <(facts)); $(find "$agent_root/quarantine")"
		varve fsck --repair > /dev/null
		whole
		stop_agent
		tear_down
	done
}

@test "these tests pass every fail point of start and end" {
	passes_every "$start_points"
}
