#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# Filters with regular expressions: what they select, and that they do not delay other calls.

load ../lib/helpers

@test "a regular expression selects the same records in a list and in a prune" {
	start_agent
	first=$(result 2024)
	second=$(result ddd)
	third=$(result Build-17)
	[[ $(varve du -q --filter 'description~=^\d+$') == "$first" ]]
	[[ $(varve ls -q --filter 'description~=(?i)^build-\d\d$') == "$third" ]]
	run -0 varve prune --dry-run --json --filter 'description~=^\d+$'
	[[ $(jq -r 'select(.id) | .id' <<< "$output") == "$first" ]]
	run -0 varve prune --filter 'description~=^(ddd|\w+-17)$'
	[[ $(varve ls -q) == "$first" && -n $second ]]
}

@test "a filter with an unsupported regular expression is refused, and the error names the construct" {
	start_agent
	for filter in 'id~=(a)\1:back references' 'id~=\p{Greek}:Unicode classes' 'id~=a**:nested repetition' \
		'id~=(a{100}){100}:too many repetitions'; do
		run -1 varve ls --filter "${filter%%:*}"
		[[ $output == *"${filter#*:}"* ]]
	done
}

@test "a filter that takes long delays no other call, and can be cancelled" {
	start_agent
	text=$(printf '%4096s' '' | tr ' ' a)
	for ((i = 0; i < 150; i++)); do
		varve release "$(varve new --retain --label "text=$text")"
	done
	slow=(--filter 'labels.text~=(a?){1000}b' --filter 'labels.text~=(a?){1000}c')
	for command in ls "prune --dry-run --all"; do
		# shellcheck disable=SC2086
		varve $command "${slow[@]}" > /dev/null 2>&1 3>&- &
		client=$!
		for ((i = 0; i < 5; i++)); do
			varve inspect "$(varve new)" > /dev/null
		done
		kill -0 "$client" # it still runs, so the calls above did not wait for it
		kill "$client"
		wait "$client" || true
	done
	stop_agent # it waits for running calls
}
