#!/usr/bin/env bats
# requires root overlay jq protoc python3-grpc
# SPDX-License-Identifier: Apache-2.0
#
# BuildKit's control service, called by an independent gRPC implementation: every call and field, also
# with the meanings that older clients know, and calls that are refused.

load ../lib/helpers

setup_file() {
	local protos=$BATS_TEST_DIRNAME/../data/buildkit
	[[ -n $(command -v protoc) ]] || return 0 # each test then skips
	protoc --python_out="$BATS_FILE_TMPDIR" -I"$protos" "$protos"/*.proto
	export PYTHONPATH=$BATS_FILE_TMPDIR
}

control() { # METHOD [JSON]
	"$BATS_TEST_DIRNAME/../control-client" "$agent_socket" "$@"
}

# refused STATUS TEXT METHOD [JSON]
refused() {
	local wanted=$1 text=$2
	shift 2
	run --separate-stderr control "$@"
	[[ $status -eq $wanted && $stderr == *"$text"* && -z $output ]] || {
		printf 'status %s instead of %s; said: %s\n' "$status" "$wanted" "$stderr"
		return 1
	}
}

du_ids() { # FILTER…
	control DiskUsage "$(jq -cn '{filter: $ARGS.positional}' --args -- "$@")" | jq -r '.record[].ID' | sort
}

ids() {
	printf '%s\n' "$@" | sort
}

mib() {
	echo $(($1 << 20))
}

untouched() { # NAME [OPTION…]: like result, but without a file and never used; prints its id
	local id
	id=$(varve commit "$(varve new --retain --description "$@")")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

read_it() { # ID: mounts the record, reads its file, and unmounts it
	cat "$(varve mount "$1" --read-only)/data" > /dev/null
	varve umount "$1"
}

@test "DiskUsage reports every field of a record as varve inspect shows it" {
	start_agent
	base=$(result base --type source.local)
	held=$(varve new --parent "$base" --description "a held one" --type exec.cachemount)
	read_it "$base"
	varve lease create checker
	varve lease need checker "$base"
	control DiskUsage > "$BATS_TEST_TMPDIR/du"
	for id in "$base" "$held"; do
		run jq -c --arg id "$id" '.record[] | select(.ID == $id)' "$BATS_TEST_TMPDIR/du"
		shown=$(varve inspect --json "$id" | jq -c '{ID: .id, Mutable: .mutable, InUse: .inUse, Size: (.size | tostring),
			Parent: (.parents[0] // ""), CreatedAt: .createdAt, UsageCount: (.usageCount | tostring),
			Description: .description, RecordType: .recordType, Shared: .shared, Parents: .parents}')
		assert_json "del(.LastUsedAt, .CreatedAt) == ($shown | del(.CreatedAt))"
		# Times are compared to the second, because varve writes them in another format.
		assert_json ".CreatedAt[:19] == ($shown).CreatedAt[:19]"
	done
	run jq -c --arg id "$base" '.record[] | select(.ID == $id)' "$BATS_TEST_TMPDIR/du"
	assert_json '.InUse and .Shared and (.Mutable | not) and .UsageCount != "0" and .RecordType == "source.local"'
	assert_json ".LastUsedAt[:19] == \"$(varve inspect --json "$base" | jq -r '.lastUsedAt[:19]')\""
	run jq -c --arg id "$held" '.record[] | select(.ID == $id)' "$BATS_TEST_TMPDIR/du"
	assert_json ".Mutable and .Parents == [\"$base\"] and .Parent == \"$base\""
	# A record that was never used has no time of last use, which differs from 1970.
	assert_json 'has("LastUsedAt") | not'
}

@test "DiskUsage takes BuildKit's filter keys: a comma means and, several filters mean or" {
	start_agent
	base=$(result base --type internal)
	child=$(result "a child" --parent "$base")
	other=$(result other --type source.git.checkout)
	held=$(varve new)
	varve lease create checker
	varve lease need checker "$other"
	[[ $(du_ids "id==$child") == "$child" ]]
	[[ $(du_ids "id~=${child:0:9}") == "$child" ]]
	[[ $(du_ids "parents==$base") == "$child" ]]
	[[ $(du_ids "parent==$base") == "$child" ]]
	[[ $(du_ids 'description=="a child"') == "$child" ]]
	[[ $(du_ids 'description~=chil') == "$child" ]]
	[[ $(du_ids inuse) == "$held" ]]
	[[ $(du_ids mutable) == "$held" ]]
	[[ $(du_ids immutable) == $(ids "$base" "$child" "$other") ]]
	[[ $(du_ids type==internal) == "$base" ]]
	[[ $(du_ids 'type!=regular') == $(ids "$base" "$other") ]]
	[[ $(du_ids shared) == "$other" ]]
	[[ $(du_ids private) == $(ids "$base" "$child" "$held") ]]
	[[ $(du_ids immutable,private,type==regular) == "$child" ]]
	[[ $(du_ids type==internal shared) == $(ids "$base" "$other") ]]
	# buildx sends an empty filter when the user gave none.
	[[ $(du_ids '' | wc -l) -eq 4 ]]
	[[ $(du_ids id==nosuch) == "" ]]
}

@test "DiskUsage with an age limit leaves out records that were used since" {
	count_accesses
	start_agent
	used=$(result used)
	never=$(untouched never)
	read_it "$used"
	hour=3600000000000
	[[ $(control DiskUsage | jq '.record | length') -eq 2 ]]
	[[ $(control DiskUsage "{\"ageLimit\": $hour}" | jq -r '.record[].ID') == "$never" ]]
	[[ $(control DiskUsage '{"ageLimit": 1}' | jq '.record | length') -eq 2 ]]
	[[ $(control DiskUsage "{\"ageLimit\": $hour, \"filter\": [\"id==$used\"]}" | jq '.record | length') -eq 0 ]]
}

@test "DiskUsage answers with one message, for an empty store as for 1500 records" {
	start_agent
	[[ $(control DiskUsage) == '{"record": []}' ]]
	stop_agent
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" 1500
	start_agent
	control DiskUsage > "$BATS_TEST_TMPDIR/du"
	[[ $(jq '.record | length' "$BATS_TEST_TMPDIR/du") -eq 1500 ]]
	[[ $(jq -r '.record[].ID' "$BATS_TEST_TMPDIR/du" | sort | sha256sum) == $(varve du -q | sort | sha256sum) ]]
}

@test "Prune reports each deleted record with all of its fields" {
	start_agent
	base=$(result base)
	child=$(result "a child" --parent "$base" --type source.local)
	read_it "$child"
	varve stats > /dev/null
	wanted=$(control DiskUsage | jq -c '.record | map({ID, Mutable, InUse, Size, Parent, CreatedAt, LastUsedAt, UsageCount,
		Description, RecordType, Shared, Parents}) | sort_by(.ID)')
	control Prune > "$BATS_TEST_TMPDIR/pruned"
	[[ $(jq -r .ID "$BATS_TEST_TMPDIR/pruned") == "$child"$'\n'"$base" ]]
	run jq -sc 'map({ID, Mutable, InUse, Size, Parent, CreatedAt, LastUsedAt, UsageCount, Description, RecordType, Shared,
		Parents}) | sort_by(.ID)' "$BATS_TEST_TMPDIR/pruned"
	[[ $output == "$wanted" ]]
	[[ $(varve ls -q) == "" && $(count_layers) -eq 0 ]]
	[[ $(control Prune) == "" ]]
}

@test "Prune keeps records that are in use, internal, frontend, shared or recently used, as its options say" {
	count_accesses
	start_agent
	held=$(result held)
	varve get "$held"
	internal=$(result internal --type internal)
	frontend=$(result frontend --type frontend)
	shared=$(result shared)
	varve lease create checker
	varve lease need checker "$shared"
	young=$(result young)
	regular=$(untouched regular)
	local=$(untouched local --type source.local)
	read_it "$young"
	pruned() {
		control Prune "$1" | jq -r .ID | sort
	}
	[[ $(pruned '{"filter": ["type==source.local", "description==nosuch"]}') == "$local" ]]
	[[ $(pruned '{"keepDuration": 3600000000000}') == "$regular" ]]
	[[ $(pruned '{}') == "$young" ]]
	[[ $(pruned '{"all": true}') == $(ids "$internal" "$frontend" "$shared") ]]
	[[ $(varve ls -q) == "$held" ]]
}

@test "Prune takes field 4 alone as the limit, under its old and its new name" {
	start_agent
	for name in a b c d e; do
		result "$name"
	done
	[[ $(control old/Prune "{\"keepBytes\": $(mib 10)}") == "" ]]
	[[ $(control old/Prune "{\"keepBytes\": $(($(mib 4) + 500000))}" | jq -r .ID | wc -l) -eq 1 ]]
	[[ $(control Prune "{\"reservedSpace\": $(($(mib 3) + 500000))}" | jq -r .ID | wc -l) -eq 1 ]]
	# 0 means no limit: prune evicts everything.
	[[ $(control old/Prune '{"keepBytes": 0, "all": true}' | jq -r .ID | wc -l) -eq 3 ]]
	[[ $(varve ls -q) == "" ]]
}

@test "Prune combines reserved, max used and min free space as BuildKit does" {
	start_agent
	for name in a b c d e; do
		result "$name"
	done
	gone() {
		control Prune "$1" | jq -r .ID | wc -l
	}
	[[ $(gone "{\"maxUsedSpace\": $(mib 10)}") -eq 0 ]]
	[[ $(gone '{"minFreeSpace": 1}') -eq 0 ]]
	# A minimum of free space that is met anyway evicts nothing.
	[[ $(gone "{\"minFreeSpace\": 1, \"reservedSpace\": 1}") -eq 0 ]]
	[[ $(gone "{\"maxUsedSpace\": 1, \"reservedSpace\": $(($(mib 4) + 500000))}") -eq 1 ]]
	[[ $(gone "{\"maxUsedSpace\": $(($(mib 3) + 500000)), \"reservedSpace\": 1}") -eq 1 ]]
	huge=$(mib $((1 << 40)))
	[[ $(gone "{\"minFreeSpace\": $huge, \"reservedSpace\": $(($(mib 2) + 500000))}") -eq 1 ]]
	[[ $(gone "{\"minFreeSpace\": $huge}") -eq 2 ]]
}

@test "a client with BuildKit's old messages gets the fields that it knows" {
	start_agent
	base=$(result base)
	child=$(result child --parent "$base")
	run control old/DiskUsage
	assert_json ".record | map({(.ID): .Parent}) | add == {\"$base\": \"\", \"$child\": \"$base\"}"
	run control old/ListWorkers
	assert_json '.record[0].platforms[0].OS == "linux"'
	[[ $(control old/Prune "{\"filter\": [\"id==$child\"]}" | jq -r .ID) == "$child" ]]
}

@test "ListWorkers reports one worker whose id stays over restarts and differs for another store" {
	start_agent
	run control ListWorkers
	assert_json '.record | length == 1'
	assert_json '.record[0].ID | test("^[a-z0-9]{25}$")'
	assert_json '.record[0].platforms | length == 1 and .[0].OS == "linux" and (.[0].Architecture | length) > 0'
	[[ $(uname -m) != x86_64 ]] || assert_json '.record[0].platforms[0].Architecture == "amd64"'
	assert_json '.record[0].Labels | .["org.mobyproject.buildkit.worker.snapshotter"] == "varve" and
		.["org.mobyproject.buildkit.worker.executor"] == "none"'
	assert_json ".record[0].Labels | .[\"org.mobyproject.buildkit.worker.hostname\"] == \"$(uname -n)\" and
		.[\"varve.root\"] == \"$agent_root\""
	assert_json '.record[0].BuildkitVersion | .package == "varve" and (.version | startswith("v0."))'
	# The tests' configuration has no policy that runs by itself.
	assert_json '.record[0].GCPolicy == []'
	first=$(jq -r '.record[0].ID' <<< "$output")
	[[ $(control ListWorkers '{"filter": ["id=='"$first"'"]}' | jq '.record | length') -eq 1 ]]
	[[ $(control ListWorkers '{"filter": ["id==x", "labels.\"org.mobyproject.buildkit.worker.snapshotter\"==varve"]}' | jq '.record | length') -eq 1 ]]
	[[ $(control ListWorkers '{"filter": ["labels.nosuch"]}' | jq '.record | length') -eq 0 ]]
	stop_agent
	start_agent
	[[ $(control ListWorkers | jq -r '.record[0].ID') == "$first" ]]
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	rm -r "$agent_root"
	start_agent
	[[ $(control ListWorkers | jq -r '.record[0].ID') != "$first" ]]
}

@test "ListWorkers reports the policies in force with sizes in bytes" {
	cat > "$agent_config" <<- 'END'
		[prune]
		interval = 7d
		[policy "tight"]
		filter = type==source.local
		filter = type==exec.cachemount
		all = yes
		keep_duration = 90m
		max_used_space = 64G
		min_free_space = 1K
		reserved_space = 10%
		[policy "plain"]
		max_used_space = 50G
	END
	start_agent
	run control ListWorkers
	assert_json '.record[0].GCPolicy | map(del(.reservedSpace)) == [
		{all: true, keepDuration: "5400000000000", filters: ["type==source.local", "type==exec.cachemount"],
			maxUsedSpace: "68719476736", minFreeSpace: "1024"},
		{all: false, keepDuration: "0", filters: [], maxUsedSpace: "53687091200", minFreeSpace: "0"}]'
	reserved=$(varve policy show --json | jq -r 'select(.name == "tight").reservedSpace')
	assert_json ".record[0].GCPolicy[0].reservedSpace == \"$reserved\""
}

@test "Info reports the version, and Health knows each service" {
	start_agent
	run control Info
	assert_json '.buildkitVersion | .package == "varve" and (.version | test("^v[0-9]+[.][0-9]+[.][0-9]+[+]varve$"))'
	health() {
		control /grpc.health.v1.Health/Check "$@"
	}
	for service in '' varve.v1.Cache moby.buildkit.v1.Control grpc.health.v1.Health; do
		[[ $(health "{\"service\": \"$service\"}" | jq -r .status) == SERVING ]]
	done
	refused 5 "unknown service no.such" /grpc.health.v1.Health/Check '{"service": "no.such"}'
	refused 5 "unknown service moby.buildkit.v1.Contro" /grpc.health.v1.Health/Check '{"service": "moby.buildkit.v1.Contro"}'
}

@test "the agent refuses build requests at once and says what to do instead" {
	start_agent
	for call in moby.buildkit.v1.Control/{Solve,Status,ListenBuildHistory,UpdateBuildHistory} moby.buildkit.v1.frontend.LLBBridge/Ping; do
		refused 12 "unknown method /$call; this is varved" "/$call"
		[[ $stderr == *"builds nothing"*"--containerd-worker-snapshotter=varve"* ]]
	done
	# The client never ends this stream, and the agent does not wait for its end.
	refused 12 "unknown method /moby.buildkit.v1.Control/Session" /moby.buildkit.v1.Control/Session+
}

@test "the control service refuses invalid requests with the right status and changes nothing" {
	start_agent
	result one
	result two
	for method in DiskUsage Prune ListWorkers; do
		refused 3 "filter 'id==': expected a value at position 5" "$method" '{"filter": ["id=="]}'
		refused 3 "filter 'x>>3'" "$method" '{"filter": ["id==nosuch", "x>>3"]}'
		refused 3 "filter is not valid UTF-8" "$method" --raw 0a02ffff
		refused 3 "filter must not contain NUL" "$method" --raw 0a03610062
		# A length that goes past the end, a field number 0, a group, a varint without end.
		for bytes in 0aff01 0001 0b 10ffffffffffffffffffff; do
			refused 3 "the request is not a valid moby.buildkit.v1.${method}Request" "$method" --raw "$bytes"
		done
	done
	refused 3 "cannot be negative" DiskUsage '{"ageLimit": -1}'
	for field in keepDuration reservedSpace maxUsedSpace minFreeSpace; do
		refused 3 "cannot be negative" Prune "{\"$field\": -1}"
		refused 3 "cannot be negative" Prune "{\"all\": true, \"$field\": -9223372036854775808}"
	done
	refused 3 "cannot be negative" old/Prune '{"keepBytes": -1}'
	refused 3 "64 KiB" Prune "$(jq -cn '{filter: ["id==" + "x" * 70000]}')"
	[[ $(varve ls -q | wc -l) -eq 2 ]]
	# The agent ignores fields of newer clients.
	control DiskUsage --raw a2060568656c6c6f | jq -e '.record | length == 2'
}
