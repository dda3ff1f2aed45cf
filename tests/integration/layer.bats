#!/usr/bin/env bats
# requires root umoci skopeo bsdtar zstd jq python3
# SPDX-License-Identifier: Apache-2.0
#
# tests/tools/layer_tool unpacks tars to layers and packs layers to tars; it is compared with writers and
# readers of other projects. tests/tools/make-layer writes archives that no usual tool would write.

# shellcheck disable=SC2016 # the variables are jq's

load ../lib/helpers

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
	tools=$BATS_TEST_DIRNAME/../tools
}

layer_tool() {
	"$VARVE_BUILD/tests/tools/layer_tool" "$@"
}

make_layer() {
	"$tools/make-layer" "$@"
}

list_tree() {
	"$tools/list-tree" "$@"
}

# applies SPEC…: an archive of these entries can be unpacked to the directory `layer`.
applies() {
	rm -rf layer
	make_layer layer.tar "$@"
	run -0 layer_tool apply layer.tar layer
}

# refuses CODE TEXT SPEC…: an archive of these entries is refused, and nothing outside of `layer` changes.
refuses() {
	local code=$1 text=$2
	shift 2
	rm -rf layer outside
	mkdir outside
	echo untouched > outside/file
	make_layer layer.tar "$@"
	run -1 layer_tool apply layer.tar layer
	[[ $output == "$code: "*"$text"* ]] || {
		echo "said: $output"
		return 1
	}
	[[ $(cat outside/*) == untouched ]]
}

# make_tree DIR: makes a tree with every kind of file that a layer may have.
make_tree() {
	local name
	mkdir -p "$1"/{bin,deep/er,empty,'sp ace'}
	head -c 300000 /dev/urandom > "$1/bin/tool"
	chmod 4755 "$1/bin/tool"
	setcap cap_net_raw+ep "$1/bin/tool" 2> /dev/null ||
		python3 -c 'import os, sys; os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))' "$1/bin/tool"
	setfattr -n user.note -v text "$1/deep/er"
	ln "$1/bin/tool" "$1/bin/alias"
	ln -s ../../../../etc/passwd "$1/deep/link"
	ln -s "$(printf 'x%.0s' {1..300})" "$1/deep/long"
	mkfifo "$1/fifo"
	mknod "$1/null" c 1 3
	mknod "$1/disk" b 8 1
	name=$(printf 'n%.0s' {1..200})
	mkdir -p "$1/$name/$name"
	echo long > "$1/$name/$name/$name"
	echo bytes > "$1/"$'caf\xe9'
	echo nfd > "$1/"$'cafe\xcc\x81'
	chown 3000000:4000000 "$1/deep"
	chmod 1777 "$1/empty"
	truncate -s 5M "$1/sparse"
	echo end >> "$1/sparse"
	touch -d '2001-02-03 04:05:06.123456789' "$1/bin/tool" "$1/deep" "$1/"$'caf\xe9'
	touch -d '2010-01-01' "$1"
}

same_tree() {
	diff <(list_tree "$1") <(list_tree "$2")
}

@test "B44 tars of GNU tar, bsdtar and Python are unpacked as they were packed" {
	make_tree tree
	bsdtar -C tree --format=pax --xattrs -cf bsd.tar . # bsdtar writes wrong times before 1970
	touch -h -d '1969-12-31 23:59:58.25' tree/deep/link
	tar -C tree --format=pax --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*' -cf gnu.tar .
	tar -C tree --format=pax -S --xattrs --xattrs-include='*' -cf sparse.tar .
	for archive in gnu sparse bsd; do
		rm -rf layer
		run -0 layer_tool apply "$archive.tar" layer
		assert_json '.blob == .diff_id and .blob == "sha256:\($sum)"' --arg sum "$(sha256sum < "$archive.tar" | cut -d' ' -f1)"
		[[ $archive != bsd ]] || touch -h -d @1 tree/deep/link layer/deep/link
		same_tree tree layer
	done
	tar -C tree --format=gnu -S -cf old.tar deep bin sparse $'caf\xe9' # no xattrs, no fractions of seconds
	rm -rf layer
	run -0 layer_tool apply old.tar layer
	cmp tree/sparse layer/sparse
	(($(stat -c %b layer/sparse) < 100))
	python3 -c 'import tarfile
with tarfile.open("python.tar", "w", format=tarfile.GNU_FORMAT) as tar: tar.add("tree", ".")'
	rm -rf layer
	run -0 layer_tool apply python.tar layer
	diff -r --no-dereference tree/deep layer/deep
}

@test "apply reads tars of mixed formats as Go's and Python's readers do" {
	local reason
	reason=$(lacking go) && skip_for go "$reason"
	GO111MODULE=off GOCACHE=$BATS_TEST_TMPDIR/cache go build -o list_tar "$tools/list_tar.go"
	mkdir tars
	"$tools/odd-tars" tars 500 7
	run -0 "$tools/compare-tars" "$VARVE_BUILD/tests/tools/layer_tool" tars < <(./list_tar tars)
	[[ $output =~ ^accepted\ ([0-9]+)\ \(([0-9]+)\ as\ tarfile\ does\),\ refused\ ([0-9]+),\ different\ 0$ ]]
	# The comparison must not be empty.
	((BASH_REMATCH[1] > 300 && BASH_REMATCH[2] > 200 && BASH_REMATCH[3] > 20))
}

@test "B11 a size on an entry without content does not consume the next entry" {
	for format in PAX_FORMAT GNU_FORMAT USTAR_FORMAT; do
		for pax in '' '{"mtime": "1.5"}' '{"size": "1024"}'; do
			rm -rf layer
			python3 - "$format" "${pax:-{\}}" <<-'END'
				import io, json, sys, tarfile
				with tarfile.open("layer.tar", "w", format=getattr(tarfile, sys.argv[1])) as tar:
				    def add(name, kind, size, body=b"", link="", pax={}):
				        info = tarfile.TarInfo(name)
				        info.type, info.size, info.linkname, info.pax_headers = kind, size, link, pax
				        tar.fileobj.write(info.tobuf(tar.format) + body.ljust(-(-len(body) // 512) * 512, b"\0"))
				    add("a", tarfile.REGTYPE, 1024, b"a" * 1024)
				    for kind, name in (("1", "hard"), ("2", "symbolic"), ("5", "directory"), ("6", "fifo")):
				        add(name, kind.encode(), 1024, link="a", pax=json.loads(sys.argv[2]))
				        add("after-" + name, tarfile.REGTYPE, 1024, name.encode().ljust(1024, b"-"))
			END
			run -0 layer_tool apply layer.tar layer
			for name in hard symbolic directory fifo; do
				[[ $(tr -d - < "layer/after-$name") == "$name" ]]
			done
			[[ $(stat -c %h layer/a) == 2 ]]
		done
	done
	# A body after an entry that has none is an error.
	python3 - <<-'END'
		import tarfile
		info = tarfile.TarInfo("h")
		info.type, info.size, info.linkname = tarfile.LNKTYPE, 5, "a"
		with open("body.tar", "wb") as file:
		    file.write(tarfile.TarInfo("a").tobuf() + info.tobuf() + b"BODY!".ljust(512, b"\0") + bytes(1024))
	END
	rm -rf layer
	run -1 layer_tool apply body.tar layer
	assert_output_has "EBADMSG: after entry 'h': where a header has to be, there is none"
}

@test "apply reads gzip members and zstd frames in a row, and reports the digests of blob and tar" {
	make_tree tree
	tar -C tree --format=pax --xattrs --xattrs-include='*' -cf plain.tar .
	size=$(stat -c %s plain.tar)
	sum=$(sha256sum < plain.tar | cut -d' ' -f1)
	split -n 3 plain.tar part.
	for part in part.a?; do gzip -c "$part"; done > members.gz
	for part in part.a?; do
		zstd -qc "$part"
		printf '\x50\x2a\x4d\x18\x05\x00\x00\x00skip!'
	done > frames.zst
	gzip -1 -n < plain.tar > one.gz
	{ printf '\x5f\x2a\x4d\x18\x00\x00\x00\x00'; zstd -q -19 < plain.tar; } > first.zst
	for blob in members.gz frames.zst one.gz first.zst; do
		rm -rf layer
		run -0 layer_tool apply "$blob" layer
		assert_json '.diff_id == "sha256:\($sum)" and .blob == "sha256:\($blob)" and .diff_bytes == $size' \
			--arg sum "$sum" --arg blob "$(sha256sum < "$blob" | cut -d' ' -f1)" --argjson size "$size"
		diff <(list_tree tree/deep) <(list_tree layer/deep)
	done
	rm -rf layer
	run -0 layer_tool apply - layer < <(cat one.gz)
	# Zeros after the archive's end count towards the diff id.
	cp plain.tar padded.tar
	head -c 100000 /dev/zero >> padded.tar
	gzip -n padded.tar
	rm -rf layer
	run -0 layer_tool apply padded.tar.gz layer
	assert_json '.diff_bytes == $size' --argjson size $((size + 100000))
	echo "no header of a member" | cat one.gz - > garbage.gz
	rm -rf layer
	run -1 layer_tool apply garbage.gz layer
	assert_output_has "EBADMSG: gzip: this is not the header of a gzip member"
	xz -k plain.tar
	rm -rf layer
	run -1 layer_tool apply plain.tar.xz layer
	assert_output_has "EOPNOTSUPP: the layer is compressed with xz; known are gzip and zstd"
	# The largest window that zstd's own tool accepts by default; `docker buildx` writes it at high levels.
	head -c 200M /dev/zero > large
	tar -cf large.tar large
	zstd -q --ultra -22 --long=27 --zstd=wlog=27 < large.tar > window.zst
	rm -rf layer
	run -0 layer_tool apply window.zst layer
	assert_json '.rss_kib < 200000'
	rm -rf layer
	zstd -q --long=28 --zstd=wlog=28 < large.tar > window.zst
	run -1 layer_tool apply window.zst layer
	assert_output_has "EOPNOTSUPP: zstd: it needs a window of more than 128 MiB"
}

@test "apply turns whiteouts of lower layers' files into overlayfs whiteouts" {
	mkdir -p lower/{c,e,q}
	touch lower/{a,b,f}
	make_layer layer.tar file:a=1 file:.wh.a= file:.wh.b= file:.wh.c= dir:c file:c/x=1 dir:e file:.wh.e= file:.wh.f= \
		file:f/g=1 file:q/.wh..wh..opq= file:.wh..wh.plnk/1.2=x file:.wh..wh.aufs= file:.wh..wh.plnk=x dir:.wh..wh.orph
	run -0 layer_tool apply layer.tar layer lower
	[[ $(list_tree layer | sed -n "s/^b'\(.*\)' whiteout/\1/p") == b ]]
	[[ $(cat layer/a) == 1 ]]
	for opaque in c e f q; do
		[[ $(getfattr --only-values -n trusted.overlay.opaque "layer/$opaque") == y ]]
	done
	[[ -z $(find layer -name '.wh.*') ]]
	refuses EPERM "entry '.wh.': invalid whiteout" file:.wh.=
	refuses EPERM "entry 'd/.wh..': invalid whiteout" file:d/.wh..=
	refuses EPERM "entry '.wh...'" file:.wh...=
	refuses EPERM "entry '.wh.x/y'" file:.wh.x/y=
	refuses EPERM "entry 'null': a character device 0:0" chr:null=0/0
}

@test "a whiteout that hides nothing leaves no name in the mount" {
	mkdir -p lower/{merged,opaque/sub,file-below} older/{merged,hidden}
	touch lower/merged/{gone,kept} lower/opaque/{x,sub/y} older/hidden/z lower/plain
	mknod lower/hidden c 0 0
	make_layer layer.tar file:merged/.wh.gone= file:merged/.wh.never= file:only/here/.wh.never= file:hidden/.wh.z= \
		file:opaque/.wh.x= file:opaque/sub/.wh.y= file:opaque/.wh..wh..opq= file:plain/.wh.q= file:.wh.nothing=
	run -0 layer_tool apply layer.tar layer lower older
	[[ $(list_tree layer | sed -n "s/^b'\(.*\)' whiteout/\1/p") == merged/gone ]]
	mkdir upper work view
	mount -t overlay overlay -o "lowerdir=layer:lower:older,upperdir=upper,workdir=work" view
	# find would fail for a name that has no file.
	run find view -mindepth 1 -printf '%P\n'
	umount view
	assert_status 0
	[[ $(sort <<< "$output" | xargs) == "file-below hidden merged merged/kept only only/here opaque opaque/sub plain" ]]
}

@test "apply copies owner, mode and attributes of a directory that only a lower layer has" {
	mkdir -p older/{a/b,hidden} newer/a
	chmod 750 older/a/b
	chown 5:6 older/a/b
	setfattr -n user.note -v b older/a/b
	setfattr -n trusted.overlay.origin -v x older/a/b
	touch -d 2001-01-01 older/a/b
	chmod 711 newer/a
	chmod 700 older/hidden older
	mknod newer/hidden c 0 0
	make_layer layer.tar file:a/b/c/d=1 file:hidden/x=1
	run -0 layer_tool apply layer.tar layer newer older
	[[ $(stat -c '%a %u:%g %Y' layer/a/b) == "750 5:6 $(date -d 2001-01-01 +%s)" ]]
	[[ $(getfattr -d -m - layer/a/b | grep -v '^#') == 'user.note="b"' ]]
	[[ $(stat -c %a layer/a layer/a/b/c layer/hidden) == $'711\n755\n755' ]]
	[[ $(stat -c %a layer) == 755 ]] # the layer's root takes the mode of the newest lower layer that has one
	setfattr -n trusted.overlay.opaque -v y newer/a
	run -0 layer_tool apply layer.tar opaque newer older
	[[ $(stat -c %a opaque/a/b) == 755 ]]
}

@test "a later entry of an archive replaces an earlier one of the same name" {
	applies file:a=1 dir:a file:a/b=1 file:a=2 dir:d file:d/%200x/%200y/f=1 file:d/z=1 link:d=target file:twice=1 \
		hard:alias=twice file:twice=2 fifo:f file:f=3 dir:m,mode=700 dir:m,mode=711
	[[ $(cat layer/a layer/twice layer/alias layer/f) == $'2213' || $(cat layer/a layer/twice layer/alias layer/f) == 2213 ]]
	[[ $(readlink layer/d) == target ]]
	[[ $(stat -c %a layer/m) == 711 ]]
}

@test "apply refuses entries and links that lead out of the layer" {
	refuses EPERM "entry '../outside/file': '..' would lead out" file:../outside/file=bad
	refuses EPERM "entry 'a/../../outside/file'" file:a/../../outside/file=bad
	refuses ELOOP "entry 'a/x': more than 255 symbolic links" link:a=b link:b=a file:a/x=bad
	refuses EPERM "its target '../outside/file'" hard:h=../outside/file
	refuses ENOENT "entry 'h': its target '$PWD/outside/file' is not in this layer" "hard:h=$PWD/outside/file"
	refuses ENOENT "entry 'h': its target 's/file'" link:s=../outside hard:h=s/file
	refuses EPERM "entry 'h': its target 'd' is a directory" dir:d hard:h=d
	refuses EBADMSG "entry 'h': it is a hard link to itself" hard:h=h
	refuses ENOENT "entry 'h': its target 'gone'" hard:h=gone
	refuses ENOTDIR "entry 'f/x'" file:f=1 file:f/x=1
	refuses EPERM "entry '.': the layer's root" link:.=outside
	# An absolute path is taken as a path below the layer, as by other tools.
	applies file:/etc/absolute=1 link:s=../outside file:s=2 file:s=3
	[[ -f layer/etc/absolute && $(cat layer/s) == 3 && ! -e outside/s ]]
	applies file:a/../b=1 file:./a/c/../../d/./e=1
	[[ -f layer/b && -f layer/d/e && ! -e layer/a ]]
	# A hard link to a symbolic link is a symbolic link.
	applies link:s=/etc/passwd hard:h=s
	[[ $(readlink layer/h) == /etc/passwd ]]
}

@test "apply does not follow a link that replaced a directory meanwhile" {
	mkdir -p layer outside
	mkfifo pipe
	make_layer layer.tar dir:d file:d/%99a=1 dir:e file:d/late=1
	layer_tool apply - layer < pipe > log 2>&1 3>&- &
	pid=$!
	exec 5> pipe
	head -c 1536 layer.tar >&5 # dir:d and one file
	tail -c +1537 layer.tar > rest
	rm -rf layer/d
	ln -s ../outside layer/d
	cat rest >&5
	exec 5>&-
	wait "$pid" || true
	[[ -z $(ls outside) ]]
}

@test "apply leaves out overlayfs' own attributes and keeps others" {
	applies dir:d,x.trusted.overlay.opaque=y file:f=1,x.trusted.overlay.redirect=/etc,x.user.note=kept \
		file:g=1,x.trusted.overlay.metacopy= link:l=f,x.trusted.overlay.overlay.opaque=y
	[[ $(getfattr -R -h -d -m - layer | grep -v -e '^#' -e '^$') == 'user.note="kept"' ]]
	assert_json '.notes == 4'
	assert_json '.note | startswith("\u0027d/\u0027: attribute trusted.overlay.opaque left out; ")'
	applies file:f=1,uid=7,mode=6755,x.user.note=text,y.security.capability=0100000200200000000000000000000000000000,x.com.apple.thing=1
	[[ $(getfattr --only-values -n user.note layer/f) == text ]]
	[[ $(getfattr -e hex -n security.capability layer/f) == *0x0100000200200000000000000000000000000000* ]]
	[[ $(stat -c '%a %u' layer/f) == "6755 7" ]]
	assert_json '.notes == 0 and .note == ""'
}

@test "apply leaves out attributes that the kernel refuses, with a note" {
	applies link:l=f,x.user.note=x fifo:p,x.user.note=x chr:c=1/3,x.user.note=x file:f=1,y.system.nfs4_acl=00,x.user.note=kept \
		file:a=1,y.system.posix_acl_access=0200
	assert_json '.notes == 5'
	assert_json '.note | contains("\u0027l\u0027: attribute user.note left out: Operation not permitted")'
	[[ $(getfattr --only-values -n user.note layer/f) == kept ]]
	[[ -L layer/l && -p layer/p && -c layer/c && -f layer/a ]]
}

@test "apply follows links of the same layer to where they lead" {
	applies dir:real file:real/one=1 link:s=real file:s/two=2 link:abs=/real/deep file:abs/three=3 \
		link:up=../../../real file:up/four=4 link:chain=s/deep file:chain/five=5 link:new=made/here file:new/six=6 \
		dir:s/dir,mode=700,mtime=5 hard:h=s/two hard:s/alias=real/one link:real/back=../s file:s/back/back/seven=7
	[[ $(cat layer/real/{one,two,four,seven} layer/real/deep/{three,five} layer/made/here/six) == $(printf '1247356') ]]
	[[ $(stat -c %h layer/real/one layer/h) == $'2\n2' ]]
	[[ $(stat -c '%a %Y' layer/real/dir) == "700 5" ]]
	[[ -L layer/s && -L layer/abs && -L layer/up && -L layer/chain && -L layer/new ]]
	# A later entry of the same name replaces a link, and the link's target stays.
	applies dir:real link:s=real file:s/one=1 dir:s file:s/two=2
	[[ -f layer/real/one && -f layer/s/two && ! -L layer/s && ! -e layer/real/two ]]
	mkdir lower lower/real
	touch lower/real/gone
	make_layer layer.tar link:s=real file:s/.wh.gone=
	run -0 layer_tool apply layer.tar whited lower
	[[ $(stat -c %F:%t:%T whited/real/gone) == "character special file:0:0" ]]
	# A link that leads above the root ends at the root.
	mkdir outside
	applies link:s=../outside file:s/file=1 "link:t=$PWD/outside" file:t/file=2 link:u=../outside/x file:u/v/file=3
	[[ -z $(ls outside) && -f layer/outside/file && -f layer/outside/x/v/file && -f layer/$PWD/outside/file ]]
}

@test "an archive without entries is unpacked as an empty layer" {
	: > empty
	head -c 512 /dev/zero > one-block
	head -c 1024 /dev/zero > two-blocks
	head -c 10240 /dev/zero > record
	for name in empty two-blocks record; do
		gzip -k "$name"
		zstd -q "$name"
	done
	for name in empty one-block two-blocks record {empty,two-blocks,record}.{gz,zst}; do
		rm -rf layer
		run -0 layer_tool apply "$name" layer
		assert_json '.entries == 0 and .blob == "sha256:\($sum)"' --arg sum "$(sha256sum < "$name" | cut -d' ' -f1)"
		[[ -z $(ls -A layer) ]]
	done
}

@test "apply and diff keep long names, deep trees and large owner ids" {
	local target=4095
	[[ $(stat --file-system --format %T .) != xfs ]] || target=1023 # XFS has no longer ones
	long=$(printf '%%255%s/' a b c d e f g h i j k l m n o)
	applies "file:${long}%255p=1" "file:${long}%254q=2" "link:l=%${target}x" file:f=1,uid=4294967294,gid=3000000000
	list_tree layer > list
	grep -q "p' -rw-r--r-- 0:0 1 " list
	[[ $(stat -c %u:%g layer/f) == 4294967294:3000000000 ]]
	run -0 layer_tool diff layer back.tar
	run -0 layer_tool apply back.tar again
	same_tree layer again
	applies "file:$(printf 'd/%.0s' {1..900})f=1" "file:$(printf 'd/%.0s' {1..700})g=1" "file:d/d/f=1"
	run -0 layer_tool diff layer back.tar
	rm -rf again
	run -0 layer_tool apply back.tar again
	same_tree layer again
	refuses ENAMETOOLONG "entry 'xxx" file:%256x=1
	refuses ENAMETOOLONG "the path is longer than 4096 bytes" "file:${long}%255p/x=1"
	refuses ENAMETOOLONG "entry 'l': its target is longer" link:l=%4096x
	refuses EBADMSG "entry 'f': its owner 4294967295:0" file:f=1,uid=4294967295
}

@test "apply refuses too many entries, too many bytes, endless headers and a long tail" {
	make_layer layer.tar file:a=1 file:b=1 file:c=1
	LAYER_MAX_ENTRIES=2 run -1 layer_tool apply layer.tar layer
	assert_output_has "EFBIG: entry 'c': the layer has more than 2 entries"
	head -c 30M /dev/zero > zeros
	tar -cf bomb.tar zeros
	gzip -k bomb.tar
	zstd -q bomb.tar
	for bomb in bomb.tar.gz bomb.tar.zst bomb.tar; do
		rm -rf layer
		LAYER_MAX_BYTES=1000000 run -1 layer_tool apply "$bomb" layer
		assert_output_has "EFBIG: "
		assert_output_has "the layer has more than 1000000 bytes"
		(($(du -sm layer | cut -f1) < 8))
	done
	rm -rf layer
	make_layer end.tar file:a=1
	head -c 80M /dev/zero | cat end.tar - | gzip -1 > trailing.gz
	run -1 layer_tool apply trailing.gz layer
	assert_output_has "EFBIG: more than 64 MiB follow the archive's end"
	# A pax header that claims 4 GiB.
	python3 - <<-'END'
		import tarfile
		info = tarfile.TarInfo("x")
		info.type, info.size = b"x", 1 << 32
		with open("pax.tar", "wb") as file:
		    file.write(info.tobuf() + b"0" * (1 << 24))
	END
	rm -rf layer
	run -1 layer_tool apply pax.tar layer
	[[ $output == E* ]]
}

@test "apply refuses an archive that was cut off or changed at any place" {
	make_tree tree
	tar -C tree --format=pax -cf plain.tar bin deep fifo
	gzip -n -k plain.tar
	zstd -q plain.tar
	for blob in plain.tar.gz plain.tar.zst; do
		size=$(stat -c %s "$blob")
		for cut in 1 5 12 100 1000 $((size / 3)) $((size / 2)) $((size - 100)) $((size - 9)) $((size - 4)) $((size - 1)); do
			head -c "$cut" "$blob" > short
			rm -rf layer
			run -1 layer_tool apply short layer
			[[ $output == EBADMSG* ]] || { echo "$blob cut at $cut: $output"; false; }
		done
		for at in 15 $((size / 2)) $((size - 6)); do
			cp "$blob" changed
			printf '\x55\xaa\x55' | dd of=changed bs=1 seek="$at" conv=notrunc status=none
			rm -rf layer
			run -1 layer_tool apply changed layer
			[[ $output == EBADMSG* ]] || { echo "$blob changed at $at: $output"; false; }
		done
	done
	for cut in 100 511 700 200000 300500; do
		head -c "$cut" plain.tar > short
		rm -rf layer
		run -1 layer_tool apply short layer
		[[ $output == EBADMSG* ]] || { echo "cut at $cut: $output"; false; }
	done
	head -c 200000 plain.tar > short
	rm -rf layer
	run -1 layer_tool apply short layer
	assert_output_has "entry 'bin/"
	cp plain.tar changed
	printf "Z" | dd of=changed bs=1 seek=156 conv=notrunc status=none
	rm -rf layer
	run -1 layer_tool apply changed layer
	[[ $output == EBADMSG* ]]
	head -c 100000 /dev/urandom > noise
	run -1 layer_tool apply noise layer
	[[ $output == EBADMSG* ]]
}

@test "apply stops before the file system is full, and names the entry" {
	mkdir small
	mount -t tmpfs -o size=4M,nr_inodes=128 tmpfs small
	head -c 6M /dev/urandom > big
	tar -cf big.tar big
	run layer_tool apply big.tar small/layer
	assert_status 1
	assert_output_has "ENOSPC: entry 'big': No space left: unpacking more would leave less than 1 MiB of the file system free; free some space and try again"
	(($(stat -f -c %a small) > 0))
	rm -rf small/layer
	make_layer many.tar file:{1..200}=1
	run layer_tool apply many.tar small/layer
	assert_status 1
	assert_output_has "ENOSPC: entry '"
	assert_output_has "unpacking more would leave less than 3 inodes of the file system free; remove some files and try again"
	(($(stat -f -c %d small) > 0))
	rm -rf small/layer
	# Holes of a sparse file need no space.
	truncate -s 1G sparse
	tar -S -cf sparse.tar sparse
	run -0 layer_tool apply sparse.tar small/layer
	run layer_tool diff "$BATS_TEST_TMPDIR" small/out
	assert_status 1
	assert_output_has "ENOSPC"
	umount small
}

@test "diff writes the same bytes each time, and applying them gives the same layer" {
	make_tree tree
	touch -h -d '1969-12-31 23:59:58.25' tree/deep/link
	mknod tree/gone c 0 0
	mkdir tree/opaque
	setfattr -n trusted.overlay.opaque -v y tree/opaque
	setfattr -n trusted.overlay.origin -v x tree/deep
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("tree/socket")'
	touch -d 2010-01-01 tree
	mkdir lower
	touch lower/gone
	for compression in '' gzip zstd; do
		# shellcheck disable=SC2086
		run -0 layer_tool diff tree one $compression
		written=$output
		# shellcheck disable=SC2086
		run -0 layer_tool diff tree two $compression
		cmp one two
		rm -rf layer
		run -0 layer_tool apply one layer lower
		[[ $(jq -c '[.blob, .diff_id, .blob_bytes, .diff_bytes]' <<< "$written") == "$(jq -c '[.blob, .diff_id, .blob_bytes, .diff_bytes]' <<< "$output")" ]]
		diff <(list_tree tree | grep -v -e "^b'socket'" | sed "s/, *'trusted.overlay.origin': '78'//; s/'trusted.overlay.origin': '78'//") <(list_tree layer)
	done
	layer_tool diff tree names
	# Whiteouts stand where their names belong, and other readers accept the archive.
	tar -tf names | grep -q '^\.wh\.gone$'
	tar -tf names | grep -q '^opaque/\.wh\.\.wh\.\.opq$'
	bsdtar -tf names > /dev/null
	layer_tool diff tree names.gz gzip
	gzip -t names.gz
	[[ $(xxd -s 4 -l 4 -p names.gz 2> /dev/null || od -An -tx1 -j4 -N4 names.gz | tr -d ' ') == 00000000 ]]
	mkdir gnu
	tar -C gnu --xattrs --xattrs-include='*' -xpf names.gz
	rm -f gnu/.wh.gone gnu/opaque/.wh..wh..opq
	diff <(list_tree tree | grep -v -e "^b'socket'" -e "^b'gone'" -e "^b'opaque'" -e "^b'\.'" | sed "s/'trusted.overlay.origin': '78'//") \
		<(list_tree gnu | grep -v -e "^b'opaque'" -e "^b'\.'")
}

@test "diff refuses files that a layer cannot hold" {
	mkdir tree
	touch tree/.wh.file
	run -1 layer_tool diff tree out
	assert_output_has "EOPNOTSUPP: '.wh.file': a layer cannot hold a file of such a name"
	rm tree/.wh.file
	mkdir tree/moved
	setfattr -n trusted.overlay.redirect -v /elsewhere tree/moved
	run -1 layer_tool diff tree out
	assert_output_has "EOPNOTSUPP: 'moved': parts of it are in a lower layer (trusted.overlay.redirect)"
}

@test "umoci and skopeo accept the layers that diff writes" {
	make_tree tree
	rm -r tree/$'caf\xe9' # umoci 0.4.7 cannot keep a name that is not UTF-8
	for compression in gzip zstd; do
		umoci init --layout image
		umoci new --image image:test
		layer_tool diff tree layer.blob "$compression" > result
		# umoci takes plain tars and compresses them itself.
		layer_tool diff tree layer.tar > plain
		umoci raw add-layer --image image:test layer.tar
		[[ $(jq -r .diff_id plain) == $(jq -r .diff_id result) ]]
		skopeo copy -q oci:image:test oci:copy:test
		manifest=$(jq -r '.manifests[0].digest | sub(":"; "/")' copy/index.json)
		config=$(jq -r '.config.digest | sub(":"; "/")' "copy/blobs/$manifest")
		[[ $(jq -r '.rootfs.diff_ids[0]' "copy/blobs/$config") == $(jq -r .diff_id result) ]]
		umoci unpack --image copy:test bundle
		diff <(list_tree tree | grep -v "^b'\.' ") <(list_tree bundle/rootfs | grep -v "^b'\.' ")
		rm -rf image copy bundle
	done
}

@test "apply unpacks umoci's layers as umoci does" {
	make_tree tree
	umoci init --layout image
	umoci new --image image:test
	umoci insert --image image:test tree /tree
	manifest=$(jq -r '.manifests[0].digest | sub(":"; "/")' image/index.json)
	blob=$(jq -r '.layers[0].digest | sub(":"; "/")' "image/blobs/$manifest")
	config=$(jq -r '.config.digest | sub(":"; "/")' "image/blobs/$manifest")
	run -0 layer_tool apply "image/blobs/$blob" layer
	assert_json '.diff_id == $id' --arg id "$(jq -r '.rootfs.diff_ids[0]' "image/blobs/$config")"
	umoci unpack --image image:test bundle
	diff <(list_tree layer/tree) <(list_tree bundle/rootfs/tree)
}
