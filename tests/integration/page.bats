#!/usr/bin/env bats
# requires root overlay bpf curl jq sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# The pages over HTTP: off by default, read-only, and with a policy that lets a browser run and load nothing from
# elsewhere; names of files, labels and descriptions are only ever text in them; long lists are cut into pages. One
# agent with a thousand records serves all tests of the file.
#
# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers

worst='<script>alert(1)</script><img src=x onerror=alert(1)>"'"'"'&&#60;'

setup_file() {
	agent_setup_file
	export page=$agent_socket_dir/page metrics=$agent_socket_dir/metrics
	port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	printf '[page]\nsocket = %s\naddress = 127.0.0.1:%s\n[metrics]\nsocket = %s\n[containerd]\naddress = %s\n' "$page" "$port" "$metrics" \
		"$agent_socket_dir/containerd" >> "$agent_config"
	start_agent
	kill_agent
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" 1000
	start_agent
	id=$(varve new --retain --description "$worst" --label "k=$worst")
	mount=$(varve mount "$id")
	mkdir "$mount/$worst" 2> /dev/null || mkdir "$mount/${worst//\//_}"
	head -c 300K /dev/urandom > "$mount/"$'bad\xff\xe2\x80\xae\e[31m\n<b>'
	head -c 300K /dev/urandom > "$mount/${worst//\//_}/x"
	varve umount "$id"
	id=$(varve commit "$id")
	export id port
}

setup() {
	agent_setup_shared
}

teardown() { :; }

# The agent ends in order, also while pages are being made.
teardown_file() {
	local i
	for ((i = 0; i < 20; i++)); do
		curl -s --max-time 100 --unix-socket "$page" -o /dev/null http://localhost/policies 3>&- &
	done
	agent_teardown_file
}

get() { # PATH [CURL OPTION…]: the page, or an error
	local path=$1
	shift
	curl -sS --fail --max-time 60 --unix-socket "$page" "$@" "http://localhost$path"
}

status_of() { # PATH [CURL OPTION…]
	local path=$1
	shift
	curl -sS --max-time 60 --path-as-is -o /dev/null -w '%{http_code}' --unix-socket "$page" "$@" "http://localhost$path"
}

pages() {
	printf '%s\n' / /records "/records?filter=$(jq -rn --arg w "$worst" '$w | @uri')" "/record?id=$id" /heat "/heat?id=$id" \
		/images /policies /regrets /events "/events?record=%22%3E%3Cscript%3E"
}

@test "a page has only elements and attributes that can run nothing, whatever the names" {
	while read -r path; do
		get "$path" > "$BATS_TEST_TMPDIR/page"
		/usr/bin/python3 - "$BATS_TEST_TMPDIR/page" "$path" <<- 'END'
			import html.parser
			import sys

			text = open(sys.argv[1], "rb").read().decode()  # or it is not UTF-8
			assert not any(c in text for c in "\x1b\u202e\x00"), sys.argv[2]

			class Check(html.parser.HTMLParser):
			    scripts = 0

			    def handle_starttag(self, tag, attributes):
			        assert tag not in ("img", "iframe", "object", "embed", "style", "base", "b i"), tag
			        for name, value in attributes:
			            assert not name.startswith("on") and name != "style", (tag, name)
			            if name in ("href", "src", "action"):
			                assert value.startswith("/") and not value.startswith("//"), value
			        if tag == "script":
			            assert attributes == [("src", "/script.js"), ("defer", None)], attributes
			            self.scripts += 1

			check = Check()
			check.feed(text)
			assert check.scripts == 1, sys.argv[2]
			assert "</html>" in text
		END
	done < <(pages)
	# The names are there, as text.
	get "/record?id=$id" > "$BATS_TEST_TMPDIR/page"
	grep -qF '&lt;script&gt;alert(1)&lt;/script&gt;' "$BATS_TEST_TMPDIR/page"
	grep -qF 'bad\xff\u202e\x1b[31m\n&lt;b&gt;' "$BATS_TEST_TMPDIR/page"
}

@test "each answer says what a browser may do with it" {
	local path
	for path in / /nosuch /style.css; do
		curl -sS -o /dev/null -D "$BATS_TEST_TMPDIR/headers" --unix-socket "$page" "http://localhost$path"
		grep -qi "^content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" "$BATS_TEST_TMPDIR/headers"
		grep -qi '^x-content-type-options: nosniff' "$BATS_TEST_TMPDIR/headers"
		grep -qi '^cross-origin-resource-policy: same-origin' "$BATS_TEST_TMPDIR/headers"
		grep -qi '^x-frame-options: DENY' "$BATS_TEST_TMPDIR/headers"
	done
	get /style.css -D "$BATS_TEST_TMPDIR/headers" > "$BATS_TEST_TMPDIR/style"
	grep -qi '^content-type: text/css' "$BATS_TEST_TMPDIR/headers"
	grep -q prefers-color-scheme "$BATS_TEST_TMPDIR/style"
	run ! grep -E 'url\(|@import|http' "$BATS_TEST_TMPDIR/style"
}

# records QUERY: the ids that a page of the list shows, in its order.
records() {
	get "/records?$1" | grep -o 'href="/record?id=[a-z0-9]*' | sed 's/.*=//'
}

@test "the list of records is sorted, and its pages have each record once" {
	local number
	for ((number = 1; number <= 11; number++)); do
		records "sort=size&order=up&page=$number" > "$BATS_TEST_TMPDIR/$number"
	done
	[[ $(wc -l < "$BATS_TEST_TMPDIR/1") -eq 100 ]]
	cat "$BATS_TEST_TMPDIR"/[0-9]* | sort > "$BATS_TEST_TMPDIR/shown"
	varve ls -q | sort > "$BATS_TEST_TMPDIR/all"
	diff "$BATS_TEST_TMPDIR/shown" "$BATS_TEST_TMPDIR/all"
	# The newest ones come first, unless the other order is asked for.
	[[ $(records "" | head -n 2) == *"$id"* ]]
	[[ $(records "sort=created&order=up" | head -n 2) != *"$id"* ]]
	[[ -z $(records "page=100000") ]]
	[[ -n $(records "page=-1&sort=nothing&order=sideways") ]]
}

@test "a filter of the command line filters the list, and a fault in it is told" {
	local query
	for query in 'size>=1KB' 'description~=^<script' 'mutable==false'; do
		records "filter=$(jq -rn --arg f "$query" '$f | @uri')&page=1" | sort > "$BATS_TEST_TMPDIR/shown"
		varve ls -q --filter "$query" | sort > "$BATS_TEST_TMPDIR/all"
		[[ -z $(comm -23 "$BATS_TEST_TMPDIR/shown" "$BATS_TEST_TMPDIR/all") ]]
		[[ $(wc -l < "$BATS_TEST_TMPDIR/shown") -eq $(head -n 100 "$BATS_TEST_TMPDIR/all" | wc -l) ]]
	done
	get '/records?filter=size%3E%3C' > "$BATS_TEST_TMPDIR/page"
	grep -q 'class="error"' "$BATS_TEST_TMPDIR/page"
	run ! grep '<table' "$BATS_TEST_TMPDIR/page"
}

@test "pages show what the command line shows" {
	get / | grep -q '<b>100[12]</b>'
	get "/record?id=$id" | grep -qF "<h1>Record $id</h1>"
	get "/record?id=${id:0:8}" | grep -qF "<h1>Record $id</h1>" # a prefix will do
	get /policies | grep -q '<h2>everything</h2>'
	get /events | grep -q '<td>committed</td>'
	get "/events?record=$id" | grep -c '<tr><td>' | grep -qx '[1-9]'
	# A look at the policies leaves no plan behind, in place of those that people made.
	plan=$(varve prune --all --keep-storage 1 --dry-run --json | jq -r 'select(.plan).plan')
	for _ in 1 2 3 4 5; do
		get /policies > /dev/null
	done
	run varve prune --plan "$plan" --dry-run
	[[ $output != *"no plan"* ]]
}

@test "without counting, nothing is called never read, and no count is 0" {
	rm -rf "$BATS_TEST_TMPDIR/none"
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/none" --socket "$agent_socket_dir/none" --backend none \
		--config <(printf '[page]\nsocket = %s\n[prune]\nautomatic = no\n' "$agent_socket_dir/none-page") 2> "$BATS_TEST_TMPDIR/log" 3>&- &
	none=$!
	retry 100 "$VARVE_BUILD/varve" -H "$agent_socket_dir/none" info > /dev/null 2>&1
	record=$("$VARVE_BUILD/varve" -H "$agent_socket_dir/none" new --retain)
	page=$agent_socket_dir/none-page get "/record?id=$record" > "$BATS_TEST_TMPDIR/record"
	page=$agent_socket_dir/none-page get / > "$BATS_TEST_TMPDIR/overview"
	page=$agent_socket_dir/none-page get /records > "$BATS_TEST_TMPDIR/records"
	kill "$none"
	wait "$none"
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/none" --socket "$agent_socket_dir/none" --teardown
	for name in Opens Read 'Last read'; do
		grep -q "$name</th><td>–</td>" "$BATS_TEST_TMPDIR/record"
	done
	for name in 'Never read' 'Not read for 7 days' 'Not read for 30 days'; do
		grep -q "$name.*<b>–</b>" "$BATS_TEST_TMPDIR/overview"
	done
	grep -q '<td>never</td><td>–</td>' "$BATS_TEST_TMPDIR/records" # used, read
}

@test "what is not there, malformed, or would change something is refused" {
	[[ $(status_of /nosuch) == 404 ]]
	[[ $(status_of /metrics) == 404 ]]
	[[ $(status_of '/record?id=nosuchrecord') == 404 ]]
	[[ $(status_of /record) == 4?? ]]
	[[ $(status_of '/record?id=%00%ff../..') == 4?? ]]
	local path
	for path in /../etc/passwd /%2e%2e/%2e%2e/etc/passwd //etc/passwd '/records/../../etc/passwd' /style.css/ "/$(printf 'a%.0s' {1..3000})"; do
		[[ $(status_of "$path") == 404 ]]
	done
	[[ $(status_of / -X POST) == 405 && $(status_of / -X DELETE) == 405 ]]
	[[ $(status_of / -X GET -d x=y) == 400 ]]
	[[ $(status_of "/records?$(printf '&a=b%.0s' {1..200})") == 200 ]]
	# Pipelined requests are answered one after the other, and one that is left in the middle harms nothing.
	/usr/bin/python3 - "$page" <<- 'END'
		import socket
		import sys

		def connect():
		    s = socket.socket(socket.AF_UNIX)
		    s.settimeout(60)
		    s.connect(sys.argv[1])
		    return s

		for _ in range(20):
		    connect().sendall(b"GET /policies HTTP/1.1\r\nHost: x\r\n\r\n")
		s = connect()
		s.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
		s.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer = b""
		while part := s.recv(65536):
		    answer += part
		assert answer.count(b"HTTP/1.1 200 ") == 4, answer[:200]
	END
	get / > /dev/null
}

@test "a page that waits for another program holds up no other page" {
	/usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listening", flush=True)
clients = []
while True:
    clients.append(s.accept())
    print("asked", flush=True)' "$agent_socket_dir/containerd" > "$BATS_TEST_TMPDIR/containerd" 3>&- &
	containerd=$!
	retry 50 grep -q listening "$BATS_TEST_TMPDIR/containerd"
	# The agent waits for containerd for some time, for one page after the other.
	seq 10 | xargs -P 10 -I{} curl -sS --unix-socket "$page" -o /dev/null -w '%{http_code}\n' http://localhost/images > "$BATS_TEST_TMPDIR/images" 3>&- &
	images=$!
	retry 50 grep -q asked "$BATS_TEST_TMPDIR/containerd"
	for path in / /records /regrets /events /style.css; do
		get "$path" > /dev/null
	done
	[[ $(wc -l < "$BATS_TEST_TMPDIR/images") -lt 10 ]] # none of these pages waited for all of those
	kill "$containerd"
	wait "$images"
	rm "$agent_socket_dir/containerd"
	[[ $(grep -cx 200 "$BATS_TEST_TMPDIR/images") -eq 10 ]]
}

@test "many readers at once are all answered, and metrics do not wait for them" {
	seq 60 | xargs -P 20 -I{} curl -sS --fail --max-time 100 --unix-socket "$page" -o /dev/null -w '%{http_code}\n' \
		http://localhost/records > "$BATS_TEST_TMPDIR/codes"
	[[ $(grep -cx 200 "$BATS_TEST_TMPDIR/codes") -eq 60 ]]
	curl -sS --fail --unix-socket "$metrics" http://localhost/metrics | grep -q '^varve_records'
	[[ $(curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$metrics" http://localhost/records) == 404 ]]
}

@test "the loopback port answers only requests for this machine" {
	curl -sS --fail "http://127.0.0.1:$port/" > /dev/null
	run -0 curl -sS -o /dev/null -w '%{http_code}' -H 'Host: evil.example' "http://127.0.0.1:$port/"
	[[ $output == 403 ]]
}

@test "other hosts are not served, and without the section there is no page" {
	printf '[page]\naddress = 0.0.0.0:9843\n' > "$BATS_TEST_TMPDIR/bad.conf"
	run -2 "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/bad.conf" --check-config
	assert_output_has "is not a loopback address with a port"
	printf '[page]\nport = 1\n' > "$BATS_TEST_TMPDIR/bad.conf"
	run -2 "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/bad.conf" --check-config
	assert_output_has "unknown key 'port' in [page] (keys: socket, address)"
	! grep -q '^\[page\]' "$BATS_TEST_DIRNAME/../../packaging/varved.conf" ||
		! sed -n '/^\[page\]/,/^\[/p' "$BATS_TEST_DIRNAME/../../packaging/varved.conf" | grep -q '^[a-z]'
}
