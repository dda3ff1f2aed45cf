#!/usr/bin/env bats
# requires root overlay jq umoci skopeo zstd docker-registry setfattr
# SPDX-License-Identifier: Apache-2.0
#
# Export of records as images, and of layers as tars.

load ../lib/helpers
load ../lib/images
load ../lib/registry

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_registry
	agent_teardown
}

# Makes a record on top of an image, with everything that a layer can have: whiteouts, an opaque directory, links.
build_on() { # PARENT
	local id dir
	id=$(varve new --parent "$1" --retain --description "built here")
	dir=$(varve mount "$id")
	echo built > "$dir/etc/built"
	rm "$dir/etc/middle"
	rm -r "$dir/var/old"
	mkdir "$dir/var/old"
	echo newer > "$dir/var/old/newer"
	ln "$dir/etc/built" "$dir/etc/built-too"
	ln -s built "$dir/etc/built-link"
	mkfifo "$dir/var/pipe"
	touch -d 2021-02-03T04:05:06.5 "$dir/var/old/newer"
	truncate -s 5M "$dir/var/sparse"
	setfattr -n user.colour -v red "$dir/etc/built"
	id=$(varve commit "$id")
	varve finalize "$id"
	echo "$id"
}

umoci_tree() { # LAYOUT TAG DIRECTORY
	umoci unpack --image "$1:$2" "$3" > "$BATS_TEST_TMPDIR/umoci.log" 2>&1 || cat "$BATS_TEST_TMPDIR/umoci.log"
}

export_to() { # ID DESTINATION [OPTION…]
	varve export "$@" > /dev/null 2>&1
}

@test "umoci and skopeo accept the export of a record that was built on an image" {
	make_images
	out=$BATS_TEST_TMPDIR/out
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	built=$(build_on "$one")
	run -0 --separate-stderr varve export "$built" "oci:$out:mine" --json
	assert_json '.layers == 4 and (.manifest | startswith("sha256:"))'
	umoci_tree "$out" mine "$BATS_TEST_TMPDIR/bundle"
	diff <(describe_tree "$BATS_TEST_TMPDIR/bundle/rootfs") <(describe_tree "$(varve mount "$built" --read-only)")
	# The config continues the image's.
	config=$(skopeo inspect --config --raw "oci:$out:mine")
	[[ $(jq -c '[.config.Cmd[0], .config.Env[0], (.history | length), .history[3].created_by]' <<< "$config") == '["/bin/sh","A=b",4,"built here"]' ]]
	[[ $(jq -r '.rootfs.diff_ids[0]' <<< "$config") == "$(digest_of < "$trees/base.tar")" ]]
	skopeo copy --quiet "oci:$out:mine" "oci:$BATS_TEST_TMPDIR/copy:mine"
	skopeo copy --quiet "oci:$out:mine" "docker-archive:$BATS_TEST_TMPDIR/docker.tar"
}

@test "exports of a record are identical, and importing one gives the same record" {
	make_images
	start_agent
	built=$(build_on "$(varve import "oci:$layout:one" 2> /dev/null)")
	export_to "$built" "oci:$BATS_TEST_TMPDIR/a:mine"
	export_to "$built" "oci:$BATS_TEST_TMPDIR/b:mine"
	diff -r "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	[[ $(varve import "oci:$BATS_TEST_TMPDIR/a:mine" 2> /dev/null) == "$built" ]]
	describe_tree "$(varve mount "$built" --read-only)" > "$BATS_TEST_TMPDIR/before"
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown
	rm -rf "$agent_root"
	start_agent
	again=$(varve import "oci:$BATS_TEST_TMPDIR/a:mine" 2> /dev/null)
	diff "$BATS_TEST_TMPDIR/before" <(describe_tree "$(varve mount "$again" --read-only)")
	export_to "$again" "oci:$BATS_TEST_TMPDIR/c:mine"
	diff -r "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/c"
}

@test "an export of an imported image has the blobs and config that were imported" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	export_to "$one" "oci:$BATS_TEST_TMPDIR/out:one"
	for blob in "$BATS_TEST_TMPDIR"/out/blobs/sha256/*; do
		[[ -e $layout/blobs/sha256/${blob##*/} ]] || jq -e '.layers | length == 3' "$blob" > /dev/null
	done
	# An export into an existing layout moves a tag.
	export_to "$one" "oci:$layout:two"
	[[ $(jq '.manifests | length' "$layout/index.json") -eq 2 ]]
	umoci_tree "$layout" two "$BATS_TEST_TMPDIR/bundle"
	[[ -e $BATS_TEST_TMPDIR/bundle/rootfs/etc/top ]]
	run -5 varve export "$one" "oci:$trees:one"
	assert_output_has "not an OCI layout"
}

@test "what a killed export left beside its target does not block the next one, which leaves nothing" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	mkdir "$BATS_TEST_TMPDIR/out"
	# By the names that exports had beside their targets once.
	echo mine > "$BATS_TEST_TMPDIR/out/archive.tar.new"
	export_to "$one" "oci-archive:$BATS_TEST_TMPDIR/out/archive.tar:mine"
	# Again, over a file that is there.
	export_to "$one" "oci-archive:$BATS_TEST_TMPDIR/out/archive.tar:mine"
	skopeo inspect "oci-archive:$BATS_TEST_TMPDIR/out/archive.tar:mine" > /dev/null
	[[ $(stat -c %a "$BATS_TEST_TMPDIR/out/archive.tar") == 644 ]]
	[[ $(< "$BATS_TEST_TMPDIR/out/archive.tar.new") == mine ]]
	# One that fails leaves what is there.
	mkdir "$BATS_TEST_TMPDIR/out/folder"
	run ! varve export "$one" "oci-archive:$BATS_TEST_TMPDIR/out/folder:mine"
	[[ $(ls -A "$BATS_TEST_TMPDIR/out") == $'archive.tar\narchive.tar.new\nfolder' ]]
	rm -r "$BATS_TEST_TMPDIR/out/folder"
	run ! varve export "$one" "oci-archive:$BATS_TEST_TMPDIR/nowhere/archive.tar:mine"
	export_to "$one" "oci:$BATS_TEST_TMPDIR/layout:mine"
	[[ -z $(find "$BATS_TEST_TMPDIR/layout" -name '.*' -o -name '*.new') ]]
}

@test "several exports into one layout at a time give whole blobs" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	pids=()
	for n in {1..8}; do
		varve export "$one" "oci:$BATS_TEST_TMPDIR/shared:mine" > "$BATS_TEST_TMPDIR/export.$n" 2>&1 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || { cat "$BATS_TEST_TMPDIR"/export.*; return 1; }
	done
	for blob in "$BATS_TEST_TMPDIR"/shared/blobs/sha256/*; do
		[[ $(digest_of < "$blob") == "sha256:${blob##*/}" ]]
	done
	skopeo inspect "oci:$BATS_TEST_TMPDIR/shared:mine" > /dev/null
}

@test "export and diff write archives and plain tars, uncompressed or with gzip or zstd" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	built=$(build_on "$one")
	export_to "$built" "oci-archive:$BATS_TEST_TMPDIR/archive.tar:mine" --compression zstd
	skopeo inspect "oci-archive:$BATS_TEST_TMPDIR/archive.tar:mine" > /dev/null
	[[ $(varve inspect "$built" --json | jq -r .blob.mediaType) == *"+zstd" ]]
	export_to "$built" "tar:$BATS_TEST_TMPDIR/layer.tar"
	varve diff "$built" > "$BATS_TEST_TMPDIR/diff.tar"
	cmp "$BATS_TEST_TMPDIR/layer.tar" "$BATS_TEST_TMPDIR/diff.tar"
	[[ $(digest_of < "$BATS_TEST_TMPDIR/diff.tar") == "$(varve inspect "$built" --json | jq -r .blob.diffId)" ]]
	tar -tf "$BATS_TEST_TMPDIR/diff.tar" | grep -q 'etc/.wh.middle$'
	tar -tf "$BATS_TEST_TMPDIR/diff.tar" | grep -q 'var/old/.wh..wh..opq$'
	cmp <(varve diff "$built" --compression gzip | gzip -dc) "$BATS_TEST_TMPDIR/diff.tar"
	cmp <(varve diff "$built" --compression zstd | zstd -dc) "$BATS_TEST_TMPDIR/diff.tar"
	[[ $(find "$agent_root/scratch" -mindepth 1 | wc -l) -eq 0 ]]
	run -1 varve diff "$built" --compression lzma
	assert_output_has lzma
}

# Prints each file's content, and which of the names in the directory are one file.
describe_links() { # DIR
	local a b
	(
		cd "$1" || exit
		for a in *; do
			echo "$a: $(cat "$a")"
			for b in *; do
				[[ ! $a < $b || ! $a -ef $b ]] || echo "$a is $b"
			done
		done
	)
}

@test "commit, children, exports and diffs have the hard links that a mount shows" {
	start_agent
	base=$(varve new --retain)
	dir=$(varve mount "$base")
	echo old > "$dir/h1"
	ln "$dir/h1" "$dir/h2"
	ln "$dir/h1" "$dir/h3"
	base=$(varve commit "$base")
	varve finalize "$base"
	cp -a "$(varve mount "$base" --read-only)/." unpacked
	top=$(varve new --retain --parent "$base")
	dir=$(varve mount "$top")
	echo new >> "$dir/h1"
	ln "$dir/h1" "$dir/h4"
	mv "$dir/h3" "$dir/moved"
	describe_links "$dir" > live
	[[ $(< "$dir/h2") == old && $(< "$dir/h4") == $'old\nnew' ]]
	top=$(varve commit "$top")
	varve finalize "$top"
	diff live <(describe_links "$(varve mount "$top" --read-only)")
	diff live <(describe_links "$(varve mount "$(varve new --parent "$top")")")

	# The diff, on top of what the base had.
	varve diff "$top" > diff.tar
	tar -xf diff.tar --exclude='.wh.*' -C unpacked
	[[ $(tar -tf diff.tar | grep -c '\.wh\.') -eq 1 ]]
	rm unpacked/h3
	diff live <(describe_links unpacked)

	export_to "$top" "oci:$PWD/out:mine"
	umoci_tree out mine bundle
	diff live <(describe_links bundle/rootfs)
	again=$(varve import "oci:$PWD/out:mine" 2> /dev/null)
	diff live <(describe_links "$(varve mount "$again" --read-only)")
}

@test "a refused export names the reason and writes nothing" {
	make_images
	start_agent
	mutable=$(varve new --retain)
	run -1 varve export "$mutable" "oci:$BATS_TEST_TMPDIR/out:x"
	assert_output_has "commit it first"
	run -5 varve diff "$mutable"
	[[ ! -e $BATS_TEST_TMPDIR/out ]]
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	run -1 varve export "$one" "docker://localhost/x@$(digest_of < "$trees/top.tar")"
	assert_output_has "not under a digest"
	run -4 varve export "$one" "oci:$BATS_TEST_TMPDIR/nowhere/out:x"
	run -4 varve export 0000 "oci:$BATS_TEST_TMPDIR/out:x"
	# A lazy image can be exported as long as its blobs are in the store.
	two=$(varve import "oci:$layout:two" --lazy 2> /dev/null)
	export_to "$two" "oci:$BATS_TEST_TMPDIR/out:two"
	[[ $(varve inspect "$two" --json | jq .lazy) == true ]]
	rm "$agent_root/blobs/sha256/$(digest_of < "$trees/other.tar.gz" | cut -d : -f 2)"
	varve fsck > /dev/null || true
	run -4 varve export "$two" "oci:$BATS_TEST_TMPDIR/out2:two"
	assert_output_has "$(digest_of < "$trees/other.tar.gz")"
}

@test "pulling a pushed image gives the same record" {
	make_images
	start_registry
	start_agent
	built=$(build_on "$(varve import "oci:$layout:one" 2> /dev/null)")
	varve push "$built" "$registry/built/here:1" > /dev/null 2>&1
	skopeo inspect --tls-verify=false "docker://$registry/built/here:1" > /dev/null
	[[ $(varve pull "$registry/built/here:1" 2> /dev/null) == "$built" ]]
	# A second push sends only what the registry lacks.
	varve push "$built" "$registry/built/here:2" > /dev/null 2>&1
	skopeo copy --quiet --src-tls-verify=false "docker://$registry/built/here:2" "oci:$BATS_TEST_TMPDIR/copy:x"
	umoci_tree "$BATS_TEST_TMPDIR/copy" x "$BATS_TEST_TMPDIR/bundle"
	diff <(describe_tree "$BATS_TEST_TMPDIR/bundle/rootfs") <(describe_tree "$(varve mount "$built" --read-only)")
	stop_registry
	run -1 varve push "$built" "$registry/built/here:3"
	assert_output_has "$registry"
}
