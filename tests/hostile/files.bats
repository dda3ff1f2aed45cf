#!/usr/bin/env bats
# requires root overlay bpf jq python3
# SPDX-License-Identifier: Apache-2.0
#
# Attacks by a process inside a mount on commands that read its files from outside.

load ../lib/helpers

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
	swapper=
}

teardown() {
	[[ -z $swapper ]] || kill "$swapper" 2> /dev/null || true
	[[ -z $swapper ]] || wait "$swapper" || true
	agent_teardown
}

@test "varve files shows nothing of the host when a container swaps a directory for a link" {
	start_agent
	id=$(varve new)
	mount=$(varve mount "$id")
	mkdir -p "$mount"/p/q{1..500} outside/q{1..500}
	for ((q = 1; q <= 500; q++)); do
		: > "$mount/p/q$q/own"
		: > "outside/q$q/secret"
	done
	ln -s "$PWD/outside" "$mount/link"
	# Exchanges the two with renameat2(2) all the time, so that each command meets an exchange.
	python3 - "$mount" 3>&- <<-'END' &
		import ctypes, os, sys
		os.chdir(sys.argv[1])
		libc = ctypes.CDLL(None, use_errno=True)
		open(sys.argv[1] + "/begun", "w").close()
		for _ in range(1000000):
		    if libc.renameat2(-100, b"p", -100, b"link", 2):
		        sys.exit(os.strerror(ctypes.get_errno()))
		    if os.path.exists("stop"):
		        break
	END
	swapper=$!
	retry 100 test -e "$mount/begun"
	for ((look = 0; look < 60; look++)); do
		varve files "$id" --never-read --json > listed
		if grep -q secret listed; then
			cat listed
			return 1
		fi
		varve du > sizes
	done
	touch "$mount/stop"
	wait "$swapper"
	swapper=
	varve release "$id"
}

@test "the agent lists, measures and deletes files that are deeper than any path can be" {
	start_agent
	id=$(varve new)
	mount=$(varve mount "$id")
	python3 - "$mount" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for depth in range(400):
		    os.mkdir("d" * 100)
		    os.chdir("d" * 100)
		with open("bottom", "w") as file:
		    file.write("x" * 10000)
	END
	run -0 varve files "$id" --never-read --json
	assert_json '[.. | objects | select(.size? == 10000) | .path | endswith("d/bottom")] == [true]'
	# Its size is known, and releasing it removes it.
	run -0 varve du --json
	varve release "$id"
}
