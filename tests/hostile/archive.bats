#!/usr/bin/env bats
# requires root overlay jq python3
# SPDX-License-Identifier: Apache-2.0
#
# Attacks by an archive on the host whose root imports it. tests/integration/layer.bats tests single entries;
# here the whole agent must be unchanged afterwards.

load ../lib/helpers

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
	mkdir outside
	echo untouched > outside/file
}

make_layer() {
	"$BATS_TEST_DIRNAME/../tools/make-layer" "$@"
}

# unharmed: no file outside has changed, and the failed import has left nothing behind.
unharmed() {
	[[ $(cat outside/*) == untouched && $(find outside | wc -l) == 2 ]]
	[[ -z $(find "$agent_root/scratch" "$agent_root/layers" -mindepth 1 -maxdepth 1) ]]
	[[ -z $(varve ls -q) ]]
}

# refuses TEXT SPEC…: importing an archive of these entries fails with this text and does no harm.
refuses() {
	local text=$1
	shift
	make_layer evil.tar "$@"
	run ! varve import "tar:$PWD/evil.tar"
	assert_output_has "$text"
	unharmed
}

@test "an import refuses an archive that leads out of its layer, and leaves nothing" {
	start_agent
	refuses "'..' would lead out" file:../outside/file=bad
	refuses "'..' would lead out" file:a/../../outside/file=bad
	refuses "its target '../../../../../../etc/passwd'" hard:h=../../../../../../etc/passwd
	refuses "is not in this layer" "hard:h=$PWD/outside/file"
	refuses "more than 255 symbolic links" link:a=b link:b=a file:a/x=bad
	refuses "is a whiteout to overlayfs" chr:null=0/0
	refuses "the layer's root can be a directory only" link:.=outside
}

@test "links of an archive lead to the layer's own files, never to the host's" {
	start_agent
	make_layer evil.tar "link:abs=$PWD/outside" file:abs/file=one link:up=../../../../../../../../../.. \
		"file:up$PWD/outside/two=two" link:p=/proc/self/root "file:p$PWD/outside/three=three" hard:h=abs/file
	id=$(varve import "tar:$PWD/evil.tar" 2> progress)
	id=${id%% *}
	[[ $(cat outside/*) == untouched && $(find outside | wc -l) == 2 ]]
	mount=$(varve mount "$id" --read-only)
	[[ $(cat "$mount/h" "$mount$PWD/outside/two" "$mount/proc/self/root$PWD/outside/three") == onetwothree ]]
	varve umount "$id"
}

@test "an import does not take overlayfs' own attributes from an archive" {
	start_agent
	make_layer evil.tar dir:d,x.trusted.overlay.opaque=y file:f=1,x.trusted.overlay.redirect=/etc,x.trusted.overlay.metacopy=
	varve import "tar:$PWD/evil.tar"
	[[ -z $(getfattr -R -h -d -m trusted.overlay "$agent_root/layers" 2> /dev/null) ]]
	grep -q "left out.*trusted.overlay.opaque" "$agent_log"
}

@test "an import does not let an archive fill the file system" {
	mkdir disk
	mount -t tmpfs -o size=24M,nr_inodes=2000 tmpfs disk
	agent_root=$PWD/disk/store
	start_agent
	head -c 60M /dev/urandom > big
	tar -cf big.tar big
	make_layer many.tar file:{1..3000}=1
	for evil in big many; do
		run ! varve import "tar:$PWD/$evil.tar"
		assert_output_has "No space left: unpacking more would leave"
		retry 100 test -z "$(find "$agent_root/scratch" -mindepth 1)"
		(($(stat -f -c %a disk) > 0 && $(stat -f -c %d disk) > 0))
	done
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	umount disk
	agent_root=$PWD/none
}
