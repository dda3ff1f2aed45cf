#!/usr/bin/env bats
# requires root overlay jq python3
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

# Fails when `varve files` shows a name of the host.
swap_a_directory_for_a_link() {
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

# Fails when they are not listed, measured and deleted.
use_files_deeper_than_any_path() {
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

@test "varve files shows nothing of the host when a container swaps a directory for a link" {
	start_agent
	swap_a_directory_for_a_link
}

@test "the agent lists, measures and deletes files that are deeper than any path can be" {
	start_agent
	use_files_deeper_than_any_path
}

# start_agent_without_openat2: what the kernel resolves in one call elsewhere is opened step by step.
start_agent_without_openat2() {
	agent_launcher="$VARVE_BUILD/tests/tools/without_calls openat2" start_agent
}

@test "without openat2(2) too, varve files shows nothing of the host" {
	start_agent_without_openat2
	swap_a_directory_for_a_link
}

@test "without openat2(2) too, files that are deeper than any path can be are listed and deleted" {
	start_agent_without_openat2
	use_files_deeper_than_any_path
}

@test "without openat2(2) too, no archive gets out of its layer" {
	mkdir -p tree/a/b/c outside
	echo text > tree/a/b/c/file
	tar -C tree -cf good.tar .
	python3 - <<-'END'
		import io, tarfile
		for name, target in ("absolute", "/"), ("relative", "../" * 40):
		    with tarfile.open(name + ".tar", "w") as tar:
		        link = tarfile.TarInfo("link")
		        link.type, link.linkname = tarfile.SYMTYPE, target
		        tar.addfile(link)
		        tar.addfile(tarfile.TarInfo("link/varve-got-out"), io.BytesIO())
	END
	without=("$VARVE_BUILD/tests/tools/without_calls" openat2 "$VARVE_BUILD/tests/tools/layer_tool")
	run -0 "${without[@]}" apply good.tar layer
	diff -r tree layer
	for name in absolute relative; do
		run "${without[@]}" apply "$name.tar" "$name"
		[[ ! -e /varve-got-out ]]
		# The link is followed within the layer only.
		[[ -e $name/varve-got-out || $status -ne 0 ]]
	done
}
