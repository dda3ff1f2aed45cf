#!/usr/bin/env bats
# requires root overlay jq python3 setpriv sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# varve simulate: plans for saved states, and replays of traces.

load ../lib/helpers

record() { # ID [MEMBERS]: prints a line of a state
	printf '{"id":"%s","size":100,"createdAt":"2024-05-01T10:00:00Z"%s}\n' "$1" "${2:+,$2}"
}

@test "B65 B66 simulate evicts random states in the order that a plain implementation finds" {
	state=$BATS_TEST_TMPDIR/state
	for seed in {1..60}; do
		keep=$((seed % 3 * 5000000))
		"$BATS_TEST_DIRNAME/../plain-order" "$seed" "$keep" "$state" > "$BATS_TEST_TMPDIR/expected"
		varve simulate --state "$state" --scorer buildkit --keep-storage "$keep" > "$BATS_TEST_TMPDIR/order"
		cmp "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/order" || {
			echo "seed $seed, keep $keep"
			diff "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/order"
			return 1
		}
	done
}

@test "simulate evicts a saved state in the order of the agent's prune" {
	start_agent
	a=$(result a)
	result b > /dev/null
	result c --parent "$a" > /dev/null
	varve pin "$(result pinned)"
	result internal --type internal > /dev/null
	varve get "$(result held)"
	cat "$(varve mount "$a" --read-only)/data" > /dev/null
	varve umount "$a"
	varve du --json > "$BATS_TEST_TMPDIR/state"
	for scorer in access gdsf lru; do
		varve prune --dry-run --json --scorer "$scorer" | command jq -c 'select(.id) | {id, size, score}' > "$BATS_TEST_TMPDIR/live"
		varve simulate --state - --scorer "$scorer" --json < "$BATS_TEST_TMPDIR/state" |
			diff "$BATS_TEST_TMPDIR/live" -
	done
	[[ $(wc -l < "$BATS_TEST_TMPDIR/live") -eq 3 ]]
}

@test "a saved state has what forecast knows of records, and is planned in the order of the agent's prune" {
	start_agent
	a=$(result a)
	b=$(result b)
	c=$(result c --parent "$a")
	d=$(result d)
	# Read just after it was made: a use by its counts, and not one of the history's needs.
	cat "$(varve mount "$b" --read-only)/data" > /dev/null
	varve umount "$b"
	stop_agent
	cost() { # SECONDS RECORD
		sqlite3 "$agent_root/varve.db" "UPDATE pasts SET cost = $1 * 1000
			WHERE layer = (SELECT layer FROM records WHERE id = '$2')"
	}
	# Far apart, since estimates change with time.
	cost 90 "$c"
	cost 300 "$a"
	cost 3000 "$b"
	cost 30 "$d"
	start_agent
	varve du --json > "$BATS_TEST_TMPDIR/state"
	[[ $(varve prune --dry-run --json --scorer forecast | jq -r '.id // empty' | xargs) == "$d $c $a $b" ]]
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" --scorer forecast | xargs) == "$d $c $a $b" ]]
	jq -e -s 'map({key: .id, value: .cost}) | from_entries | .[$d] == 30 and .[$b] == 3000' \
		--arg b "$b" --arg d "$d" "$BATS_TEST_TMPDIR/state"
	jq -e -s 'all(.neededAgain > 0)' "$BATS_TEST_TMPDIR/state"
	# Without what the history knows, only the records' own rows are left.
	[[ $(jq -c 'del(.cost, .neededAgain)' "$BATS_TEST_TMPDIR/state" |
		varve simulate --state - --scorer forecast | xargs) != "$d $c $a $b" ]]
}

@test "simulate refuses costs and forecasts that cannot be" {
	for members in '"cost":-1' '"cost":1e300' '"cost":"40"' '"neededAgain":0' '"neededAgain":-5' '"neededAgain":true'; do
		record a "$members" > "$BATS_TEST_TMPDIR/state"
		run -1 varve simulate --state "$BATS_TEST_TMPDIR/state" --scorer forecast
		assert_output_has "state:1:"
	done
	record a '"cost":null,"neededAgain":null' > "$BATS_TEST_TMPDIR/state"
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" --scorer forecast) == a ]]
}

@test "simulate runs without an agent and without root" {
	record a > "$BATS_TEST_TMPDIR/state"
	chmod 644 "$BATS_TEST_TMPDIR/state"
	[[ $(VARVE_ADDRESS=unix:///nowhere setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$VARVE_BUILD/varve" simulate --state - < "$BATS_TEST_TMPDIR/state") == a ]]
}

@test "each scorer orders records by its own criteria" {
	{
		record old '"lastUsedAt":"2024-05-01T10:00:00Z","usageCount":9'
		record new '"lastUsedAt":"2024-05-03T10:00:00.000000001Z","usageCount":1'
		record newest '"lastUsedAt":"2024-05-03T10:00:00.000000002Z","usageCount":1'
		echo '{"id":"big","size":1000000,"lastUsedAt":"2024-05-04T10:00:00Z","usageCount":9}'
	} > "$BATS_TEST_TMPDIR/state"
	order() {
		varve simulate --state "$BATS_TEST_TMPDIR/state" --scorer "$1" | xargs
	}
	[[ $(order lru) == "old new newest big" ]]
	[[ $(order gdsf) == "big new newest old" ]]
	[[ $(order buildkit) == "new newest old big" ]]
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" --policy lru | head -n 1) == old ]]
}

@test "simulate keeps the records that its options and their state protect" {
	{
		record free
		record young '"lastUsedAt":"2024-05-03T10:00:00Z"'
		record frontend '"recordType":"frontend"'
		record shared '"shared":true'
		record labelled '"labels":{"a.b":"c"}'
		record pinned '"pinned":true'
		record used '"inUse":true'
		record parent
		record child '"parents":["parent"],"inUse":true'
		record orphan '"parents":["elsewhere"],"size":null'
	} > "$BATS_TEST_TMPDIR/state"
	order() {
		varve simulate --state "$BATS_TEST_TMPDIR/state" "$@" | sort | xargs
	}
	[[ $(order) == "free labelled orphan young" ]]
	[[ $(order -a) == "free frontend labelled orphan shared young" ]]
	[[ $(order --keep-duration 2h --now 2024-05-03T11:00:00Z) == "free labelled orphan" ]]
	[[ $(order --keep-duration 2h --now 2024-05-03T13:00:00Z) == "free labelled orphan young" ]]
	[[ $(order --filter 'labels."a.b"==c' --filter 'lastused>0') == "labelled young" ]]
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" --json | jq -c 'select(.id == "orphan") | .size') == null ]]
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" --keep-storage 700 | wc -l) -eq 2 ]] # of 800
}

refused() { # TEXT ARGUMENT…: simulate fails with this text on standard error and prints nothing else
	local text=$1
	shift
	run --separate-stderr varve simulate "$@"
	# shellcheck disable=SC2154
	if [[ $status -eq 0 || $output != "" || $stderr != *"$text"* ]]; then
		echo "$status: $output: $stderr"
		return 1
	fi
}

@test "simulate refuses an invalid state and names file, line and fault" {
	bad() { # TEXT LINE
		{
			record first
			echo
			printf '%s\n' "$2"
		} > "$BATS_TEST_TMPDIR/state"
		refused "state:3: $1" --state "$BATS_TEST_TMPDIR/state"
	}
	bad 'invalid JSON' '{"id":"a"'
	bad 'invalid JSON' '{"id":"a"} {}'
	bad 'not a JSON object' '[1]'
	bad 'the record has no "id"' '{"size":1}'
	bad '"id" is not a string' '{"id":7}'
	bad "record 'first' is already on line 1" '{"id":"first"}'
	bad '"size" is not a whole number' '{"id":"a","size":-1}'
	bad '"size" is not a whole number' '{"id":"a","size":1.5}'
	bad '"size" is not a whole number' '{"id":"a","size":"1"}'
	bad '"lastUsedAt" is not a time' '{"id":"a","lastUsedAt":"yesterday"}'
	bad '"inUse" is neither' '{"id":"a","inUse":"no"}'
	bad '"parents" is not a list' '{"id":"a","parents":"b"}'
	bad 'the record has 2 parents' '{"id":"a","parents":["b","c"]}'
	bad "record 'a' is among its own ancestors" '{"id":"a","parents":["a"]}'
	bad "the value of label 'x'" '{"id":"a","labels":{"x":1}}'
	refused 'open /nowhere' --state /nowhere
	refused 'exceed 2^63' --state - <<< '{"id":"a","size":9223372036854775807}
{"id":"b","size":1}'
}

@test "simulate refuses invalid and contradictory options" {
	record a > "$BATS_TEST_TMPDIR/state"
	refused 'either --state, --trace or --history'
	refused 'either --state, --trace or --history' --state x --trace y
	refused "unknown scorer 'best'" --state "$BATS_TEST_TMPDIR/state" --scorer best
	refused 'no file system to take a share of' --state "$BATS_TEST_TMPDIR/state" --keep-storage 10%
	refused "invalid time 'noon'" --state "$BATS_TEST_TMPDIR/state" --now noon
	refused "filter 'id=x'" --state "$BATS_TEST_TMPDIR/state" --filter id=x
	refused '--trace needs a limit' --trace "$BATS_TEST_TMPDIR/state"
	refused '--filter is for --state only' --trace x --keep-storage 1G --filter id
}

@test "simulate reports how many bytes each scorer would have had to make again" {
	{
		echo '{"t":0,"id":"a","op":"create","size":100}'
		echo '{"t":1,"id":"b","op":"create","size":100,"parent":"a"}'
		echo '{"t":2,"id":"a","op":"use"}'
		echo '{"t":3,"id":"b","op":"create"}'
		echo '{"t":3,"id":"c","op":"create","size":100}' # 300 bytes of 250: access and lru evict b
		echo '{"t":5,"id":"b","op":"use"}' # a miss: c is evicted, which is not used again
		echo '{"t":6,"id":"b","op":"use","size":100,"parent":"a"}'
	} > "$BATS_TEST_TMPDIR/trace"
	varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 250 --json > "$BATS_TEST_TMPDIR/table"
	jq -e -s 'map(.scorer) == ["access", "buildkit", "forecast", "gdsf", "lru", "clairvoyant", "bound"]' "$BATS_TEST_TMPDIR/table"
	jq -e -s '.[] | select(.scorer == "lru") | .uses == 3 and .hits == 2 and .recreatedBytes == 100 and .evicted == 2 and .mostBytes == 200' "$BATS_TEST_TMPDIR/table"
	jq -e -s '.[] | select(.scorer == "bound") | .recreatedBytes == 0' "$BATS_TEST_TMPDIR/table"
	run -0 varve simulate --trace - --keep-storage 250 --scorer lru < "$BATS_TEST_TMPDIR/trace"
	[[ ${lines[0]} == SCORER*"BYTE HITS"* && ${lines[1]} == lru*66.67%*100* && ${lines[2]} == clairvoyant* && ${#lines[@]} -eq 4 ]]
}

@test "no scorer beats the clairvoyant one, which does not beat the bound" {
	"$BATS_TEST_DIRNAME/../../scripts/make-trace" --days 7 --projects 20 > "$BATS_TEST_TMPDIR/trace"
	"$BATS_TEST_DIRNAME/../../scripts/make-trace" --days 7 --projects 20 | cmp - "$BATS_TEST_TMPDIR/trace"
	"$BATS_TEST_DIRNAME/../../scripts/make-trace" --days 7 --projects 20 --seed 2 > "$BATS_TEST_TMPDIR/other"
	run ! cmp -s "$BATS_TEST_TMPDIR/other" "$BATS_TEST_TMPDIR/trace"
	for limit in 5G 20G 1T; do
		varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage "$limit" --json |
			jq -e -s --arg limit "$limit" '.[-2] as $best | .[-1] as $bound | $best.recreatedBytes >= $bound.recreatedBytes and
				(.[:-2] | all(.recreatedSeconds >= $best.recreatedSeconds)) and
				($limit != "1T" or ($best.hitRatio == 1 and .[0].evicted == 0))'
	done
}

@test "simulate refuses an invalid trace and names file, line and fault" {
	bad() { # TEXT LINE
		{
			echo '{"t":5,"id":"a","op":"create","size":100}'
			echo '{"t":6,"id":"b","op":"create","size":100,"parent":"a"}'
			printf '%s\n' "$2"
		} > "$BATS_TEST_TMPDIR/trace"
		refused "trace:3: $1" --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 1G
	}
	bad 'invalid JSON' 'use a'
	bad 'the event has no "id"' '{"t":6,"op":"use"}'
	bad '"op" is neither' '{"t":6,"id":"a","op":"delete"}'
	bad '"op" is neither' '{"t":6,"id":"a"}'
	bad '"t" is neither seconds' '{"id":"a","op":"use"}'
	bad '"t" is neither seconds' '{"t":-1,"id":"a","op":"use"}'
	bad '"t" is not a time' '{"t":"noon","id":"a","op":"use"}'
	bad '"t" is before that of the line before' '{"t":5.5,"id":"a","op":"use"}'
	bad "the first event of 'c' has no \"size\"" '{"t":6,"id":"c","op":"use"}'
	bad "the size of 'a' differs from the one on line 1" '{"t":6,"id":"a","op":"use","size":1}'
	bad "the parent of 'b' differs from the one on line 2" '{"t":6,"id":"b","op":"use","parent":"b"}'
	bad "all sizes together exceed 2^63" '{"t":6,"id":"c","op":"use","size":9223372036854775707}'
	bad "the parent 'x' was never created" '{"t":6,"id":"c","op":"create","size":1,"parent":"x"}'
}

@test "simulate shows the seconds that making records again takes when the trace has costs" {
	{
		echo '{"t":0,"id":"dear","op":"create","size":100,"cost":600,"builder":"unknown members are ignored"}'
		echo '{"t":1,"id":"cheap","op":"create","size":100,"cost":2}'
		echo '{"t":2,"id":"new","op":"create","size":100}' # 300 of 250
		echo '{"t":3000,"id":"dear","op":"use"}'
		echo '{"t":3001,"id":"cheap","op":"use"}'
	} > "$BATS_TEST_TMPDIR/trace"
	varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 250 --json > "$BATS_TEST_TMPDIR/table"
	jq -e -s '.[] | select(.scorer == "forecast") | .recreatedSeconds == 2 and .recreatedBytes == 100' "$BATS_TEST_TMPDIR/table"
	jq -e -s '.[] | select(.scorer == "lru") | .recreatedSeconds == 602' "$BATS_TEST_TMPDIR/table"
	run -0 varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 250 --scorer forecast
	[[ ${lines[0]} == *RE-CREATED*IN* && ${lines[1]} == *"2 s"* ]]
}

@test "simulate evicts what was never read first while nothing was learned" {
	{
		echo '{"t":0,"id":"dear","op":"create","size":100,"cost":6000}'
		echo '{"t":1,"id":"cheap","op":"create","size":100,"cost":2}'
		echo '{"t":2,"id":"cheap","op":"use"}'
		echo '{"t":3,"id":"new","op":"create","size":100,"cost":2}' # 300 of 250
		echo '{"t":3000,"id":"cheap","op":"use"}'
	} > "$BATS_TEST_TMPDIR/trace"
	varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 250 --json |
		jq -e -s '.[] | select(.scorer == "forecast") | .hits == 2 and .recreatedBytes == 0'
	{
		record dear '"cost":6000,"neededAgain":3600,"keptLonger":false'
		record cheap '"cost":2,"neededAgain":36000,"keptLonger":true'
	} > "$BATS_TEST_TMPDIR/state"
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" --scorer forecast | xargs) == "dear cheap" ]]
}

@test "simulate refuses a negative or absurd cost and names its line" {
	for cost in -1 1e30 '"long"'; do
		printf '%s\n' '{"t":0,"id":"a","op":"create","size":100,"cost":1}' "{\"t\":0,\"id\":\"b\",\"op\":\"create\",\"size\":100,\"cost\":$cost}" > "$BATS_TEST_TMPDIR/trace"
		run -1 varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 250
		assert_output_has ":2: \"cost\" is not a number of seconds"
	done
}

@test "make-trace prints the same workload for the same kind and seed" {
	for kind in host fleet laptop node monorepo floods drift loop bait; do
		"$BATS_TEST_DIRNAME/../../scripts/make-trace" --kind "$kind" --days 3 --projects 12 > "$BATS_TEST_TMPDIR/trace"
		"$BATS_TEST_DIRNAME/../../scripts/make-trace" --kind "$kind" --days 3 --projects 12 | cmp - "$BATS_TEST_TMPDIR/trace"
		varve simulate --trace "$BATS_TEST_TMPDIR/trace" --keep-storage 1G --json |
			jq -e -s '(.[] | select(.scorer == "forecast") | .uses) > 0'
	done
}
