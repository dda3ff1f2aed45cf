# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Kills the agent at each fail point between database, files and mounts, and lets each step fail that can.
# An operation is a pair of functions: prepare_NAME makes the records that it needs, with descriptions that
# begin with $case-, and operate_NAME is cut off. An operation runs once without harm, to learn which fail
# points it passes and what it changes. Then it runs again for each of these passes, and is killed or fails
# there. The store must then be as before, as after, or, for an operation of several steps, in between:
# nothing that both states have is missing, and nothing is there that neither state has. A second restart
# must change nothing.

# shellcheck source=tests/lib/helpers.bash
source "$BATS_TEST_DIRNAME/../lib/helpers.bash"

# The kinds of fail points that operations.bats must pass, and those that starts.bats must pass.
operation_points='database|files|fold|layer|mount|staging|trash'
start_points='accounting|migration|quarantine|recover|store'
spare_points='spare' # of spares.bats

# For these operations only the first passes are tested: other operations do the later steps, too.
declare -gA first_steps=([new_on_twin]=6 [mount_twin]=6)

# Operations of several steps, which the agent does not acknowledge one by one.
stepwise=" new_on_twin get_mutable mount_twin lease_rm "

setup() {
	agent_setup
	# shellcheck disable=SC2034 # for varve()
	client_program=${VARVE_CLIENT-}
	shopt -s nullglob
	export LC_ALL=C VARVE_FAIL_POINTS=$BATS_TEST_TMPDIR/points
	passed=$VARVE_FAIL_POINTS.passed
	: > "$passed"
	disarm
	backend=none
	case=0
}

# arm NAME COUNT ERRNO: lets the agent fail at the COUNTth pass of the point, or die there when ERRNO is 0. $also
# is a second point in the same form. The file is replaced by a rename, because the agent looks for another inode.
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

# facts: prints what a user sees, one fact per line, without ids. Mounts are left out: whole() checks that
# agent and kernel agree about them.
facts() {
	local ids
	mapfile -t ids < <(varve ls -q)
	{
		((${#ids[@]} == 0)) || varve inspect --json "${ids[@]}"
		varve lease ls --json
	} | jq -rs '(map(select(.mutable != null) | { (.id): "\(.description)/\(.mutable)" }) | add // {}) as $name |
		[.[] | if .mutable != null then
			"record \($name[.id]) parent=\($name[.parents[0] // ""] // "") twin=\($name[.twin // ""] // "") " +
			"retain=\(.retain) pinned=\(.pinned) labels=\(.labels | to_entries | sort_by(.key) | from_entries) uses=\(.usageCount)",
			(.holds[] as $h | "hold \($h.lease) \($name[.id]) \($h.refs)")
		else "lease \(.name)", (.name as $lease | .needs[] | "need \($lease) \(.)") end] | sort | .[]'
}

names_in() { # DIRECTORY
	local names=("$agent_root/$1"/*)
	printf '%s\n' "${names[@]##*/}"
}

# whole: nothing is left over in the database, in the store's directories or in the mount table.
whole() {
	local line fields mounted='' rows
	retry 50 trash_is_empty || complain "the trash is not emptied"
	varve fsck > "$BATS_TEST_TMPDIR/fsck" || complain "$(< "$BATS_TEST_TMPDIR/fsck")"
	rows=$(stored "SELECT name FROM layers ORDER BY name; SELECT 'mounts';
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

# mounted_without_hold: prints records that are mounted without being held, which no operation here causes.
mounted_without_hold() {
	local ids
	mapfile -t ids < <(varve ls -q)
	((${#ids[@]} == 0)) || varve inspect --json "${ids[@]}" | jq -r 'select(.mountpoint != null and .holds == []) | .id'
}

trash_is_empty() {
	[[ -z $(names_in trash) ]]
}

# complain TEXT: prints the operation, the point, the text and the database, and fails.
complain() {
	printf '%s %s: %s\n' "$operation" "${spot-}" "$1"
	printf 'in the database:\n%s\n' "${rows-}"
	return 1
}

# look_before: sets $before to the facts, and $after to those that the whole operation would make. learn() found
# the changes of one case; the other cases have another number in their descriptions.
look_before() {
	before=$(facts)
	after=$({
		comm -23 <(echo "$before") <(sort <<< "${removed//@@/$case-}")
		echo "${added//@@/$case-}"
	} | sed '/^$/d' | sort)
}

# in_between FACTS: these are a state before, after or, when that is allowed, within the operation.
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

# operate: runs the operation; sets $said to its output and $ended to its status.
operate() {
	ended=0
	said=$("operate_$operation" 2>&1) || ended=$?
}

# list_passes: sets $passes to "POINT NTH" for each pass. Of a point that is passed often, only the first $often
# passes and the last one.
list_passes() {
	mapfile -t passes < <(grep -E "${only-.}" "$passed" | awk -v often="${often-1000}" '
		{ name[NR] = $1; nth[NR] = ++count[$1] }
		END { for (i = 1; i <= NR; i++) if (nth[i] <= often || nth[i] == count[name[i]]) print name[i], nth[i] }')
}

# learn: runs the operation without harm, and learns which points it passes and what it changes.
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

killed_at() { # NAME COUNT: the agent is killed there, and restarted
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
	[[ -z $(mounted_without_hold) ]] || complain "mounted without a hold: $(mounted_without_hold)"
	((ended != 0)) || [[ $now == "$after" ]] || complain "what was acknowledged is lost: $(differ "$now")"
	whole
	stop_agent
	: > "$agent_log"
	start
	again=$(facts)
	[[ $again == "$now" ]] || complain "a second restart changes: $(diff <(echo "$now") <(echo "$again"))"
	! grep -Ev 'mount adopted| ready$' "$agent_log" || complain "a second restart has something to do"
}

failed_at() { # NAME COUNT: the step fails there with ENOSPC
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
	if ((ended == 0)); then # the agent could go on, and logged the failure
		[[ $now == "$after" ]] || complain "ends with 0, and is not done: $(differ "$now")"
		# The agent would try the failed unmounts again, but not after a restart.
		for id in $(mounted_without_hold); do
			varve umount "$id"
		done
		stop_agent
		start
	elif [[ $operation == fsck_repair ]]; then # a second repair mends the rest
		varve fsck --repair > /dev/null || true
	else
		[[ $said == "varve: "*[Ss]pace* && $said != *$'\n'* ]] || complain "says: $said"
	fi
	whole
	again=$(facts)
	[[ $again == "$now" ]] || complain "changes afterwards: $(diff <(echo "$now") <(echo "$again"))"
}

# restarts_the_same: after the failures the agent's memory and its database agree.
restarts_the_same() {
	local now
	spot="restart"
	now=$(facts)
	stop_agent
	start
	[[ $(facts) == "$now" ]] || complain "a restart changes: $(diff <(echo "$now") <(facts))"
	whole
}

# crash OPERATION…: learns the operation's passes, then kills the agent, and lets the step fail, at each of them.
crash() {
	local pass
	trap - DEBUG # bats' trap slows each command down, and complain() says where a test failed
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

# finished NAME [OPTION…]: makes a finalized record with a file that is not held; prints its id.
finished() {
	local id
	id=$(varve new --retain --description "$case-$1" "${@:2}")
	echo "$1" > "$agent_root/mnt/$id/file"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

# passes_every PATTERN: the tests before this one have passed all points of these kinds.
passes_every() {
	"$VARVE_BUILD/varved" --fail-points | cut -d' ' -f1 | sort -u > "$BATS_TEST_TMPDIR/all"
	# A new kind of point must be added to one of the lists at the top of this file.
	[[ $(grep -Ev "^($operation_points|$start_points|$spare_points)\." "$BATS_TEST_TMPDIR/all") == "" ]]
	diff <(grep -E "^($1)\." "$BATS_TEST_TMPDIR/all") <(grep -E "^($1)\." "$BATS_FILE_TMPDIR/passed" | sort -u)
}
