# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Kills the agent at each step between database, files and mounts, and lets each step fail that can.
# An operation is a pair of functions: prepare_NAME makes what it works on, with descriptions that
# begin with $case-, and operate_NAME is what is cut off. It runs once unharmed, to learn which points
# it passes and what it changes; then once for each pass, which must leave the store as before, as
# after, or, where it has several steps, in between: nothing that both have is missing, nothing is
# there that neither has, and a second restart changes nothing.

# shellcheck source=tests/lib/helpers.bash
source "$BATS_TEST_DIRNAME/../lib/helpers.bash"

# Which points the operations' tests pass, and which those of start and end.
operation_points='database|fold|layer|mount|staging|trash'
start_points='accounting|migration|quarantine|recover|store'

# What they do after so many steps others do here as well.
declare -gA first_steps=([new_on_twin]=6 [mount_twin]=6)

# Operations that have several steps, each of which is acknowledged by none.
stepwise=" new_on_twin get_mutable mount_twin lease_rm "

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

# arm NAME COUNT ERRNO: besides $also, which is of that form, too. Takes its place at one stroke, as
# the agent looks whether it is another file.
arm() {
	printf '%s\n' "$*" "${also-}" > "$VARVE_FAIL_POINTS.new"
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

# What is mounted and held by nobody: no operation here does that.
mounted_for_nobody() {
	local ids
	mapfile -t ids < <(varve ls -q)
	((${#ids[@]} == 0)) || varve inspect --json "${ids[@]}" | jq -r 'select(.mountpoint != null and .holds == []) | .id'
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
	[[ -z $(mounted_for_nobody) ]] || complain "mounted for nobody: $(mounted_for_nobody)"
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
		# What could not be unmounted was to be tried again; after a restart nobody knows that.
		for id in $(mounted_for_nobody); do
			varve umount "$id"
		done
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

# passes_every PATTERN: these points are passed by the tests before.
passes_every() {
	"$VARVE_BUILD/varved" --fail-points | cut -d' ' -f1 | sort -u > "$BATS_TEST_TMPDIR/all"
	# Of a new kind of point it has to be said here whose it is.
	[[ $(grep -Ev "^($operation_points|$start_points)\." "$BATS_TEST_TMPDIR/all") == "" ]]
	diff <(grep -E "^($1)\." "$BATS_TEST_TMPDIR/all") <(grep -E "^($1)\." "$BATS_FILE_TMPDIR/passed" | sort -u)
}
