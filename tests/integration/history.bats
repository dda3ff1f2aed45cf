#!/usr/bin/env bats
# requires root overlay jq sqlite3 faketime umoci skopeo docker-registry
# SPDX-License-Identifier: Apache-2.0
#
# What the agent remembers of layers, and learns from it.

load ../lib/helpers
load ../lib/images
load ../lib/registry

teardown() {
	stop_registry
	agent_teardown
}

# Starts the agent with a clock that is so much ahead.
start_agent_later() { # TIME
	agent_launcher="env FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME=+$1 LD_PRELOAD=$(preload /usr/lib/*/faketime/libfaketimeMT.so.1)" start_agent
}

# Reads a record through a mount of its own.
read_record() {
	cat "$(varve mount --read-only "$1")/data" > /dev/null
	varve umount "$1"
}

events() { # [OPTION…]
	varve history --json "$@" | jq -r .event | xargs
}

@test "the history tells when a layer was made, needed and evicted, oldest first" {
	start_agent
	id=$(result base)
	read_record "$id"
	[[ $(events "$id") == "made needed" || $(events "$id") == made ]]
	varve prune --all > /dev/null
	run -0 varve history --json
	jq -e -s '.[0].event == "made" and .[-1].event == "evicted" and .[-1].by == "prune/forecast" and
		.[-1].size >= 1048576 and .[0].layer == .[-1].layer' <<< "$output"
	run -0 varve history
	assert_output_has "evicted"
}

@test "a read ten minutes and more after the one before is an event, and the reads in between are not" {
	count_accesses
	start_agent
	base=$(result base)
	id=$(result top --parent "$base")
	read_record "$id"
	[[ $(events) == "made made" ]]
	stop_agent
	start_agent_later 20m
	read_record "$id"
	read_record "$id"
	[[ $(events "$id") == "made needed" ]]
	# One event is enough: what lies below is needed along with it.
	[[ $(events "$base") == made ]]
	run -0 varve du -o "needed again" --no-trunc
	assert_output_has "(records like it: read every 15 min or so, idle for "
	stop_agent
	start_agent_later 50m
	read_record "$id"
	[[ $(events "$id") == "made needed needed" ]]
}

@test "what fetching and unpacking took is the cost of a pulled layer; that of a lazy one is not known" {
	make_images
	start_registry
	skopeo copy --quiet --dest-tls-verify=false "oci:$layout:one" "docker://$registry/image:one"
	start_agent
	id=$(varve pull --lazy "$registry/image:one")
	varve ls --json | jq -e -s 'all(.lazy)'
	varve du --json | jq -e -s 'length == 3 and all(.cost == null)'
	[[ $(varve du -o cost | grep -cx ' *[–-]') == 3 ]]
	[[ -z $(varve history -q) ]]
	varve mount "$id" --read-only
	varve du --json | jq -e -s 'all(.cost > 0 and .cost < 600)'
	varve history --json | jq -e -s 'length == 3 and all(.event == "made" and .cost > 0 and .size > 0 and .record != null)'
	run -0 varve inspect "$id"
	assert_output_has "Cost:"
	assert_output_has "Needed again:"
	stop_agent
	start_agent
	varve du --json | jq -e -s 'all(.cost > 0)'
}

@test "a layer that falls back to lazy is evicted, and one that is filled again is a regret, also after a restart" {
	make_images
	start_agent
	id=$(varve import "oci:$layout:one" 2> /dev/null)
	varve release "$id"
	[[ $(events) == "made made made" ]]
	varve prune --to-lazy --scorer lru > /dev/null
	[[ $(events) == "made made made evicted evicted evicted" ]]
	kill_agent
	start_agent
	varve mount "$id" --read-only
	[[ $(events "$id") == "made evicted made" ]]
	varve regret --json | jq -e '.by == "prune/lru" and .evicted == 3 and .day.layers == 3 and .day.cost > 0'
	varve umount "$id"
	stop_agent
	start_agent
	[[ $(events "$id") == "made evicted made" ]]
}

@test "a plan that is executed later is regretted by the scorer that made it" {
	start_agent
	result planned > /dev/null
	plan=$(varve prune --dry-run --scorer gdsf --json | jq -r 'select(.plan).plan')
	varve prune --plan "$plan" > /dev/null
	[[ $(varve history --json | jq -r 'select(.event == "evicted").by') == prune/gdsf ]]
}

@test "a layer that is made again after its eviction is a regret of that policy and scorer" {
	start_agent
	result "compile the kernel" > /dev/null
	varve prune --all --scorer lru > /dev/null
	again=$(result "compile the kernel")
	run -0 varve regret --json
	assert_json '.by == "prune/lru" and .evicted == 1 and .day.layers == 1 and .week.layers == 1'
	run -0 varve history "$again" --json
	assert_json_lines '.[0].event == "made" and .[0].by == "prune/lru" and .[0].regretAfter > 0'
	run -0 varve regret
	assert_output_has "prune/lru"
}

@test "what the owner of a layer removed is not a regret when it is made again" {
	start_agent
	varve rm "$(result "compile the kernel")"
	result "compile the kernel" > /dev/null
	[[ $(varve history --json | jq -r .event | xargs) == "made removed made" ]]
	[[ -z $(varve regret --json) ]]
}

@test "the same description on another parent, or of another type, is another layer" {
	start_agent
	a=$(result a)
	b=$(result b)
	result step --parent "$a" > /dev/null
	varve rm "$(varve ls --json | jq -r 'select(.description == "step") | .id')"
	result step --parent "$b" > /dev/null
	varve history --json | jq -e -s '[.[] | select(.event == "made") | .identity] | length == 4 and (unique | length == 4)'
}

@test "the history survives kill -9 and a restart" {
	start_agent
	result kept > /dev/null
	varve prune --all > /dev/null
	varve history > /dev/null # which folds
	kill_agent
	start_agent
	[[ $(events) == "made evicted" ]]
	result kept > /dev/null
	[[ $(varve regret --json | jq .day.layers) == 1 ]]
	stop_agent
	start_agent
	[[ $(events) == "made evicted made" ]]
	[[ $(varve regret --json | jq .day.layers) == 1 ]]
}

@test "a store from before the history begins one with what its records tell" {
	start_agent
	a=$(result a)
	result b --parent "$a" > /dev/null
	stop_agent
	sqlite3 "$agent_root/varve.db" "DELETE FROM history; DELETE FROM pasts; DELETE FROM departed"
	start_agent
	[[ $(events) == "made made" ]]
	[[ $(varve history --json | jq -r .record | head -n 1) == "$a" ]]
	[[ $(varve prune --all --scorer forecast --dry-run --json | jq -r '.id // empty' | tail -n 1) == "$a" ]]
}

@test "the time that work in a record took is its cost" {
	count_accesses
	start_agent
	id=$(varve new --retain --description slow)
	mount=$(varve mount "$id")
	for i in 1 2 3; do
		echo "$i" > "$mount/file"
		sleep 0.5 # the work
	done
	varve commit "$id" > /dev/null
	varve history --json | jq -e -s '.[0].cost >= 1.4 and .[0].cost < 600'
}

@test "the history can be replayed, and shared without names" {
	start_agent
	a=$(result "a secret name")
	b=$(result another --parent "$a")
	read_record "$b"
	varve prune --all > /dev/null
	result "a secret name" > /dev/null
	run -0 varve history --export
	[[ $output != *secret* && $output != *sha256* && $output != *"$a"* ]]
	varve history --export | jq -e -s '.[0].op == "create" and .[0].size >= 1048576 and .[1].parent == .[0].id and .[-1].op == "use"'
	varve history --export | varve simulate --trace - --keep-storage 10M --json > "$BATS_TEST_TMPDIR/exported"
	varve simulate --history --keep-storage 10M --json | diff "$BATS_TEST_TMPDIR/exported" -
	varve history --export --names | jq -e -s '.[0].id | startswith("sha256:")'
}

@test "prune by forecast says when a layer would be needed again" {
	count_accesses
	start_agent
	result unread > /dev/null
	above=$(result above --parent "$(result below)")
	stop_agent
	# A cheap parent takes what lies on it along.
	sqlite3 "$agent_root/varve.db" "UPDATE pasts SET cost = 10;
		UPDATE pasts SET cost = 1000000 WHERE layer = (SELECT layer FROM records WHERE id = '$above')"
	start_agent
	run -0 varve prune --dry-run --no-trunc
	assert_output_has "never used; would be needed again in about "
	assert_output_has "(records like it: not read, idle for "
	assert_output_has "; takes "
	assert_output_has " with the 1 below it"
	run -0 varve explain "$(varve prune --dry-run -q | head -n 1)"
	assert_output_has "would be needed again in about "
}

@test "while little was learned, no record that was read is evicted before one that was not" {
	count_accesses
	start_agent
	cheap=$(result cheap)
	dear=$(result dear)
	read_record "$cheap"
	varve stats > /dev/null # folds
	stop_agent
	sqlite3 "$agent_root/varve.db" "
		UPDATE pasts SET cost = 1000000 WHERE layer = (SELECT layer FROM records WHERE id = '$dear')"
	start_agent
	[[ $(varve prune --dry-run -q | xargs) == "$dear $cheap" ]]
	varve du --json > "$BATS_TEST_TMPDIR/state"
	jq -e -s --arg cheap "$cheap" 'all(.keptLonger == (.id == $cheap))' "$BATS_TEST_TMPDIR/state"
	[[ $(varve simulate --state "$BATS_TEST_TMPDIR/state" | xargs) == "$dear $cheap" ]]
}

@test "rows of the history that cannot be are survived, shown, and change no order but their own" {
	start_agent
	a=$(result a)
	result b --parent "$a" > /dev/null
	stop_agent
	sqlite3 "$agent_root/varve.db" "
		UPDATE pasts SET first = 9000000000000000000, last = -5, counted = -9000000000000000000,
			log_gap = 9000000000000000000, needs = -1, cost = -3;
		INSERT INTO pasts VALUES('999999', 'nonsense', '999999', 0, 0, 0, 0, 0, 0, 9000000000000000000, -7, 9000000000000000000);
		INSERT INTO departed VALUES('sha256:0', 9000000000000000000, 'x', -1, -1, -1, -1, -1, -1, -1);
		INSERT INTO history(at, event, layer, identity, below, record, bytes, cost, by, since) VALUES
			(9000000000000000000, 77, 'x', 'x', 'x', 'x', -9, -9, 'no slash', -9),
			(1, 1, '1', '1', '1', '1', 9000000000000000000, 9000000000000000000, '/', 9000000000000000000),
			(-1, 3, '', '', '', '', 0, 0, '', 0);
		INSERT OR REPLACE INTO store(key, value) VALUES('forecast', '1 1e300 -5 nan 3')"
	start_agent
	varve du --json | jq -e -s 'length == 2 and all(.cost == null and .neededAgain > 0)'
	[[ $(varve prune --dry-run -q --all | tail -n 1) == "$a" ]]
	[[ $(events) == *made*unknown* ]]
	run -0 varve history
	run -0 varve regret
	varve history --export | varve simulate --trace - --keep-storage 1M > /dev/null
	varve fsck
	stop_agent
	start_agent
	varve du --json | jq -e -s 'all(.neededAgain > 0)'
}

@test "forecast show has what was learned, also after a restart" {
	count_accesses
	start_agent
	id=$(result seen)
	[[ -z $(varve forecast show --json | jq 'select(.returns > 0)') ]]
	stop_agent
	start_agent_later 20m
	read_record "$id"
	varve forecast show --json > "$BATS_TEST_TMPDIR/learned"
	jq -e -s 'map(select(.returns > 0)) | length == 1 and .[0].needsFrom == 1 and (.[0].returns | . > 0.9 and . < 1.1) and
		(.[0].trust | . > 0 and . < 0.1) and (.[0].cells | map(.returns) | add | . > 0.9)' "$BATS_TEST_TMPDIR/learned"
	run -0 varve forecast show
	assert_output_has "NEEDS"
	assert_output_has "1, and 0 that are gone"
	assert_output_has "too little, 1 of 100 returns"
	stop_agent
	start_agent_later 20m
	returns() {
		varve forecast show --json | jq -s 'map(.returns) | add * 1000 | round'
	}
	[[ $(returns) == $(jq -s 'map(.returns) | add * 1000 | round' "$BATS_TEST_TMPDIR/learned") ]]
	run -2 varve forecast show -q
}

@test "policy show says what a policy has regretted" {
	printf '[prune]\nautomatic = no\n[policy "tight"]\nmax_used_space = 1K\nscorer = gdsf\n[policy "other"]\nmax_used_space = 1K\n' > "$agent_config"
	start_agent
	result "compile the kernel" > /dev/null
	varve policy show --json | jq -e -s 'map(select(.name == "tight"))[0] | .regrets == [] and .scorer == "gdsf"'
	varve policy show --json | jq -e -s 'map(select(.name == "other"))[0] | .scorer == "forecast"'
	varve prune --policy tight > /dev/null
	result "compile the kernel" > /dev/null
	[[ $(varve regret --json | jq -r .by) == tight/gdsf ]] # which folds
	varve policy show --json | jq -e -s 'map(select(.name == "tight"))[0] | .regrets[0].week.layers == 1 and .regrets[0].evicted == 1'
	varve policy show --json | jq -e -s 'map(select(.name == "other"))[0] | .regrets == []'
	run -0 varve policy show -o name,regret --no-trunc
	assert_output_has "1 of 1 evicted layers made again within 7 days (1 MiB, "
}

@test "regrets are read from an index, not from the whole history" {
	start_agent
	stop_agent
	sqlite3 "$agent_root/varve.db" "EXPLAIN QUERY PLAN SELECT by, count(*) FROM history WHERE by <> '' GROUP BY by" |
		grep -q "INDEX history_by"
}

@test "policy advise replays the host's own history with each scorer, and changes nothing" {
	printf '[prune]\nautomatic = no\n[policy "mine"]\nmax_used_space = 3M\nscorer = lru\n' > "$agent_config"
	start_agent
	for i in 1 2 3 4 5; do
		result "step $i" > /dev/null
	done
	varve prune --all > /dev/null
	for i in 1 2 3 4 5; do
		result "step $i" > /dev/null
	done
	before=$(varve ls -q | sort)
	events_before=$(events)
	run -0 varve policy advise
	[[ ${lines[0]} == "On your last "*", with a limit of 3 MiB:" ]]
	assert_output_has "forecast"
	assert_output_has "mine: "
	varve policy advise --keep-storage 4M --since 7d --json |
		jq -e '(.scorers | length) == 5 and .limit == 4194304 and (.scorers | map(select(.scorer == "lru"))[0].policies) == "mine"'
	# Where nothing has to go, there is nothing to advise.
	run -0 varve policy advise --keep-storage 1G
	assert_output_has "Nothing would have been evicted."
	[[ $(varve ls -q | sort) == "$before" && $(events) == "$events_before" ]]
	run -2 varve policy advise --since noon
	run -2 varve policy advise --keep-storage lots
	stop_agent
	printf '[prune]\nautomatic = no\n' > "$agent_config"
	start_agent
	run -0 varve policy advise
}

@test "history and regret refuse what they cannot mean" {
	start_agent
	run -2 varve history --since noon
	assert_output_has "invalid time 'noon'"
	run -2 varve history --names
	run -4 varve history zzzz
	run -2 varve simulate --history
	assert_output_has "--history needs a limit"
	[[ -z $(varve history --since 1h -q) ]]
}
