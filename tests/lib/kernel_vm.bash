# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Debian's stock kernels for scripts/run-vm and scripts/run-boot, and what file systems for them are made of. The scripts
# set cache, the folder of unpacked kernels; kernel, the folder of one; and root, the folder of the file system.
# shellcheck disable=SC2154 # these

newest_package() {
	apt-cache search --names-only "^linux-image-${1//./\\.}\\.[0-9].*-cloud-amd64\$" |
		awk '{ print $1 }' | sort -V | tail -n 1
}

# Prints the folder of the unpacked kernel: the newest one downloaded before, else apt's newest. One download at a time.
fetch_kernel() { # VERSION
	(
		flock 9
		find_kernel "$1"
	) 9> "$cache/lock"
}

find_kernel() { # VERSION
	local version=$1 package dir
	dir=$(find "$cache" -maxdepth 1 -name "linux-image-$version.*-cloud-amd64" | sort -V | tail -n 1)
	if [[ -n $dir ]]; then
		echo "$dir"
		return
	fi

	package=$(newest_package "$version")
	# Security updates replace each other: an old package list names packages that the mirror no longer has.
	if [[ -z $package ]] || ! download "$package"; then
		apt-get -q update > "$cache/apt.log" 2>&1
		package=$(newest_package "$version")
		if [[ -z $package ]]; then
			echo "no package of Linux $version among apt's sources; it is in bookworm-security or" \
				"bookworm-backports" >&2
			return 1
		fi
		download "$package" || {
			cat "$cache/apt.log" >&2
			return 1
		}
	fi
	echo "$cache/$package"
}

download() {
	local package=$1 dir=$cache/$1.part
	rm -rf "$dir"
	mkdir -p "$dir"
	(cd "$dir" && apt-get -q -o APT::Sandbox::User=root download "$package" > ../apt.log 2>&1) || return 1
	dpkg-deb -x "$dir"/*.deb "$dir" || return 1
	rm "$dir"/*.deb
	mv "$dir" "$cache/$package"
}

# copy_program FILE TARGET: copies a program and the shared libraries that it needs.
copy_program() {
	install -D "$1" "$root/$2"
	copy_libraries "$1"
}

copy_libraries() { # PROGRAM
	local library
	ldd "$1" 2> /dev/null | grep -o '/[^ ]*' | while read -r library; do
		[[ -e $root$library ]] || install -D "$library" "$root$library"
	done
}

# copy_modules NAME…: modules of $kernel, as /lib/NAME.ko.
copy_modules() {
	local name module
	for name; do
		module=$(find "$kernel" -name "$name.ko*")
		case $module in
		*.xz) xz -dc "$module" > "$root/lib/$name.ko" ;;
		*) cp "$module" "$root/lib/$name.ko" ;;
		esac
	done
}
