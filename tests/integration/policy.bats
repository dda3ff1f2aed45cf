#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# Limits, plans, policies, and the reasons that explain gives.

load ../lib/helpers

plan() { # plans to evict everything; prints the plan's name
	varve prune --dry-run --json | jq -r 'select(has("plan")).plan'
}

wait_for() { # TEXT: waits until the agent's log has it
	local attempt
	for ((attempt = 0; attempt < 3000; attempt++)); do
		! grep -q "$1" "$agent_log" || return 0
		sleep 0.1
	done
	return 1
}

refused_config() { # TEXT: --check-config refuses the configuration on standard input with this text
	cat > "$BATS_TEST_TMPDIR/bad.conf"
	run -2 "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/bad.conf" --check-config
	[[ $output == *"$1"* ]] || {
		echo "said: $output"
		return 1
	}
}

@test "B71 a prune keeps max(reserved, min(max used, used - (min free - free))) bytes" {
	start_agent
	for name in a b c d; do
		result "$name"
	done
	# The limit is above the store's size: nothing is evicted.
	[[ $(varve prune -q --max-used-space 10M --dry-run) == "" ]]
	[[ $(varve prune -q --max-used-space 2500K --dry-run | wc -l) -eq 2 ]]
	[[ $(varve prune -q --max-used-space 1K --reserved-space 3500K --dry-run | wc -l) -eq 1 ]]
	# A disk cannot be free completely, so the minimum of free space leaves only the reserved space.
	[[ $(varve prune -q --min-free-space 100% --dry-run | wc -l) -eq 4 ]]
	[[ $(varve prune -q --min-free-space 100% --reserved-space 2500K --dry-run | wc -l) -eq 2 ]]
	[[ $(varve prune -q --min-free-space 1 --dry-run) == "" ]]
	[[ $(varve ls -q | wc -l) -eq 4 ]]
}

@test "B72 a prune that misses its goal reports by how many bytes and why" {
	start_agent
	held=$(result held)
	varve get "$held"
	pinned=$(result pinned)
	varve pin "$pinned"
	result free
	varve prune --json --keep-storage 512K | tail -n 1 > "$BATS_TEST_TMPDIR/summary"
	jq -e '.goalReached == false and .missed > 1500000 and .missed < 1700000' "$BATS_TEST_TMPDIR/summary"
	[[ $(jq -r .shortfall "$BATS_TEST_TMPDIR/summary") == *"held by leases"*"pinned"* ]]
}

@test "prune --plan evicts exactly the planned records, and only once" {
	start_agent
	one=$(result one)
	two=$(result two --parent "$one")
	three=$(result three)
	varve prune --dry-run --json --keep-storage 1500K > "$BATS_TEST_TMPDIR/dry"
	name=$(jq -r 'select(has("plan")).plan' "$BATS_TEST_TMPDIR/dry")
	planned=$(jq -r 'select(has("id")).id' "$BATS_TEST_TMPDIR/dry")
	[[ $(wc -l <<< "$planned") -eq 2 ]]
	later=$(result later)
	[[ $(varve prune -q --plan "$name") == "$planned" ]]
	[[ $(varve ls -q | wc -l) -eq 2 ]]
	varve inspect "$later" > /dev/null
	run varve prune --plan "$name"
	[[ $status -eq 4 && $output == *"no plan '$name'"* ]]
	run varve prune --plan nosuchplan --dry-run
	[[ $status -eq 2 ]]
}

@test "a plan is refused after a planned record got a child, a lease's reference or a label" {
	start_agent
	one=$(result one)
	result two
	stale() { # NAME: the plan is refused, names the record, and evicts nothing
		run varve prune --plan "$1"
		[[ $status -eq 5 && $output == *"stale: record $one"* ]]
		[[ $(varve ls -q --filter immutable | wc -l) -eq 2 ]]
	}
	name=$(plan)
	child=$(varve new --parent "$one")
	stale "$name"
	varve release "$child"
	varve lease create checker
	varve lease need checker "$one"
	stale "$name"
	varve lease rm checker
	varve label "$one" keep=yes
	stale "$name"
	varve label "$one" --remove keep
	[[ $(varve prune -q --plan "$name" | wc -l) -eq 2 ]]
}

@test "a plan is refused as a whole after one of its records changed" {
	start_agent
	one=$(result one)
	two=$(result two)
	name=$(plan)
	varve get "$two"
	run varve prune --plan "$name"
	[[ $status -eq 5 && $output == *"stale: record $two"* ]]
	varve release "$two"
	# The record was used meanwhile, so it still differs from the planned one.
	run varve prune --plan "$name"
	[[ $status -eq 5 ]]
	[[ $(varve ls -q | wc -l) -eq 2 ]]
	name=$(plan)
	varve rm "$one"
	run varve prune --plan "$name"
	[[ $status -eq 5 && $output == *"stale: record $one"* ]]
	[[ $(varve ls -q) == "$two" ]]
}

@test "B70 policies run by themselves, in order, and log what they evicted" {
	cat > "$agent_config" <<- 'END'
		[prune]
		interval = 1s
		[policy "marked"]
		filter = labels.temporary
		keep_duration = 1ms
		[policy "size"]
		max_used_space = 1500K
		scorer = buildkit
	END
	start_agent
	result kept
	result other
	result temporary --label temporary=yes
	[[ $(varve policy show -q) == $'marked\nsize' ]]
	wait_for 'policy=marked evicted=1'
	wait_for 'policy=size evicted=1'
	[[ $(varve ls -q | wc -l) -eq 1 ]]
}

@test "policies run before their interval is over when space is low" {
	cat > "$agent_config" <<- 'END'
		[prune]
		interval = 7d
		[policy "free"]
		min_free_space = 100%
	END
	start_agent
	result gone
	wait_for 'policy=free evicted=1'
	[[ $(varve ls -q) == "" ]]
}

@test "policy show prints limits in bytes, and policy check says whether they can be met" {
	cat > "$agent_config" <<- 'END'
		[prune]
		automatic = no
		[policy "tight"]
		filter = size>100K
		filter = type==internal
		all = yes
		keep_duration = 90m
		max_used_space = 1M
		reserved_space = 10%
		[policy "loose"]
		max_used_space = 50%
	END
	start_agent
	[[ $(varve policy show --json | jq -c 'select(.name == "tight") | [.filters, .all, .keepDurationNs, .maxUsedSpace]') == '[["size>100K","type==internal"],true,5400000000000,1048576]' ]]
	varve policy show --json | jq -se '.[0].reservedSpace > 1048576'
	varve policy check
	sed -i '/reserved_space/d; /keep_duration/d' "$agent_config"
	stop_agent
	start_agent
	held=$(result held)
	varve get "$held"
	run -8 varve policy check --json
	[[ $(jq -c 'select(.name == "tight") | [.goalReached, .records]' <<< "$output") == '[false,0]' ]]
	varve release "$held"
	varve policy check
	[[ $(varve prune -q --policy tight) == "$held" ]]
	run -4 varve prune --policy none
	run -2 varve prune --policy tight --all
}

@test "without a configuration the agent derives its policies from the disk's size" {
	: > "$agent_config"
	start_agent
	[[ $(varve policy show -q | tr '\n' ' ') == "sources old space everything " ]]
	varve policy show --json | jq -se '.[2].maxUsedSpace / .[2].reservedSpace | . > 5.99 and . < 6.01'
}

@test "the configuration check names file, line and fault" {
	refused_config "bad.conf:2: unknown key 'rot' in [agent]" <<< $'[agent]\nrot = /x'
	refused_config "bad.conf:1: this is not a [section]" <<< 'hello'
	refused_config "bad.conf:2: unknown section [prun]" <<< $'[prun]\ninterval = 1m'
	refused_config "bad.conf:2: unknown key 'mount' in [snapshots]" <<< $'[snapshots]\nmount = agent'
	refused_config "bad.conf:2: mounts: invalid value 'both'" <<< $'[snapshots]\nmounts = both'
	refused_config "bad.conf:3: interval: invalid duration 'soon'" <<< $'\n[prune]\ninterval = soon'
	refused_config "bad.conf:2: automatic: invalid value 'maybe'" <<< $'[prune]\nautomatic = maybe'
	refused_config "bad.conf:2: max_used_space: invalid size '101%'" <<< $'[policy "a"]\nmax_used_space = 101%'
	refused_config "bad.conf:3: filter 'size>>1': expected a number" <<< $'[policy "a"]\nall = no\nfilter = size>>1'
	refused_config "unknown scorer 'best'" <<< $'[policy "a"]\nscorer = best'
	refused_config "policy 'a' would evict everything" <<< $'[policy "a"]\nall = no'
	refused_config "the section of a policy is [policy \"name\"]" <<< $'[policy a]\nall = no'
	refused_config "bad.conf:6: policy 'a' exists already" <<- 'END'
		[policy "a"]
		max_used_space = 1G
		[policy "b"]
		max_used_space = 1G
		[policy "a"]
		max_used_space = 2G
	END
	refused_config "unknown backend 'magic'" <<< $'[agent]\nbackend = magic'
	run -2 "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/none.conf" --check-config
	[[ $output == *"none.conf: No such file"* ]]
}

@test "explain says what keeps a record, or when it would be evicted and why" {
	count_accesses
	start_agent
	base=$(result base)
	top=$(result top --parent "$base")
	held=$(result held)
	varve get "$held" --lease cli
	young=$(result mounted)
	varve mount "$young" --read-only
	internal=$(result internal --type internal)
	pinned=$(result pinned)
	varve pin "$pinned"
	[[ $(varve explain "$held") == "kept: held by cli (1 ref) (varve release ${held:0:12})" ]]
	[[ $(varve explain "$young") == "kept: mounted (varve umount ${young:0:12})" ]]
	[[ $(varve explain "$internal") == "kept without --all: its type is internal" ]]
	[[ $(varve explain "$pinned") == "kept: pinned "* ]]
	[[ $(varve explain "$top" | head -n 1) == "would be evicted as number 1 of 2, with score "*"never used"* ]]
	[[ $(varve explain "$base" --json | jq -c '[.kept, .place, .places]') == '[false,2,2]' ]]
	[[ $(varve explain "$base" | tail -n 1) == "no policy would evict it now"* ]]
	varve pin "$top"
	[[ $(varve explain "$base") == "kept: record ${top:0:12} on top of it is kept: pinned "* ]]
	run -4 varve explain nosuchrecord
}

@test "explain names the policy that would evict a record" {
	printf '[prune]\nautomatic = no\n[policy "mine"]\nmax_used_space = 1500K\n' > "$agent_config"
	start_agent
	result first
	result second
	victim=$(varve prune -q --dry-run --policy mine)
	[[ $(varve explain "$victim") == *"policy 'mine' would evict it now, as number 1 of 1"* ]]
}

enough_inodes_are_free() {
	[[ $(stat -f -c %d "$agent_root") -ge 1000 ]]
}

@test "a policy evicts layers of empty files when inodes run out, and stops once enough are free" {
	mkdir "$agent_root"
	mount -t tmpfs -o mode=0755,size=64M,nr_inodes=2000 tmpfs "$agent_root"
	printf '[prune]\ninterval = 0s\n[policy "space"]\nall = yes\nmin_free_space = 50%%\n' > "$agent_config"
	start_agent
	for record in 1 2 3 4; do
		id=$(varve new --retain)
		(cd "$(varve mount "$id")" && for file in {1..300}; do : > "$file"; done)
		id=$(varve commit "$id")
		varve finalize "$id"
		varve release "$id"
	done
	run ! enough_inodes_are_free
	wait_for 'policy=space evicted='
	retry 60 enough_inodes_are_free
	[[ $(varve ls -q | wc -l) -eq 3 ]]
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown
	umount "$agent_root"
	rmdir "$agent_root"
}
