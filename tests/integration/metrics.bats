#!/usr/bin/env bats
# requires root overlay bpf curl jq sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# What the agent serves at /metrics. One agent serves the tests, but for those that change what others look at.

load ../lib/helpers

repo=$BATS_TEST_DIRNAME/../..

setup_file() {
	agent_setup_file
	configure
	start_agent
	result a --type exec.cachemount > /dev/null
	varve prune > /dev/null
	result a > /dev/null
	export metrics port
}

teardown_file() {
	agent_teardown_file
}

setup() {
	agent_setup_shared
}

teardown() {
	[[ -z ${prometheus-} ]] || kill "$prometheus" 2> /dev/null || true
	[[ -z ${own-} ]] || agent_teardown
}

# An agent of the test's own, for what the others would notice. The caller starts it.
own_agent() {
	own=yes
	agent_setup
	configure
}

configure() {
	metrics=$agent_socket_dir/metrics
	port=$(free_port)
	printf '[metrics]\nsocket = %s\naddress = 127.0.0.1:%s\n' "$metrics" "$port" >> "$agent_config"
}

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

scrape() { # [CURL OPTION…]
	curl -sS --fail --max-time 60 --unix-socket "$metrics" "$@" http://localhost/metrics
}

open_metrics='Accept: application/openmetrics-text; version=1.0.0, text/plain; q=0.5'

# The answer of the last second is not used again: waits until one has no less than this of a metric.
has() { # SERIES VALUE
	scrape > "$BATS_TEST_TMPDIR/has" && grep -qxF "$1 $2" "$BATS_TEST_TMPDIR/has"
}

@test "promtool and the strict parser of OpenMetrics accept what a client asks for" {
	command -v promtool > /dev/null || skip_for promtool "the package prometheus is not installed"
	scrape -D "$BATS_TEST_TMPDIR/headers" > "$BATS_TEST_TMPDIR/classic"
	grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8' "$BATS_TEST_TMPDIR/headers"
	run -0 promtool check metrics < "$BATS_TEST_TMPDIR/classic"
	[[ -z $output ]]
	scrape -H "$open_metrics" -D "$BATS_TEST_TMPDIR/headers" > "$BATS_TEST_TMPDIR/open"
	grep -qi '^content-type: application/openmetrics-text; version=1.0.0; charset=utf-8' "$BATS_TEST_TMPDIR/headers"
	/usr/bin/python3 - "$BATS_TEST_TMPDIR/open" <<- 'END'
		import sys
		from prometheus_client.openmetrics.parser import text_string_to_metric_families
		families = list(text_string_to_metric_families(open(sys.argv[1]).read()))
		assert len(families) > 50, families
	END
	# The same names in both.
	diff <(sed -n 's/^\([a-z_]*\)[{ ].*/\1/p' "$BATS_TEST_TMPDIR/classic" | sort -u) \
		<(sed -n 's/^\([a-z_]*\)[{ ].*/\1/p' "$BATS_TEST_TMPDIR/open" | sort -u)
}

@test "metrics are the numbers that varve shows" {
	own_agent
	start_agent
	a=$(result a) b=$(result b --type internal)
	varve new --parent "$a" > /dev/null
	varve pin "$b"
	varve du > /dev/null # measures
	cat "$(varve mount "$b")/data" > /dev/null
	varve umount "$b"
	varve history > /dev/null # folds
	retry 30 has 'varve_records{type="regular"}' 2
	has 'varve_records{type="internal"}' 1
	has 'varve_records_in_use{type="regular"}' 2
	has varve_records_pinned 1
	has 'varve_mounts{mode="rw"}' 1
	bytes=$(varve ls --json | jq -s 'map(select(.type // .recordType == "internal").size) | add')
	if [[ $(varve info --json | jq -r .backend) != none ]]; then
		has "varve_layer_read_bytes_total{layer=\"$b\"}" 1048576
		grep -qx 'varve_never_read_bytes [1-9][0-9]*' "$BATS_TEST_TMPDIR/has"
	fi
	[[ $(sed -n 's/^varve_store_bytes{kind="private"} //p' "$BATS_TEST_TMPDIR/has") -ge $((2 * 1048576)) ]]
	[[ $bytes -ge 1048576 ]]
	# A prune shows what it took, and why.
	varve unpin "$b"
	varve prune --all --keep-storage 1 > /dev/null || true
	retry 30 has 'varve_pruned_records_total{type="internal",reason="space"}' 1
	grep -qE '^varve_prune_runs_total\{trigger="manual",result="(done|short)"\} 1$' "$BATS_TEST_TMPDIR/has"
	grep -qx 'varve_prune_duration_seconds_count 1' "$BATS_TEST_TMPDIR/has"
	# A call that fails is counted by its status, as varve's own calls are.
	varve explain nothere && false
	retry 30 has 'grpc_server_handled_total{grpc_service="varve.v1.Cache",grpc_method="Explain",grpc_code="NotFound"}' 1
	grep -qx 'grpc_server_started_total{grpc_service="varve.v1.Cache",grpc_method="Explain"} 1' "$BATS_TEST_TMPDIR/has"
}

@test "what a pin keeps, the records below it included, is not reclaimable" {
	own_agent
	start_agent
	base=$(result base)
	leaf=$(varve new --parent "$base" --retain)
	head -c 256K /dev/urandom > "$(varve mount "$leaf")/data"
	leaf=$(varve commit "$leaf")
	varve finalize "$leaf"
	varve release "$leaf"
	free=$(result free)
	varve du > /dev/null # measures
	size() { varve ls --json | jq --arg id "$1" 'select(.id == $id).size'; }
	both=$(($(size "$base") + $(size "$leaf")))
	retry 30 has varve_reclaimable_bytes $((both + $(size "$free")))
	varve pin "$leaf"
	retry 30 has varve_reclaimable_bytes "$(size "$free")"
	varve pin "$free"
	varve pin "$base" # which is kept already
	retry 30 has varve_reclaimable_bytes 0
	varve unpin "$leaf"
	retry 30 has varve_reclaimable_bytes "$(size "$leaf")"
}

@test "Debian's Prometheus scrapes the agent, and takes the alert rules" {
	command -v prometheus > /dev/null || skip_for prometheus "the package prometheus is not installed"
	web=$(free_port)
	cp "$repo/packaging/prometheus/varve.rules.yml" "$BATS_TEST_TMPDIR"
	cat > "$BATS_TEST_TMPDIR/prometheus.yml" <<- END
		global: {scrape_interval: 1s, evaluation_interval: 1s}
		rule_files: [varve.rules.yml]
		scrape_configs:
		  - job_name: varve
		    static_configs: [{targets: ["127.0.0.1:$port"]}]
	END
	prometheus --config.file="$BATS_TEST_TMPDIR/prometheus.yml" --storage.tsdb.path="$BATS_TEST_TMPDIR/tsdb" \
		--web.listen-address="127.0.0.1:$web" > "$BATS_TEST_TMPDIR/prometheus.log" 2>&1 3>&- &
	prometheus=$!
	asked() { # QUERY JQ
		curl -sS --fail --get "http://127.0.0.1:$web/api/v1/query" --data-urlencode "query=$1" \
			-o "$BATS_TEST_TMPDIR/answer" && jq -e "$2" "$BATS_TEST_TMPDIR/answer" > /dev/null
	}
	retry 100 asked 'varve_records{type="regular"}' '.data.result[0].value[1] == "1"' || {
		tail "$BATS_TEST_TMPDIR/prometheus.log"
		return 1
	}
	asked 'up{job="varve"}' '.data.result[0].value[1] == "1"'
	asked 'histogram_quantile(0.5, varve_lock_hold_seconds_bucket)' '.data.result | length > 0'
	curl -sS "http://127.0.0.1:$web/api/v1/targets" | jq -e '.data.activeTargets | map(.lastError) == [""]'
	curl -sS "http://127.0.0.1:$web/api/v1/rules" |
		jq -e '[.data.groups[].rules[]] | length > 5 and all(.health != "err")'
}

@test "the alert rules pass their tests" {
	command -v promtool > /dev/null || skip_for promtool "the package prometheus is not installed"
	cp "$repo/packaging/prometheus/varve.rules.yml" "$repo/tests/data/varve.rules.test.yml" "$BATS_TEST_TMPDIR"
	run -0 promtool test rules "$BATS_TEST_TMPDIR/varve.rules.test.yml"
}

# Names of metrics, without what formats and histograms add.
families() {
	grep -oE '\b(varve|process|grpc_server)_[a-z_]+' | sed -E 's/_(total|bucket|sum|count)$//' | sort -u
}

@test "each metric is documented, and rules, dashboard and documentation name no other" {
	scrape | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' | families > "$BATS_TEST_TMPDIR/served"
	# Counters that the backend of this kernel need not see.
	printf '%s\n' varve_copied_up_bytes varve_file_{opens,execs,mmaps} varve_{reads,writes,copy_ups} \
		varve_{read,written,never_read,cold}_bytes varve_upkeep_{file_opens,reads,read_bytes} >> "$BATS_TEST_TMPDIR/served"
	sort -u -o "$BATS_TEST_TMPDIR/served" "$BATS_TEST_TMPDIR/served"
	sed -n '/^## What there is/,$p' "$repo/doc/metrics.md" | grep -oP '\x60[a-z_]+\x60' | families > "$BATS_TEST_TMPDIR/documented"
	diff "$BATS_TEST_TMPDIR/served" "$BATS_TEST_TMPDIR/documented"
	{
		grep -o 'expr": ".*' "$repo/packaging/grafana/varve.json"
		yq_exprs
	} | families > "$BATS_TEST_TMPDIR/used"
	[[ $(wc -l < "$BATS_TEST_TMPDIR/used") -ge 15 ]]
	[[ -z $(comm -23 "$BATS_TEST_TMPDIR/used" "$BATS_TEST_TMPDIR/served") ]]
	jq -e '.panels | length > 10' "$repo/packaging/grafana/varve.json" > /dev/null
}

yq_exprs() {
	sed -n '/expr:/,/for:\|labels:/p' "$repo/packaging/prometheus/varve.rules.yml"
}

@test "the number of series is bounded, however many layers are read" {
	own_agent
	start_agent
	kill_agent
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" 10000
	sqlite3 "$agent_root/varve.db" 'UPDATE layers SET read_bytes = 1000'
	start_agent
	scrape > "$BATS_TEST_TMPDIR/scrape"
	grep -qx 'varve_records{type="regular"} 10000' "$BATS_TEST_TMPDIR/scrape"
	[[ $(grep -c '^varve_layer_read_bytes_total{' "$BATS_TEST_TMPDIR/scrape") -eq 51 ]]
	grep -q '^varve_layer_read_bytes_total{layer="other"} ' "$BATS_TEST_TMPDIR/scrape"
	grep -qx 'varve_layers_without_series 9950' "$BATS_TEST_TMPDIR/scrape"
	series=$(grep -vc '^#' "$BATS_TEST_TMPDIR/scrape")
	((series <= 2000))
	grep -qx "varve_metrics_series $series" "$BATS_TEST_TMPDIR/scrape"
	grep -qx 'varve_metrics_series_left_out 0' "$BATS_TEST_TMPDIR/scrape"
}

@test "requests that are malformed, huge, pipelined or ask for other files are answered or refused" {
	/usr/bin/python3 - "$metrics" <<- 'END'
		import socket
		import sys

		def ask(data, most=1 << 20):
		    s = socket.socket(socket.AF_UNIX)
		    s.settimeout(60)
		    s.connect(sys.argv[1])
		    try:
		        s.sendall(data)
		        s.shutdown(socket.SHUT_WR)
		    except BrokenPipeError:
		        pass
		    answer = b""
		    try:
		        while len(answer) < most:
		            part = s.recv(65536)
		            if not part:
		                break
		            answer += part
		    except ConnectionResetError:
		        pass
		    s.close()
		    return answer

		def status(path, method="GET", headers=""):
		    return ask(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()).split(b"\r\n")[0]

		assert b" 200 " in status("/metrics")
		assert b" 200 " in status("/metrics?a=b&c")
		for path in ("/", "/metrics/", "//metrics", "/../etc/passwd", "/metrics/../../etc/passwd",
		             "/%2e%2e/%2e%2e/etc/passwd", "/metric" + "s" * 5000):
		    assert b" 404 " in status(path), path
		for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
		    assert b" 405 " in status("/metrics", method), method
		assert b" 405 " in status("/metrics", "POST", "Content-Length: 1000000000000\r\n")
		assert b" 200 " in status("/metrics", "GET", "Content-Length: 5\r\n")
		# Each is refused or dropped, and not obeyed.
		for data in (b"\x00" * 1000, b"\xff" * 100000, b"GET /metrics\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 1000,
		             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
		             b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100000 + b"\r\n",
		             b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n\r\n",
		             b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
		    answer = ask(data)
		    assert b"root:" not in answer
		# Pipelined requests are answered one after the other.
		answer = ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
		assert answer.count(b"HTTP/1.1 200 ") == 5, answer.count(b"HTTP/1.1")
		head = ask(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		assert b" 200 " in head and head.endswith(b"\r\n\r\n")
	END
	scrape > /dev/null
	varve info > /dev/null
}

@test "clients that are slow, or never read, keep no other out, and are disconnected" {
	/usr/bin/python3 - "$metrics" <<- 'END'
		import socket
		import sys
		import time

		def connect():
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    return s

		# One less than fills the server; a small buffer, so that an answer does not fit.
		clients = [connect() for _ in range(60)]
		for i, s in enumerate(clients):
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
		    if i % 3 == 0:
		        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
		    elif i % 3 == 1:
		        s.sendall(b"GET /met")
		start = time.monotonic()
		answered = 0
		# Until the agent has closed them all; each byte would start the library's own timeout again.
		waiting = set(clients)
		while waiting and time.monotonic() - start < 300:
		    for i, s in enumerate(clients):
		        if s in waiting and i % 3 == 1:
		            try:
		                s.sendall(b"r")
		            except OSError:
		                waiting.discard(s)
		        elif s in waiting:
		            try:
		                if not s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) and i % 3 == 2:
		                    waiting.discard(s)
		                elif i % 3 == 0:
		                    s.send(b"")  # of those that never read, the end shows when they write
		                    s.sendall(b"G")
		            except BlockingIOError:
		                pass
		            except OSError:
		                waiting.discard(s)
		    other = connect()
		    other.settimeout(60)
		    other.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		    assert other.recv(100).startswith(b"HTTP/1.1 200 ")
		    other.close()
		    answered += 1
		    time.sleep(0.5)
		assert not waiting, f"{len(waiting)} clients are still connected"
		assert answered > 5
	END
	varve info > /dev/null
}

@test "hundreds of scrapes at once are all answered, and hold up no call, as do clients that never read" {
	# Answers of which nothing is taken, until the end of this test.
	mkfifo "$BATS_TEST_TMPDIR/silence"
	exec 7<> "$BATS_TEST_TMPDIR/silence"
	/usr/bin/python3 -c '
import socket, sys
clients = []
for _ in range(20):
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(sys.argv[1])
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
    clients.append(s)
print("asked", flush=True)
sys.stdin.read()' "$metrics" < "$BATS_TEST_TMPDIR/silence" > "$BATS_TEST_TMPDIR/asked" 3>&- &
	silent=$!
	retry 50 grep -q asked "$BATS_TEST_TMPDIR/asked"
	seq 500 | xargs -P 40 -I{} curl -sS --fail --max-time 100 --unix-socket "$metrics" -o /dev/null -w '%{http_code}\n' \
		http://localhost/metrics > "$BATS_TEST_TMPDIR/codes" 3>&- &
	scrapes=$!
	calls=0
	while kill -0 "$scrapes" 2> /dev/null; do
		varve info > /dev/null
		varve ls > /dev/null
		varve lease create other > /dev/null
		varve lease rm other
		((++calls))
	done
	((calls > 0))
	wait "$scrapes"
	[[ $(grep -cx 200 "$BATS_TEST_TMPDIR/codes") -eq 500 ]]
	kill "$silent" # it was there all the time
	exec 7>&-
}

@test "the loopback port answers only requests for this machine" {
	curl -sS --fail "http://127.0.0.1:$port/metrics" > /dev/null
	curl -sS --fail -H 'Host: localhost' "http://127.0.0.1:$port/metrics" > /dev/null
	# What a browser sends that was tricked into asking for a foreign name.
	run -0 curl -sS -o /dev/null -w '%{http_code}' -H 'Host: evil.example' "http://127.0.0.1:$port/metrics"
	[[ $output == 403 ]]
}

@test "the socket has the group of the read-only socket, and is gone with the agent" {
	own_agent
	printf '[agent]\nread_only_group = games\n' >> "$agent_config"
	start_agent
	[[ $(stat -c '%a %G' "$metrics") == '660 games' ]]
	run setpriv --reuid nobody --regid nogroup --clear-groups curl -sS --unix-socket "$metrics" http://localhost/metrics
	assert_status 7
	stop_agent
	[[ ! -e $metrics ]]
}

@test "the agent refuses addresses that other hosts can reach, and ports that are taken" {
	own_agent
	local address
	for address in 0.0.0.0:9842 192.168.0.1:9842 '[::]:9842' '[::1]' 127.0.0.1 127.0.0.1:0 127.0.0.1:70000 \
		localhost:9842 ':9842' '127.0.0.1:98x' ''; do
		printf '[metrics]\naddress = %s\n' "$address" > "$BATS_TEST_TMPDIR/bad.conf"
		run -2 "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/bad.conf" --check-config
		assert_output_has "is not a loopback address with a port"
	done
	/usr/bin/python3 -c '
import socket, sys
s = socket.socket()
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("listening", flush=True)
sys.stdin.read()' "$port" < <(sleep 60) > "$BATS_TEST_TMPDIR/other" 3>&- &
	other=$!
	retry 50 grep -q listening "$BATS_TEST_TMPDIR/other"
	run -5 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config"
	kill "$other"
	assert_output_has "listen at 127.0.0.1:$port: Address already in use"
	[[ ! -e $agent_root ]] # no store is left behind
}
