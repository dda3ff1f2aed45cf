#!/usr/bin/env bats
# requires root overlay curl jq chromium
# SPDX-License-Identifier: Apache-2.0
#
# The pages in Chromium, with the worst names: nothing of them runs, the browser's console has no complaint of the
# policy, the script enlarges a picture, and dark, light and paper differ. Leaves pictures in build/page to be looked
# at. Not a part of the whole suite, because Chromium is large: make check-page.

load ../lib/helpers

setup_file() {
	agent_setup_file
	port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	printf '[page]\naddress = 127.0.0.1:%s\n' "$port" >> "$agent_config"
	start_agent
	id=$(varve new --retain --description '"><script>document.title="owned"</script><img src=x onerror=document.title="owned">')
	mount=$(varve mount "$id")
	mkdir -p "$mount/usr/lib/deep" "$mount/<script>document.title='owned'<"
	head -c 300K /dev/urandom > "$mount/usr/lib/deep/read"
	head -c 900K /dev/urandom > "$mount/usr/lib/unread"
	head -c 500K /dev/urandom > "$mount/<script>document.title='owned'</<img src=x onerror=alert(1)>"
	varve umount "$id"
	id=$(varve commit "$id")
	cat "$(varve mount --read-only "$id")/usr/lib/deep/read" > /dev/null
	url=http://127.0.0.1:$port
	pictures=$VARVE_BUILD/page
	mkdir -p "$pictures"
	export id url pictures
}

setup() {
	agent_setup_shared
}

teardown() { :; }

teardown_file() {
	agent_teardown_file
}

# browse PATH OPTION…: shows the page, and fails when the browser complains about it.
browse() {
	local path=$1
	shift
	timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$BATS_TEST_TMPDIR/profile" --window-size=1300,1600 \
		--enable-logging=stderr "$@" "$url$path" > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/log" 3>&-
	! grep 'CONSOLE' "$BATS_TEST_TMPDIR/log"
}

@test "no page runs what is in a name, or breaks its own policy" {
	local path
	for path in / /records "/record?id=$id" "/heat?id=$id" /heat /images /policies /regrets /events; do
		browse "$path" --dump-dom
		grep -q '<title>[^<]* – Varve</title>' "$BATS_TEST_TMPDIR/out"
		run ! grep '<img' "$BATS_TEST_TMPDIR/out"
	done
}

@test "the pages have a light and a dark look, and one for paper" {
	local name path
	for name in overview records record heat policies; do
		case $name in
		overview) path=/ ;;
		record) path="/record?id=$id" ;;
		heat) path="/heat?id=$id" ;;
		*) path=/$name ;;
		esac
		browse "$path" --blink-settings=preferredColorScheme=1 --screenshot="$pictures/$name-light.png"
		browse "$path" --blink-settings=preferredColorScheme=0 --screenshot="$pictures/$name-dark.png"
		browse "$path" --no-pdf-header-footer --print-to-pdf="$pictures/$name.pdf"
		[[ -s $pictures/$name.pdf ]]
		run ! cmp -s "$pictures/$name-light.png" "$pictures/$name-dark.png"
	done
}

@test "the file of varve heat shows itself in a browser, and its script runs" {
	varve heat -f html "$id" > "$BATS_TEST_TMPDIR/heat.html"
	# The script of the page is the same; a second one, which the policy forbids, must not run.
	sed 's|</body>|<script>document.title = "forbidden"</script></body>|' "$BATS_TEST_TMPDIR/heat.html" > "$BATS_TEST_TMPDIR/more.html"
	url=file:// browse "$BATS_TEST_TMPDIR/heat.html" --screenshot="$pictures/heat-file.png"
	timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir="$BATS_TEST_TMPDIR/profile" --dump-dom \
		"file://$BATS_TEST_TMPDIR/more.html" > "$BATS_TEST_TMPDIR/out" 2> /dev/null 3>&-
	run ! grep '<title>forbidden' "$BATS_TEST_TMPDIR/out"
}
