#!/bin/bash
# Boots kernels in a virtual machine and runs the tests there, in short form:
#
#	race_test/kernels/run.sh [KERNEL...]
#
# A KERNEL is a version of Debian's, such as 6.12, of which the newest package is
# taken that apt offers, or the path of a vmlinuz; without any, 6.1 and 6.12. Each
# boots twice, the second time with io_uring refused by sysctl, which came with
# Linux 6.6. Nothing is installed but, for root, the tools; x86-64 only, and no
# KVM is needed. What the machines say is kept in $KERNELS_DIR, or a new
# directory. PACKAGES are the packages to test, if not all of these; RUN is a
# regular expression of the tests' names; PATIENCE is for one package's tests.
#
#	race_test/kernels/run.sh -probe [KERNEL...]
#
# runs no test but ./probe, there and here, and writes docs/kernels.md anew from
# what it found.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=race_test/kernels
PATH=$PATH:/usr/sbin:/sbin
packages=${PACKAGES:-wake internal/waitq waitmap notify waitgroup dedup uringwake/internal/refuse uringwake/ring uringwake race_test/faults}
patience=${PATIENCE:-15m}
work=${KERNELS_DIR:-$(mktemp -d -t vigil-kernels.XXXXXX)}
outputs=()
probe=
if [ "${1:-}" = -probe ]; then
	probe=1 packages=
	shift
fi

die() { echo "kernels: $*" >&2 && exit 2; }

install_tools() {
	local tools="qemu-system-x86 busybox-static cpio e2fsprogs xz-utils"
	if command -v qemu-system-x86_64 && command -v cpio && command -v mke2fs && command -v xz && [ -x /bin/busybox ]; then
		return
	fi >/dev/null
	[ "$(id -u)" = 0 ] || die "needs $tools: install them, or run as root"
	apt-get update -qq && apt-get install -qq -y --no-install-recommends $tools >/dev/null
}

# fetch prints the path of the newest kernel of a Debian version, out of its package.
fetch() {
	local package
	package=$(apt-cache pkgnames "linux-image-$1" | grep -E "^linux-image-${1//./\\.}[.+-].*-cloud-amd64-unsigned$" | sort -V | tail -n 1) || true
	[ -n "$package" ] || die "apt offers no kernel $1: apt-get update, or add the Debian release that has it to apt's sources"
	mkdir -p "$work/$package"
	(cd "$work/$package" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg -x ./*.deb . && rm ./*.deb) >&2
	echo "$work/$package"/boot/vmlinuz-*
}

# build makes the first root file system: the tests beside their sources, which
# some of them read, busybox, and a disk.
build() {
	local root=$work/root package
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,root,t}
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/sh"
	cp $here/init.sh "$root/init"
	chmod +x "$root/init"
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
	[ -z "$probe" ] || CGO_ENABLED=0 go build -o "$root/probe" ./$here/probe
	touch "$root/packages"
	for package in $packages; do
		mkdir -p "$root/t/$package"
		cp -r "$package"/*.go "$root/t/$package/"
		[ ! -d "$package/testdata" ] || cp -r "$package/testdata" "$root/t/$package/"
		CGO_ENABLED=0 go test -c -o "$root/t/$package/test" "./$package"
		echo "$package" >>"$root/packages"
	done
	truncate -s 300M "$work/disk" && mke2fs -q -t ext4 "$work/disk" # busybox's knows ext2 only
	gzip -1 <"$work/disk" >"$root/disk.gz" && rm "$work/disk"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"
}

# modules makes a second root file system: what a disk in memory needs, so that
# files can be read anew. A kernel without its package has it built in, or does
# without.
modules() {
	local loop
	rm -rf "$work/modules" && mkdir "$work/modules"
	for loop in "$(dirname "$1")"/../lib/modules/*/kernel/drivers/block/loop.ko*; do
		case $loop in
		*.ko) cp "$loop" "$work/modules/" ;;
		*.ko.xz) xz -dc "$loop" >"$work/modules/loop.ko" ;;
		esac
	done
	(cd "$work/modules" && find . | cpio -o -H newc --quiet) | cat "$work/initramfs" - >"$work/initrd"
}

# boot NAME VMLINUZ ARGUMENTS boots once. The tests write to the second serial line.
boot() {
	local out=$work/$1.out machine shown
	: >"$out"
	outputs+=("$out")
	echo "kernels: $1: boots"
	nice -n 10 timeout 2h qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2560 -nodefaults -display none -no-reboot \
		-kernel "$2" -initrd "$work/initrd" -append "console=ttyS0 panic=-1 vigil.patience=$patience vigil.run=${RUN:-.} $3" \
		-serial "file:$work/$1.console" -serial "file:$out" &
	machine=$!
	tail -f -n +1 --pid=$machine "$out" | grep -aE --line-buffered '^(== (package|kernel|exit)|--- FAIL|panic: )' &
	shown=$!
	wait $machine || true
	wait $shown || true
}

install_tools
echo "kernels: keeps what the machines say in $work"
mkdir -p "$work"
build
for kernel in "${@:-6.1 6.12}"; do
	for k in $kernel; do
		[ -f "$k" ] && vmlinuz=$k || vmlinuz=$(fetch "$k")
		name=$(basename "$vmlinuz")
		modules "$vmlinuz"
		boot "$name" "$vmlinuz" ""
		[ -z "$probe" ] || continue
		if grep -aq '^== refused no' "$work/$name.out"; then
			echo "kernels: $name: no sysctl refuses io_uring there"
			continue
		fi
		boot "$name-refused" "$vmlinuz" sysctl.kernel.io_uring_disabled=2
	done
done
if [ -n "$probe" ]; then
	go run ./$here/probe >"$work/here.out"
	go run ./$here/probe record "$work/here.out" "${outputs[@]}"
	exec go run ./$here/probe page
fi
go run ./$here "${outputs[@]}"
