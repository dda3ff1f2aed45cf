#!/usr/bin/env bats
# requires root overlay jq python3-grpc
# SPDX-License-Identifier: Apache-2.0
#
# Eviction through the programs that own layers: a BuildKit that the test plays is asked for its records, and to
# remove them, and misbehaves.

# jq's variables look like the shell's; most calls have no options.
# shellcheck disable=SC2016,SC2119,SC2120

load ../lib/helpers
load ../lib/snapshots
load ../lib/owners

setup_file() {
	owners_setup_file
}

teardown_file() {
	owners_teardown_file
}

setup() {
	agent_setup
	snapshots_setup
	owners_setup
}

teardown() {
	snapshots_teardown
	agent_teardown
}

# begin: the agent and BuildKit, with a chain of two, and two leaves: base <- step, old, new.
begin() {
	start_agent
	start_buildkit
	cached base 300000 '' '' step 200000 base '' old 400000 '' '' new 100000
}

prunes() { # prints the filters of all prunes
	jq -r 'select(.call == "Prune") | .filter | join(" ")' "$buildkit_calls"
}

pruned_ids() { # [OPTION…]: prunes as "kit", and prints the ids that went
	varve prune --owner kit --json "$@" | jq -r 'select(has("id") and .refused == null) | .id'
}

@test "owners shows that an owner is reachable, its version, its records, their layers, and what it does not need" {
	begin
	change_buildkit '(.records[] | select(.id == "new")).in_use = true'
	run varve owners --json
	assert_status 0
	assert_json '.name == "kit" and .kind == "buildkit" and .reachable and .problem == null and .version == "v0.32.2"'
	assert_json '.records == 4 and .size > 1000000 and .evict == ["cache"] and .evictable == 3'
	assert_json '.evictableSize > 900000 and .evictableSize < .size - 100000'
	run varve owners
	assert_output_has kit
	assert_output_has reachable
}

@test "inspect, explain, ls and du name the owner of a record, its id there, and what would free it" {
	buildkit_timeout=2s
	configure_owner cache
	begin
	change_buildkit '(.records[] | select(.id == "new")).in_use = true'
	change_buildkit '.containers = [{id: "c0ffee", image: "docker.io/library/app", key: "buildkit/1/step"}]'
	run varve inspect --json "$(record_of buildkit/1/old)"
	assert_json '.owners == [{owner: "kit", kind: "record", id: "old", description: "step old", lastUsedAt: "2001-09-09T01:46:40Z", kept: null}]'
	run varve explain "$(record_of buildkit/1/old)"
	assert_output_has "it is the record old of kit (step old), which can be asked to remove it: varve prune --owner kit --filter id==old"
	run varve explain "$(record_of buildkit/1/new)"
	assert_output_has "it is the record new of kit (step new), which is not asked to remove it: in use"
	# A container needs its snapshot and those below.
	run varve explain "$(record_of buildkit/1/base)"
	assert_output_has "the container c0ffee of kit needs it (image docker.io/library/app)"
	# What was learned is shown without asking again.
	stop_buildkit
	run varve ls --json
	assert_json_lines '[.[] | select(.owners[0].id == "step")] | length == 1 and (.[0].owners | map(.kind)) == ["record", "container"]'
	run varve du -o ID,OWNER,OWNER\ USED
	assert_output_has kit:step,kit:c0ffee
	run varve inspect "$(record_of buildkit/1/old)"
	assert_output_has "kit: record old (step old)"
	own=$(result mine)
	run varve inspect --json "$own"
	assert_json '.owners == []'
	# An owner that hangs is not asked again by each of them.
	behave hang
	start_buildkit
	varve owners > /dev/null
	asked=$(grep -c '"call": "DiskUsage"' "$buildkit_calls")
	for round in 1 2 3; do
		varve explain "$(record_of buildkit/1/old)" > /dev/null
	done
	[[ $(grep -c '"call": "DiskUsage"' "$buildkit_calls") -eq $asked ]]
}

@test "images lists those in the containerd of every owner, and one that does not answer costs its own only" {
	configure_owner cache '[containerd]' "address = $buildkit-other"
	begin
	change_buildkit '.images = [{name: "docker.io/library/app:1", digest: "sha256:\("a" * 64)", key: "buildkit/1/step"}]'
	call Prepare key=buildkit/2/run parent=buildkit/1/step > /dev/null
	call Remove key=buildkit/2/run > /dev/null
	for options in '' 'prune --unread-for 1ms --dry-run'; do
		# shellcheck disable=SC2086 # they are several words
		run --separate-stderr varve images $options --json
		assert_json '.namespace == "buildkit" and .tags == ["docker.io/library/app:1"] and .lastContainerAt != null and .layers == 2'
		# shellcheck disable=SC2154 # run sets it
		[[ $stderr == *"$buildkit-other"* ]]
	done
}

@test "without owners in the configuration, owners prints none, and a prune of one fails" {
	printf '[prune]\nautomatic = no\n' > "$agent_config"
	start_agent
	[[ -z $(varve owners --json) ]]
	run -4 varve prune --owner kit
	assert_output_has "no owner 'kit' in the configuration"
}

@test "a dry run lists the owner's records that nobody reads first, children before parents, and asks for nothing" {
	count_accesses
	begin
	read_snapshot buildkit/1/new
	read_snapshot buildkit/1/base
	run varve prune --owner kit --dry-run --json
	assert_status 0
	assert_json_lines '[.[] | select(has("id")) | .id] | (index("step") < index("base")) and (index("old") < index("new"))'
	assert_json_lines '[.[] | select(has("id"))] | length == 4 and all(.owner == "kit" and .refused == null)'
	assert_json_lines 'last | .predicted > 1000000 and .freed == 0 and (.plan | length) == 12'
	[[ -z $(prunes) ]]
	has_snapshot buildkit/1/old
}

has_fewer_layers() { # COUNT
	(($(count_layers) < $1)) # Remove answers before the files are gone
}

@test "a prune asks for each record by its id alone, and counts what the layers freed" {
	begin
	before=$(count_layers)
	run varve prune --owner kit --keep-storage 500000 --scorer access --json
	assert_status 0
	assert_json_lines '[.[] | select(has("id")) | .id] | length > 0'
	assert_json_lines 'last | .goalReached and .freed == .predicted and .freed > 500000'
	run ! grep -v '^id==[a-z]*$' <(prunes)
	retry 50 has_fewer_layers "$before"
	# The order is that of the scorer: what has no child, and is larger.
	[[ $(prunes | head -n 1) == id==old ]]
	lacks_snapshot buildkit/1/old
}

@test "a plan of an owner is executed exactly, once, and not after one of its records was read" {
	count_accesses
	begin
	plan=$(varve prune --owner kit --filter id==old --dry-run --json | jq -r '.plan // empty')
	run varve prune --plan "$plan" --json
	assert_status 0
	assert_json_lines '.[0].id == "old" and (last | .freed > 400000 and .goalReached)'
	lacks_snapshot buildkit/1/old
	run -4 varve prune --plan "$plan"
	plan=$(varve prune --owner kit --filter id==new --dry-run --json | jq -r '.plan // empty')
	read_snapshot buildkit/1/new
	run -5 varve prune --plan "$plan"
	assert_output_has "plan $plan is stale"
	has_snapshot buildkit/1/new
	[[ $(prunes) == id==old ]]
}

@test "evict = nothing lets a plan be made and no record be removed" {
	configure_owner nothing
	begin
	varve prune --owner kit --dry-run > /dev/null
	run -6 varve prune --owner kit
	assert_output_has "no 'evict = cache'"
	[[ -z $(prunes) ]]
}

@test "records in use, without a lease, shared with an image, or of a type that BuildKit keeps are not asked for" {
	begin
	# A leaf that is not finalized: its lease has the mutable id, and in use it is listed by the immutable one.
	cached held 1000 '' '{"in_use": true}' loose 1000 '' '{"lease": false}' image 1000 '' '{"shared": true}' \
		front 1000 '' '{"record_type": "frontend"}' leaf 1000 '' '{"mutable": true, "twin": "leaf2"}' \
		leaf3 1000 '' '{"mutable": true, "twin": "leaf4", "in_use": true}'
	ids=$(pruned_ids)
	[[ $(sort <<< "$ids" | xargs) == "base leaf new old step" ]]
	[[ $(prunes | sort | xargs) == "id==base id==leaf id==new id==old id==step" ]]
	ids=$(pruned_ids --all)
	[[ $(sort <<< "$ids" | xargs) == "front image" ]]
	for id in held loose leaf3; do
		has_snapshot "buildkit/1/$id"
	done
}

@test "a layer that is mounted, pinned, or below a snapshot of someone else is not asked for" {
	begin
	call View key=buildkit/7/reader parent=buildkit/1/new > /dev/null
	point=$(mount_snapshot buildkit/7/reader)
	varve pin "$(record_of buildkit/1/old)" > /dev/null
	snapshot default/9/theirs 1000 buildkit/1/step
	run varve prune --owner kit --json --keep-storage 1000
	assert_status 0
	assert_json_lines '[.[] | select(has("id"))] == []'
	assert_json_lines 'last | (.goalReached | not) and (.shortfall | test("mounted") and test("kept by Varve") and test("below other snapshots"))'
	[[ -z $(prunes) ]]
	umount "$point"
	[[ $(pruned_ids) == new ]]
}

@test "views of a record go with it, and its key may have been used before" {
	start_agent
	start_buildkit
	snapshot buildkit/1/again 500000
	snapshot buildkit/9/again 100000
	change_buildkit '.records += [{id: "again", size: 1, snapshot: "buildkit/9/again", views: ["buildkit/10/again-view"]}]'
	call View key=buildkit/10/again-view parent=buildkit/9/again > /dev/null
	run varve prune --owner kit --json
	assert_status 0
	assert_json_lines '.[0].id == "again" and .[0].size < 200000 and last.freed == .[0].size'
	has_snapshot buildkit/1/again
	lacks_snapshot buildkit/9/again
}

@test "an empty answer of the owner means that it refused" {
	begin
	behave busy
	run varve prune --owner kit --json
	assert_status 0
	assert_json_lines '[.[] | select(has("id"))] | length == 4 and all(.refused == "the owner uses it")'
	assert_json_lines 'last | .freed == 0'
	has_snapshot buildkit/1/old
	run -7 varve prune --owner kit --strict --keep-storage 1
	assert_output_has "in use"
}

@test "a layer of two owners is evicted once, and both are named" {
	configure_owner cache '[buildkit "kat"]' "address = $buildkit" "containerd = $buildkit-containerd" 'evict = cache'
	begin
	plan=$(varve prune --owner kat --filter id==old --dry-run --json | jq -r '.plan // empty')
	run varve inspect --json "$(record_of buildkit/1/old)"
	assert_json '[.owners[].owner] | sort == ["kat", "kit"]'
	run varve prune --owner kit --filter id==old --json
	assert_json_lines '.[0].refused == null and (last | .freed == .predicted and .freed > 400000)'
	run -5 varve prune --plan "$plan"
	[[ $(prunes) == id==old ]]
}

@test "a record that its owner prunes at the same moment counts as gone, and once" {
	begin
	behave gone
	varve prune --owner kit --filter id==old --json > "$BATS_TEST_TMPDIR/out"
	run jq -c . "$BATS_TEST_TMPDIR/out"
	assert_json_lines '.[0].id == "old" and .[0].refused == null'
	# The fake has removed no snapshot: nothing was freed.
	assert_json_lines 'last.freed == 0'
}

@test "an agent that is killed while an owner removes a record has lost nothing, and asks for nothing twice" {
	begin
	behave late
	varve prune --owner kit --filter id==old > /dev/null 2>&1 3>&- &
	pruning=$!
	retry 100 grep -q '"call": "Prune"' "$buildkit_calls"
	kill_agent
	wait "$pruning" || true
	start_agent
	# Its snapshot is there until the owner removes it.
	retry 200 lacks_snapshot buildkit/1/old
	[[ $(prunes) == id==old ]]
	[[ $(pruned_ids | sort | xargs) == "base new step" ]]
	run -0 varve fsck
}

@test "an owner that says it has removed a record and lists it again freed nothing, and is named in the log" {
	begin
	behave liar
	run varve prune --owner kit --filter id==old --json
	assert_status 0
	assert_json_lines 'last | .freed == 0'
	grep -q 'owner=kit it lists 1 records that it says it has removed' "$agent_log"
	has_snapshot buildkit/1/old
}

@test "an owner that removes more than it was asked for is named in the log" {
	begin
	behave others
	varve prune --owner kit --filter id==old --json > /dev/null
	grep -q 'owner=kit it removed 2 records that it was not asked to remove' "$agent_log"
}

@test "freed bytes are of layers that are gone: the agent waits while containerd collects" {
	begin
	behave late
	run varve prune --owner kit --filter id==old --json
	assert_json_lines 'last | .freed == .predicted and .freed > 400000'
	lacks_snapshot buildkit/1/old
}

# unreachable TEXT: the owner does not answer, says why, and costs nothing else.
unreachable() {
	run varve owners --json
	assert_status 0
	assert_json '.reachable == false and (.problem | test($text))' --arg text "$1"
	run varve prune --owner kit
	[[ $status -ne 0 ]]
	assert_output_has "owner 'kit'"
	varve ls > /dev/null
	has_snapshot buildkit/1/old
	grep -qE "owner=kit .*$1" "$agent_log"
}

@test "an owner that is gone, hangs, trickles or answers garbage costs only its own eviction" {
	buildkit_timeout=1s
	configure_owner cache
	begin
	behave hang
	unreachable "has not answered for 1 s"
	behave garbage
	unreachable "is not a valid"
	behave silent
	unreachable "containerd at .* has not answered for 1 s"
	stop_buildkit
	unreachable "connect to kit at"
	behave trickle
	start_buildkit
	unreachable "takes longer than 6 s"
	stop_buildkit
	# A socket that nobody accepts on, with a full backlog.
	rm -f "$buildkit"
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0); c = []
for i in range(4):
	c.append(socket.socket(socket.AF_UNIX)); c[-1].setblocking(False); c[-1].connect_ex(sys.argv[1])
print("full", flush=True); time.sleep(1000)' "$buildkit" > "$BATS_TEST_TMPDIR/full" 3>&- &
	echo $! > "$buildkit_dir/pid"
	retry 100 grep -q full "$BATS_TEST_TMPDIR/full"
	unreachable "accepts no connections"
	stop_buildkit
	behave good
	start_buildkit
	run varve owners --json
	assert_json '.reachable and .records == 4'
	grep -q 'owner=kit answers again' "$agent_log"
	run -0 varve events --json
	assert_json_lines 'map(.event | select(startswith("owner-"))) == ["owner-lost", "owner-back"]'
	assert_json_lines 'map(select(.event == "owner-back"))[0].detail == "kit: answers again"'
}

@test "other calls are answered while an owner hangs" {
	buildkit_timeout=2s
	configure_owner cache
	begin
	behave hang
	varve owners --json > "$BATS_TEST_TMPDIR/first" 3>&- &
	first=$!
	retry 100 grep -q '"call": "DiskUsage"' "$buildkit_calls"
	# Those that ask meanwhile get what is known, at once.
	run varve owners --json
	assert_json .asking
	has_snapshot buildkit/1/old
	call Prepare key=buildkit/20/meanwhile > /dev/null
	call Remove key=buildkit/20/meanwhile > /dev/null
	wait "$first"
}

@test "an older BuildKit, without Info and with one parent in the old field, is pruned in the same order" {
	begin
	behave old
	run varve owners --json
	assert_json '.reachable and .version == null and .evictable == 4'
	[[ $(pruned_ids | sort | xargs) == "base new old step" ]]
	[[ $(prunes | xargs) == *id==step*id==base* ]]
}

@test "lies about sizes, circles of parents, the same id twice, unknown parents and odd ids do no harm" {
	begin
	change_buildkit '(.records[] | select(.id == "old")).size = -5 | (.records[] | select(.id == "new")).size = 9223372036854774784'
	cached ring1 1000 '' '{"parents": ["ring2"]}' ring2 1000 '' '{"parents": ["ring1"]}' self 1000 '' '{"parents": ["self"]}' \
		orphan 1000 '' '{"parents": ["nobody"]}' double 1000 '' '' odd 1000
	change_buildkit '.records += [.records[] | select(.id == "double")]'
	change_buildkit '(.records[] | select(.id == "odd")).id = "odd,type==regular"'
	run varve owners --json
	assert_json '.reachable and .size < 2000000'
	ids=$(pruned_ids | sort | xargs)
	[[ $ids == "base double new old orphan step" ]]
	run ! grep -v '^id==[a-z]*$' <(prunes)
	for id in ring1 ring2 odd; do
		has_snapshot "buildkit/1/$id"
	done
}

@test "a record that several others lie on goes after all of them" {
	start_agent
	start_buildkit
	cached low 1000 '' '' other 1000 '' '' merged 1000 low '{"parents": ["low", "other"]}'
	[[ $(pruned_ids | xargs) == "merged low" ]]
	[[ $(pruned_ids | xargs) == other ]]
}

@test "an owner with 100 000 records is answered for" {
	begin
	change_buildkit '.records += [range(100000) | {id: "r\(.)", parents: ["base"], description: "a step of a build", lease: false, snapshot: "buildkit/1/no\(.)"}]'
	printf 'timeout = 60s\n' >> "$agent_config"
	stop_agent
	start_agent
	run varve owners --json
	assert_json '.reachable and .records == 100004 and .evictable == 3'
}

@test "limits, ages and filters of a prune are about the owner's records" {
	begin
	run varve prune --owner kit --keep-duration 1h --json
	assert_json_lines '[.[] | select(has("id"))] == []'
	[[ $(pruned_ids --filter 'description~=old') == old ]]
	[[ $(pruned_ids --filter 'type==exec.cachemount') == "" ]]
	run -1 varve prune --owner kit --to-lazy
	assert_output_has "an owner's records cannot become lazy"
}

@test "a policy with an owner asks it by itself, and no other policy waits for an owner that hangs" {
	buildkit_timeout=1s
	configure_owner cache '[policy "builds"]' 'owner = kit' 'max_used_space = 500000' 'scorer = lru' \
		'[policy "own"]' 'max_used_space = 1000'
	sed -i 's/^automatic = no/automatic = yes\ninterval = 1s/' "$agent_config"
	behave hang
	begin
	own=$(result mine)
	retry 300 grep -q 'policy=builds owner=kit .*has not answered' "$agent_log"
	# The store's own record went, whatever the owner does.
	retry 300 not_there "$own"
	behave good
	retry 600 lacks_snapshot buildkit/1/old
	retry 300 grep -q 'policy=builds owner=kit evicted=' "$agent_log"
	run varve policy show --json
	assert_json_lines '.[0].owner == "kit" and .[1].owner == null'
	run ! grep -v '^id==[a-z]*$' <(prunes)
}

not_there() { # ID
	! varve inspect "$1" > /dev/null 2>&1
}

@test "faults in the section of an owner are named" {
	check() { # TEXT, and the configuration on standard input
		cat > "$BATS_TEST_TMPDIR/bad.conf"
		run "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/bad.conf" --check-config
		[[ $status -ne 0 ]]
		assert_output_has "$1"
	}
	check "bad.conf:2: evict: invalid value 'all' (nothing, cache, images or both)" <<< $'[docker]\nevict = all'
	check "bad.conf:2: evict: invalid value 'images' (nothing or cache)" <<< $'[buildkit "a"]\nevict = images'
	check "bad.conf:2: evict: invalid value 'both' (nothing or images)" <<< $'[containerd]\nevict = both'
	check "bad.conf:2: namespaces: invalid name 'a/b'" <<< $'[containerd]\nnamespaces = x, a/b'
	check "bad.conf:2: unknown key 'adress' of an owner" <<< $'[docker]\nadress = /x'
	check "bad.conf:2: address: 'x' is not the absolute path of a socket" <<< $'[buildkit "a"]\naddress = x'
	check "the section of a BuildKit is [buildkit \"name\"]" <<< $'[buildkit]\nevict = cache'
	check "bad.conf:6: owner 'a' exists already" <<< $'[buildkit "a"]\nevict = cache\n[docker]\nevict = cache\n[buildkit "a"]\nevict = nothing'
	check "policy 'a' is about the owner 'kit', for which there is no section" <<< $'[policy "a"]\nowner = kit\nmax_used_space = 1G'
	check "bad.conf:2: namespace: invalid name 'a/b'" <<< $'[docker]\nnamespace = a/b'
	check "bad.conf:2: timeout: '0s' is not longer than zero" <<< $'[docker]\ntimeout = 0s'
}
