#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 failpoints
# SPDX-License-Identifier: Apache-2.0
#
# Kills the agent at each step between database, files and mounts, in each operation, and lets each
# step fail that can. An operation is a pair of functions: prepare_NAME makes what it works on, with
# descriptions that begin with $case-, and operate_NAME is what is cut off. It runs once unharmed, to
# learn which points it passes and what it changes; then once for each pass, which must leave the
# store as before, as after, or, where it has several steps, in between: nothing that both have is
# missing, nothing is there that neither has, and a second restart changes nothing.

load ../helpers

setup() {
	agent_setup
	shopt -s nullglob
	export LC_ALL=C VARVE_FAIL_POINTS=$BATS_TEST_TMPDIR/points
	passed=$VARVE_FAIL_POINTS.passed
	: > "$passed"
	disarm
	backend=none
	case=0
}

# arm NAME COUNT ERRNO: takes its place at one stroke, as the agent looks whether it is another file.
arm() {
	echo "$*" > "$VARVE_FAIL_POINTS.new"
	mv "$VARVE_FAIL_POINTS.new" "$VARVE_FAIL_POINTS"
}

disarm() {
	: > "$VARVE_FAIL_POINTS.new"
	mv "$VARVE_FAIL_POINTS.new" "$VARVE_FAIL_POINTS"
}

can_fail() {
	[[ $can_fail_list == *" $1 "* ]]
}

start() {
	start_agent --backend "$backend"
}

# What a user sees, a line a fact, without ids. Mounts are not in it: that they are where the agent
# and the kernel say so is for whole() to find.
facts() {
	local ids
	mapfile -t ids < <(varve ls -q)
	{
		((${#ids[@]} == 0)) || varve inspect --json "${ids[@]}"
		varve lease ls --json
	} | jq -rs '(map(select(.mutable != null) | { (.id): "\(.description)/\(.mutable)" }) | add // {}) as $name |
		[.[] | if .mutable != null then
			"record \($name[.id]) parent=\($name[.parents[0] // ""] // "") twin=\($name[.twin // ""] // "") " +
			"retain=\(.retain) pinned=\(.pinned) labels=\(.labels) uses=\(.usageCount)",
			(.holds[] as $h | "hold \($h.lease) \($name[.id]) \($h.refs)")
		else "lease \(.name)", (.name as $lease | .needs[] | "need \($lease) \(.)") end] | sort | .[]'
}

names_in() { # DIRECTORY
	local names=("$agent_root/$1"/*)
	printf '%s\n' "${names[@]##*/}"
}

# whole: nothing is left over, in the database, in the store's directories, in the mount table.
whole() {
	local line fields mounted='' rows
	retry 50 trash_is_empty || complain "the trash is not emptied"
	varve fsck > "$BATS_TEST_TMPDIR/fsck" || complain "$(< "$BATS_TEST_TMPDIR/fsck")"
	rows=$(sqlite3 -readonly "$agent_root/varve.db" "SELECT name FROM layers ORDER BY name; SELECT 'mounts';
		SELECT record FROM mounts ORDER BY record; SELECT 'unfinished ' || id FROM records WHERE state != 1;
		SELECT 'unowned ' || name FROM layers WHERE name NOT IN (SELECT layer FROM records)")
	while read -r line; do
		read -ra fields <<< "$line"
		[[ ${fields[4]} != "$agent_root/mnt/"* ]] || mounted+=${fields[4]##*/}$'\n'
	done < /proc/self/mountinfo
	mounted=$(sort <<< "${mounted%$'\n'}")
	[[ $(names_in l) == $(names_in layers) ]] || complain "layers: $(names_in layers), links: $(names_in l)"
	[[ $(names_in mnt) == "$mounted" ]] || complain "mount points: $(names_in mnt), mounted: $mounted"
	mounted=$(sed '/-ro$/d' <<< "$mounted")
	line=$(names_in layers)
	[[ $rows == "${line:+$line$'\n'}mounts${mounted:+$'\n'$mounted}" ]] || complain "layers: $line, mounted: $mounted"
	[[ -z $(names_in staging) ]] || complain "staging: $(names_in staging)"
}

# No operation here mounts what nobody holds.
mounted_for_nobody() {
	local ids
	mapfile -t ids < <(varve ls -q)
	((${#ids[@]} > 0)) && varve inspect --json "${ids[@]}" | jq -e 'select(.mountpoint != null and .holds == []) | .id'
}

trash_is_empty() {
	[[ -z $(names_in trash) ]]
}

# Says all that is known, and fails.
complain() {
	printf '%s %s: %s\n' "$operation" "${spot-}" "$1"
	printf 'in the database:\n%s\n' "${rows-}"
	return 1
}

# The facts before the operation, and those after it when it was not cut off: what was learned of one
# case is told of the others by another number.
look_before() {
	before=$(facts)
	after=$({
		comm -23 <(echo "$before") <(sort <<< "${removed//@@/$case-}")
		echo "${added//@@/$case-}"
	} | sed '/^$/d' | sort)
}

# in_between FACTS: nothing of both is missing, nothing of neither is there.
in_between() {
	if [[ $1 == "$before" || $1 == "$after" ]]; then
		return 0
	fi
	[[ $stepwise == *" $operation "* ]] || return 1
	[[ -z $(comm -13 <(sort -u <(echo "$before") <(echo "$after")) <(echo "$1")) ]] &&
		[[ -z $(comm -23 <(comm -12 <(echo "$before") <(echo "$after")) <(echo "$1")) ]]
}

differ() {
	diff <(echo "$before") <(echo "$1") || true
}

agent_is_gone() {
	! kill -0 "$agent_pid" 2> /dev/null
}

# The operation's own output and end: $said, $ended.
operate() {
	ended=0
	said=$("operate_$operation" 2>&1) || ended=$?
}

# $passes: what was passed, each with how often it had been by then. Of a point that is passed often,
# $often times at most and the last one.
list_passes() {
	mapfile -t passes < <(grep -E "${only-.}" "$passed" | awk -v often="${often-1000}" '
		{ name[NR] = $1; nth[NR] = ++count[$1] }
		END { for (i = 1; i <= NR; i++) if (nth[i] <= often || nth[i] == count[name[i]]) print name[i], nth[i] }')
}

# Which points the operation passes, and what it changes.
learn() {
	case=$((case + 1))
	"prepare_$operation" > /dev/null
	before=$(facts)
	: > "$passed"
	operate
	((ended == 0)) || complain "unharmed it ends with $ended: $said"
	retry 50 trash_is_empty
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
	list_passes
	after=$(facts)
	removed=$(comm -23 <(echo "$before") <(echo "$after") | sed "s/\b$case-/@@/g")
	added=$(comm -13 <(echo "$before") <(echo "$after") | sed "s/\b$case-/@@/g")
	whole
}

killed_at() { # NAME COUNT
	local now again
	spot="killed at $*"
	case=$((case + 1))
	"prepare_$operation" > /dev/null
	look_before
	arm "$1" "$2" 0
	operate
	retry 50 agent_is_gone || complain "is not passed this time"
	disarm
	wait "$agent_pid" 2> /dev/null || true
	start
	now=$(facts)
	in_between "$now" || complain "$(differ "$now")"
	! mounted_for_nobody || complain "a mount that nobody holds"
	((ended != 0)) || [[ $now == "$after" ]] || complain "what was acknowledged is lost: $(differ "$now")"
	whole
	stop_agent
	: > "$agent_log"
	start
	again=$(facts)
	[[ $again == "$now" ]] || complain "a second restart changes: $(diff <(echo "$now") <(echo "$again"))"
	! grep -Ev 'mount adopted| ready$' "$agent_log" || complain "a second restart has something to do"
}

failed_at() { # NAME COUNT
	local now again
	spot="failed at $*"
	case=$((case + 1))
	"prepare_$operation" > /dev/null
	look_before
	arm "$1" "$2" 28
	operate
	disarm
	now=$(facts)
	in_between "$now" || complain "$(differ "$now")"
	if ((ended == 0)); then # it could go on, and said so in the log
		[[ $now == "$after" ]] || complain "ends with 0, and is not done: $(differ "$now")"
		stop_agent
		start
	elif [[ $operation == fsck_repair ]]; then # what it did not mend is still there
		varve fsck --repair > /dev/null || true
	else
		[[ $said == "varve: "*[Ss]pace* && $said != *$'\n'* ]] || complain "says: $said"
	fi
	whole
	again=$(facts)
	[[ $again == "$now" ]] || complain "changes afterwards: $(diff <(echo "$now") <(echo "$again"))"
}

# Memory and database say the same after all that failed.
restarts_the_same() {
	local now
	spot="restart"
	now=$(facts)
	stop_agent
	start
	[[ $(facts) == "$now" ]] || complain "a restart changes: $(diff <(echo "$now") <(facts))"
	whole
}

# crash OPERATION…: learns, then kills and fails each.
crash() {
	local pass
	trap - DEBUG # of bats: where it failed is said, and it slows each command down
	can_fail_list=" $("$VARVE_BUILD/varved" --fail-points | sed -n 's/ fail$//p' | xargs) "
	start
	for operation; do
		learn
		((${#passes[@]} > 0)) || complain "passes no point"
		for pass in "${passes[@]:0:${first_steps[$operation]-100}}"; do
			# shellcheck disable=SC2086
			killed_at $pass
			# shellcheck disable=SC2086
			! can_fail ${pass% *} || failed_at $pass
		done
		restarts_the_same
	done
}

# What they do after so many steps others do here as well.
declare -A first_steps=([new_on_twin]=6 [mount_twin]=6)

# Operations that have several steps, each of which is acknowledged by none.
stepwise=" new_on_twin get_mutable mount_twin lease_rm "

# finished NAME: an unheld, finalized record with a file.
finished() {
	local id
	id=$(varve new --retain --description "$case-$1" "${@:2}")
	echo "$1" > "$agent_root/mnt/$id/file"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

prepare_new() { :; }
operate_new() { varve new --description "$case-new" --label k=v; }

prepare_new_on_twin() {
	id=$(varve commit "$(varve new --description "$case-parent")")
}
operate_new_on_twin() { varve new --parent "$id" --description "$case-child"; }

prepare_mount() {
	id=$(finished a)
	varve get "$id"
}
operate_mount() { varve mount "$id" --read-only; }

prepare_mount_twin() { id=$(varve commit "$(varve new --description "$case-a")"); }
operate_mount_twin() { varve mount "$id"; }

prepare_mount_view() { id=$(varve new --description "$case-a"); }
operate_mount_view() { varve mount "$id" --read-only; }

prepare_umount() {
	id=$(varve new --description "$case-a")
	varve mount "$id" --read-only > /dev/null
}
operate_umount() { varve umount "$id"; }

prepare_commit() {
	id=$(varve new --description "$case-a" --label k=v)
	echo a > "$(varve mount "$id")/a"
}
operate_commit() { varve commit "$id"; }

prepare_finalize() { id=$(varve commit "$(varve new --description "$case-a")"); }
operate_finalize() { varve finalize "$id"; }

prepare_get() { id=$(finished a); }
operate_get() { varve get "$id"; }

prepare_get_commits() {
	id=$(varve new --retain --description "$case-a")
	varve release "$id"
}
operate_get_commits() { varve get "$id"; }

prepare_get_mutable() {
	id=$(varve new --retain --description "$case-a")
	varve release "$(varve commit "$id")"
}
operate_get_mutable() { varve get "$id" --mutable; }

prepare_release() {
	id=$(finished a)
	varve get "$id"
	varve mount "$id" --read-only > /dev/null
}
operate_release() { varve release "$id"; }

prepare_release_deletes() {
	id=$(varve new --description "$case-a")
	echo a > "$(varve mount "$id")/a"
}
operate_release_deletes() { varve release "$id"; }

prepare_rm() { id=$(finished a --label k=v); }
operate_rm() { varve rm "$id"; }

prepare_prune() {
	id=$(finished a)
	finished b --parent "$id"
	id=$(varve new --retain --description "$case-c")
	varve release "$(varve commit "$id")"
}
operate_prune() { varve prune --all --filter "description~=^$case-"; }

prepare_lease_create() { :; }
operate_lease_create() { varve lease create "$case-lease"; }

prepare_lease_rm() {
	varve lease create "$case-lease"
	varve lease need "$case-lease" one two
	id=$(finished a)
	varve get "$id" --lease "$case-lease"
	varve new --lease "$case-lease" --description "$case-b"
}
operate_lease_rm() { varve lease rm "$case-lease"; }

prepare_lease_need() {
	varve lease create "$case-lease"
	varve lease need "$case-lease" one two
}
operate_lease_need() { varve lease need "$case-lease" two three; }

prepare_pin() { id=$(varve commit "$(varve new --description "$case-a")"); }
operate_pin() { varve pin "$id"; }

prepare_label() { id=$(finished a --label a=1 --label b=2); }
operate_label() { varve label "$id" a=3 c=4 --remove b; }

prepare_fold() {
	id=$(varve new --description "$case-a")
	echo a > "$(varve mount "$id")/a"
}
operate_fold() { varve du; }

prepare_fsck_repair() {
	finished a > /dev/null
	mkdir -p "$agent_root/layers/zzzz/fs"
	ln -sfn ../layers/zzzz/fs "$agent_root/l/zzzz"
}
operate_fsck_repair() { varve fsck --repair; }

@test "B83 new and mount, cut off at each step" {
	crash new new_on_twin mount mount_twin mount_view umount
}

@test "B83 a mount by mount(2), cut off at each step" {
	export VARVE_OVERLAY_METHOD=mount
	only='^staging'
	crash new
}

@test "B83 commit, finalize and get, cut off at each step" {
	crash commit finalize get get_commits get_mutable
}

@test "B68 what deletes, cut off at each step" {
	crash release release_deletes rm prune fsck_repair
}

@test "B83 leases, pins, labels and folds, cut off at each step" {
	crash lease_create lease_rm lease_need pin label fold
}

# ---- the agent's start and end, on a store of its own for each case ----

fresh_store() {
	case=$((case + 1))
	agent_root=$BATS_TEST_TMPDIR/store$case
}

tear_down() {
	"$VARVE_BUILD/varved" --root "$agent_root" --backend "$backend" --socket "$agent_socket" --teardown 3>&-
}

# ends_at NAME COUNT COMMAND…: the command, in whose agent that point kills.
ends_at() {
	spot="killed at $1 $2"
	arm "$1" "$2" 0
	"${@:3}" &> "$BATS_TEST_TMPDIR/said" || true
	[[ -z $agent_pid ]] || retry 50 agent_is_gone || complain "is not passed this time"
	disarm
	[[ -z $agent_pid ]] || wait "$agent_pid" 2> /dev/null || true
	agent_pid=
}

refuses_at() { # NAME COUNT
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

# starts_well: with the facts that are expected, and nothing to do the next time.
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

# crash_start PREPARE: a start on what PREPARE makes at $agent_root.
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
		[[ $pass != trash.* && $pass != layer.* ]] || continue # it can go on
		fresh_store
		"$1"
		# shellcheck disable=SC2086
		refuses_at $pass
		starts_well
	done
}

nothing() { :; }

# A store in which an agent that was killed left all that one can leave.
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
		INSERT INTO mounts VALUES (1, '$half', 1, 'an earlier boot'); INSERT INTO mount_layers(mount, idx, layer) VALUES (1, 0, 'zzzy')"
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

@test "B80 the first start, cut off at each step, migrations among them" {
	crash_start nothing
}

@test "B80 recovery, cut off at each step" {
	make_dirty
	crash_start dirty_store
	[[ $(wc -l <<< "$expected") == 4 ]]
}

@test "B22 accounting, cut off at each step of its making" {
	local id dir pass
	trap - DEBUG
	backend=syscall
	operation=accounting
	only=^accounting often=1
	account() {
		start || return
		id=$(varve new --description a) || return
		varve umount "$id"
		varve fsck # a fold
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

@test "B82 a teardown, cut off at each step" {
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
		[[ $pass == accounting.* ]] || backend=none # which is quicker
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

@test "every point is passed by one of these" {
	"$VARVE_BUILD/varved" --fail-points | cut -d' ' -f1 | sort -u > "$BATS_TEST_TMPDIR/all"
	diff "$BATS_TEST_TMPDIR/all" <(sort -u "$BATS_FILE_TMPDIR/passed")
}
