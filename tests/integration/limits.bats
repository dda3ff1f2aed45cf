#!/usr/bin/env bats
# requires root overlay jq python3
# SPDX-License-Identifier: Apache-2.0
#
# Limits and wrong arguments: each is refused with a sentence and an exit status, and changes nothing.

load ../lib/helpers

# A call that is refused may have measured sizes that were not known.
list_without_sizes() {
	varve ls --json | jq -c 'del(.size)'
}

# refused STATUS TEXT COMMAND…: the command ends with this status and one line with this text, and changes nothing.
refused() {
	local status=$1 text=$2 before
	shift 2
	before=$(list_without_sizes)
	run "-$status" --separate-stderr "$@"
	[[ $stderr == *"$text"* && $(wc -l <<< "$stderr") == 1 ]] || {
		echo "said: $stderr"
		return 1
	}
	[[ $(list_without_sizes) == "$before" ]]
}

@test "a chain can have 500 layers, and a 501st is refused" {
	count_accesses
	start_agent
	client_program=${VARVE_CLIENT-}
	top=$(varve new --retain)
	echo deep > "$(varve mount "$top")/file"
	top=$(varve commit "$top")
	bottom=$top
	for ((i = 1; i < 500; i++)); do
		id=$(varve new --retain --parent "$top")
		top=$(varve commit "$id")
	done
	varve finalize "$top"
	opens=$(varve stats "$bottom" --json | jq .opens)
	[[ $(cat "$(varve mount "$top")/file") == deep ]]
	[[ $(varve stats "$bottom" --json | jq .opens) == $((opens + 1)) ]]
	varve umount "$top"
	refused 1 "500 layers deep already" varve new --parent "$top"
	[[ $(count_layers) == 500 ]]
}

@test "a command on an unknown record, or on one of the wrong kind, is refused" {
	start_agent
	id=$(varve new --retain)
	twin=$(varve commit "$id")
	refused 4 "no record 'nosuchrecord'" varve mount nosuchrecord
	refused 4 "no record '../../etc'" varve inspect ../../etc
	refused 4 "no record" varve get "$(printf 'a%.0s' {1..5000})"
	refused 1 "is immutable" varve commit "$twin"
	refused 1 "is mutable" varve finalize "$id"
	refused 5 "lease 'cli' holds it" varve rm "$twin"
	refused 1 "is not mounted" varve umount "$twin"
}

@test "names and labels that are too long, too many or have control characters are refused" {
	start_agent
	long=$(head -c 100000 /dev/zero | tr '\0' x)
	refused 1 "at most 4096 bytes" varve new --description "$long"
	refused 1 "control characters" varve new --description $'two\nlines'
	refused 1 "at most 4096 bytes" varve new --label "k=$long"
	mapfile -t labels < <(printf -- '--label=k%d=v\n' {1..300})
	refused 1 "at most 256 labels" varve new "${labels[@]}"
	refused 1 "name" varve lease create "$long"
	refused 1 "'/'" varve lease create ../up
	refused 1 "control characters" varve lease create $'a\nb'
	refused 1 "'.'" varve lease create ..
	refused 2 "" varve new --label novalue
}

@test "usage errors end with 2 and change nothing" {
	start_agent
	refused 2 "unknown command 'frobnicate'" varve frobnicate
	refused 2 "--frob" varve ls --frob
	refused 2 "invalid size 'lots'" varve prune --keep-storage lots
	refused 2 "ID" varve mount
	refused 2 "invalid size '10Q'" varve prune --max-used-space 10Q
	refused 2 "invalid duration '3parsecs'" varve prune --keep-duration 3parsecs
	refused 2 "invalid duration '-1h'" varve lease create short --expires -1h
}

@test "a prune that is refused evicts nothing" {
	start_agent
	id=$(result kept)
	varve du > /dev/null # measures it
	refused 4 "no policy 'none'" varve prune --policy none
	refused 1 "unknown scorer 'best'" varve prune --scorer best
	refused 1 "filter 'size>>1'" varve prune --filter 'size>>1'
	refused 4 "no plan" varve prune --plan 0123456789ab
	refused 2 "" varve prune --keep-storage 101%
	[[ $(varve ls -q) == "$id" ]]
}

@test "varve exits with 3 without an agent, and with 6 without permission for its socket" {
	run -3 --separate-stderr "$VARVE_BUILD/varve" -H "unix://$BATS_TEST_TMPDIR/none" info
	[[ $stderr == *"is varved running?"* ]]
	start_agent
	chmod 755 "$agent_socket_dir"
	cp "$VARVE_BUILD/varve" "$agent_socket_dir/varve"
	run -6 --separate-stderr setpriv --reuid 65534 --clear-groups \
		"$agent_socket_dir/varve" -H "unix://$agent_socket" info
	[[ $stderr == *"group varve"* ]]
}

@test "varve says what is wrong with an address that is not an agent's socket" {
	run -3 --separate-stderr "$VARVE_BUILD/varve" -H "unix://$BATS_TEST_TMPDIR" ls
	[[ $stderr == *"is not a socket"* ]]
	listener=$BATS_TEST_TMPDIR/listener
	cat > "$listener" <<- 'END'
		import socket, sys
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1])
		listener.listen()
		print("up", flush=True)
		while True:
		    client = listener.accept()[0]
		    try:
		        while client.recv(1000000) and sys.argv[2] == "silent":
		            pass
		        if sys.argv[2] == "http":
		            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
		    except OSError:
		        pass # it is gone
		    client.close()
	END
	for case in "http:is not an agent of Varve" "rude:hung up" "silent:does not answer"; do
		/usr/bin/python3 "$listener" "$agent_socket_dir/${case%:*}" "${case%:*}" > "$BATS_TEST_TMPDIR/said" 3>&- &
		listening=$!
		retry 100 grep -q up "$BATS_TEST_TMPDIR/said"
		run -3 --separate-stderr "$VARVE_BUILD/varve" -H "unix://$agent_socket_dir/${case%:*}" ls
		kill "$listening"
		wait "$listening" || true
		rm "$BATS_TEST_TMPDIR/said"
		[[ $stderr == *"${case#*:}"* && $(wc -l <<< "$stderr") == 1 ]]
	done
}

@test "an option with an empty value is a usage error" {
	start_agent
	id=$(result kept)
	for option in plan policy filter scorer; do
		refused 2 "option '--$option' is empty" varve prune "--$option" ""
	done
	refused 2 "option '--parent' is empty" varve new --parent ""
	refused 2 "option '--lease' is empty" varve get "$id" --lease ""
	varve release "$(varve new --description "")"
	cd "$BATS_TEST_TMPDIR"
	run -2 "$VARVE_BUILD/varved" --root "" --socket "$agent_socket_dir/other"
	[[ $output == *"root must not be empty"* && ! -e varve.db ]]
	run -2 "$VARVE_BUILD/varved" --root other --socket ""
	[[ $output == *"socket must not be empty"* && ! -e other ]]
	run -2 "$VARVE_BUILD/varved" --config . --check-config
	[[ $output == *"read .: Is a directory"* ]]
}

@test "the agent leaves alone a socket of another process and a file in the socket's place" {
	start_agent
	run -5 "$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/second" --socket "$agent_socket"
	[[ $output == *"another process listens"* && ! -e $BATS_TEST_TMPDIR/second ]]
	varve info
	echo precious > "$BATS_TEST_TMPDIR/file"
	run -5 "$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/second" --socket "$BATS_TEST_TMPDIR/file"
	[[ $(< "$BATS_TEST_TMPDIR/file") == precious ]]
}

@test "varved without root refuses in one sentence" {
	cp "$VARVE_BUILD/varved" "$agent_socket_dir/varved"
	chmod 755 "$agent_socket_dir"
	run -6 setpriv --reuid 65534 --clear-groups "$agent_socket_dir/varved"
	[[ $output == *"only root"* && ${#lines[@]} == 1 ]]
}

@test "varved refuses a store on a file system that cannot be an overlay's upper one" {
	mkdir "$BATS_TEST_TMPDIR"/{l,u,w,m}
	mount -t overlay overlay -o "lowerdir=$BATS_TEST_TMPDIR/l,upperdir=$BATS_TEST_TMPDIR/u,workdir=$BATS_TEST_TMPDIR/w" \
		"$BATS_TEST_TMPDIR/m"
	run "$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/m/store" --socket "$agent_socket"
	umount "$BATS_TEST_TMPDIR/m"
	[[ $status -ne 0 && $output == *overlay*ext4* ]]
}

@test "a lease is created, listed and removed with its refs, and cli cannot be removed" {
	start_agent
	varve lease create build
	refused 5 "already" varve lease create build
	id=$(varve new --lease build --retain)
	run varve lease ls --json
	assert_json_lines 'map(.name) | contains(["build", "cli"])'
	kill_agent
	start_agent
	[[ $(varve inspect "$id" --json | jq -r '.holds[0].lease') == build ]]
	varve lease rm build
	[[ $(varve inspect "$id" --json | jq '.holds | length') == 0 ]]
	refused 4 "no lease" varve lease rm build
	refused 1 "cannot be removed" varve lease rm cli
	refused 4 "no ref" varve release "$id"
}

@test "each listing's --json prints one JSON object per line" {
	count_accesses
	start_agent
	id=$(varve new --retain --description $'x"\\y')
	for verb in ls du "inspect $id" stats "tree" "lease ls" doctor; do
		# shellcheck disable=SC2086
		run varve $verb --json
		assert_status 0
		jq -es 'length > 0' <<< "$output"
	done
	run varve version --json
	assert_json 'type == "object"'
	[[ $(varve ls -q) == "$id" ]]
}
