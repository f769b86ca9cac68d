#!/bin/bash
# Boots kernels in a virtual machine and runs the tests there, in short form:
#
#	race_test/kernels/run.sh [KERNEL...]
#
# A KERNEL is a version of Debian's, such as 6.12, whose newest package for clouds
# is taken; or a version and a flavour, such as 6.12/arm64-16k; or the path of a
# vmlinuz. Without one, 5.10, 6.1 and 6.12 boot. Each boots twice if it has the
# sysctl that refuses io_uring (Linux 6.6): the second time with that.
#
# PACKAGES are the packages to test, if not all that are named below. RUN is a
# regular expression of the tests' names, without spaces. PATIENCE is how long one
# package's tests may take, such as 30s. KERNELS_DIR is where packages and what
# the machines say are kept, if not in a new directory.
#
#	race_test/kernels/run.sh -probe [KERNEL...]
#
# runs ./probe in place of the tests, there and on this kernel, and writes
# docs/kernels.md from what it found. Without a KERNEL, 6.1 and 6.12 boot.
#
# With ARCH=arm64 kernels, machines and tests are arm64. Without a KERNEL, 6.1,
# 6.12 and 6.12 with pages of 16 KiB boot.
#
# It needs Linux on x86-64, Go, and apt if a KERNEL is a version; not KVM. Tools
# that are missing are installed if root runs it, and nothing else is.
# It exits with 75 if something cannot be had, 2 if it was called wrongly, 1 if a
# test failed.
set -euo pipefail
die() { echo "kernels: $*" >&2 && exit 2; }
missing() { echo "kernels: not here: $*" >&2 && exit 75; }

probe=
if [ "${1:-}" = -probe ]; then
	probe=1
	shift
fi
kernels=()
for kernel; do
	case $kernel in
	-*) die "no flag $kernel: run.sh [-probe] [KERNEL...]" ;;
	[0-9]*.[0-9]*) [ ! -f "$kernel" ] || kernel=$(realpath "$kernel") ;;
	*) [ -f "$kernel" ] && kernel=$(realpath "$kernel") || die "neither a version nor a file: $kernel" ;;
	esac
	kernels+=("$kernel")
done
work=$(realpath -m "${KERNELS_DIR:-$(mktemp -d -t vigil-kernels.XXXXXX)}")
cd "$(dirname "$0")/../.."
here=race_test/kernels
PATH=$PATH:/usr/sbin:/sbin
packages=${PACKAGES:-wake internal/waitq waitmap notify waitgroup dedup uringwake/internal/refuse uringwake/ring uringwake race_test/faults}
[ -z "$probe" ] || packages=
for package in $packages; do [ -d "$package" ] || die "no package $package"; done
patience=${PATIENCE:-15m}
arch=${ARCH:-amd64}
outputs=()

case $arch in
amd64)
	qemu=qemu-system-x86_64 qemu_package=qemu-system-x86 defaults=(5.10 6.1 6.12)
	machine=(-cpu max) console=ttyS0 results=ttyS1
	;;
arm64) # this machine has one serial line; boot adds one
	qemu=qemu-system-aarch64 qemu_package=qemu-system-arm defaults=(6.1 6.12 6.12/arm64-16k)
	machine=(-M virt -cpu "max,pauth-impdef=on") console=ttyAMA0 results=ttyS0
	;;
*) die "no machine for $arch" ;;
esac
if [ -n "$probe" ]; then
	[ $arch = amd64 ] || die "docs/kernels.md is of x86-64"
	defaults=(6.1 6.12)
fi
[ ${#kernels[@]} != 0 ] || kernels=("${defaults[@]}")

# leave ends the machine that runs, if one does, and removes what the next run
# makes anew.
machine_pid=
leave() {
	if [ -n "$machine_pid" ]; then
		kill "$machine_pid" && wait "$machine_pid" || true
	fi 2>/dev/null
	rm -rf "$work"/{root,modules,initramfs,initrd,disk}
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

install_tools() {
	local tools="$qemu_package busybox-static cpio e2fsprogs xz-utils"
	if command -v $qemu && command -v cpio && command -v mke2fs && command -v xz && [ -x /bin/busybox ]; then
		return
	fi >/dev/null
	[ "$(id -u)" = 0 ] || missing "needs $tools: install them, or run as root"
	{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $tools >/dev/null; } || missing "apt does not install $tools"
}

# lists has apt look for this architecture's packages in the Debian releases that
# have kernels to boot, with lists of its own: the system's are left alone. If all
# kernels are files, it need not.
lists() {
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg suite kernel wanted=
	for kernel; do [ -f "$kernel" ] || wanted=1; done
	[ -n "$wanted" ] || [ $arch != "$(dpkg --print-architecture)" ] || return 0
	[ -e $keys ] || missing "apt has no keys of Debian's here: it is the package debian-archive-keyring"
	mkdir -p "$work"/apt/{state/lists,cache/archives}/partial
	for suite in debian/bullseye debian/bookworm debian-security/bookworm-security; do
		echo "deb [signed-by=$keys] http://deb.debian.org/${suite/\// } main"
	done >"$work/apt/sources"
	cat >"$work/apt/conf" <<-END
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		Dir::State "$work/apt/state";
		Dir::State::status "/dev/null";
		Dir::Cache "$work/apt/cache";
		Dir::Etc::sourcelist "$work/apt/sources";
		Dir::Etc::sourceparts "-";
	END
	export APT_CONFIG=$work/apt/conf
	apt-get update -qq || missing "apt does not reach Debian's packages"
}

# unpack gets a package and unpacks it into a directory of its name.
unpack() {
	rm -rf "${work:?}/$1" && mkdir -p "$work/$1"
	(cd "$work/$1" && apt-get -qq download "$1" && dpkg -x ./*.deb . && rm ./*.deb) >&2 || missing "apt does not get $1"
}

# fetch prints the path of the newest kernel of a Debian version, out of its package.
fetch() {
	local package version=${1%%/*} flavour=cloud-$arch
	[ "$1" = "$version" ] || flavour=${1#*/}
	package=$(apt-cache pkgnames "linux-image-$version" | grep -E "^linux-image-${version//./\\.}[.+-][^-]*(-[0-9]+)?-$flavour-unsigned$" | sort -V | tail -n 1) || true
	[ -n "$package" ] || die "no kernel $1 in Debian 11 and 12"
	unpack "$package"
	echo "$work/$package"/boot/vmlinuz-*
}

# busybox prints the path of one for the machine.
busybox() {
	if [ $arch = "$(dpkg --print-architecture)" ]; then
		echo /bin/busybox
		return
	fi
	unpack busybox-static
	echo "$work/busybox-static/bin/busybox"
}

# build makes the first root file system: the tests beside their sources, which
# some of them read, busybox, and a disk.
build() {
	local root=$work/root package
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,tmp,etc,root,t}
	cp "$(busybox)" "$root/bin/"
	ln -s busybox "$root/bin/sh"
	cp $here/init.sh "$root/init"
	chmod +x "$root/init"
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
	[ -z "$probe" ] || CGO_ENABLED=0 go build -o "$root/probe" ./$here/probe
	touch "$root/packages"
	for package in $packages; do
		mkdir -p "$root/t/$package"
		cp -r "$package"/*.go "$root/t/$package/"
		[ ! -d "$package/testdata" ] || cp -r "$package/testdata" "$root/t/$package/"
		GOARCH=$arch CGO_ENABLED=0 go test -c -o "$root/t/$package/test" "./$package"
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
	local name file
	rm -rf "$work/modules" && mkdir -p "$work/modules/modules"
	for name in drivers/block/loop crypto/crc32c_generic lib/crc16 fs/mbcache fs/jbd2/jbd2 fs/ext4/ext4; do # each after what it needs
		for file in "$(dirname "$1")"/../lib/modules/*/kernel/$name.ko*; do
			case $file in
			*.ko) cp "$file" "$work/modules/modules/" ;;
			*.ko.xz) xz -dc "$file" >"$work/modules/modules/${name##*/}.ko" ;;
			*) continue ;;
			esac
			echo "/modules/${name##*/}.ko" >>"$work/modules/modules/list"
		done
	done
	(cd "$work/modules" && find . | cpio -o -H newc --quiet) | cat "$work/initramfs" - >"$work/initrd"
}

# boot NAME VMLINUZ ARGUMENTS boots once. The tests write to the second serial line.
boot() {
	local out=$work/$1.out second shown
	: >"$out"
	outputs+=("$out")
	echo "kernels: $1: boots"
	second=(-serial "file:$out")
	[ $arch != arm64 ] || second=(-chardev "file,id=results,path=$out" -device pci-serial,chardev=results)
	nice -n 10 timeout 2h $qemu -accel tcg,thread=multi "${machine[@]}" -smp 2 -m 2560 -nodefaults -display none -no-reboot \
		-kernel "$2" -initrd "$work/initrd" \
		-append "console=$console panic=-1 hugepages=4 vigil.results=$results vigil.patience=$patience vigil.run=${RUN:-.} $3" \
		-serial "file:$work/$1.console" "${second[@]}" &
	machine_pid=$!
	tail -f -n +1 --pid=$machine_pid "$out" | grep -aE --line-buffered '^(== (package|kernel|exit)|--- FAIL|panic: )' &
	shown=$!
	awaitInit "$1" "$out"
	wait $machine_pid || true
	machine_pid=
	wait $shown || true
}

# awaitInit ends a machine that does not get as far as init.sh.
awaitInit() {
	local end=$((SECONDS + 600))
	until grep -aq '^== kernel' "$2"; do
		kill -0 $machine_pid 2>/dev/null || break
		((SECONDS < end)) || { kill $machine_pid && break; }
		sleep 1
	done
	grep -aq '^== kernel' "$2" || echo "kernels: $1: did not boot: see $work/$1.console" >&2
}

install_tools
echo "kernels: keeps what the machines say in $work"
mkdir -p "$work"
lists "${kernels[@]}"
images=()
for kernel in "${kernels[@]}"; do
	[ -f "$kernel" ] && images+=("$kernel") || images+=("$(fetch "$kernel")")
done
build
for vmlinuz in "${images[@]}"; do
	name=$(basename "$vmlinuz")
	[[ " ${outputs[*]} " != *" $work/$name.out "* ]] || name+=-${#outputs[@]} # another of that name
	modules "$vmlinuz"
	boot "$name" "$vmlinuz" ""
	[ -z "$probe" ] || continue
	grep -aq '^== refused' "$work/$name.out" || continue
	if grep -aq '^== refused no' "$work/$name.out"; then
		echo "kernels: $name: no sysctl refuses io_uring there"
		continue
	fi
	boot "$name-refused" "$vmlinuz" sysctl.kernel.io_uring_disabled=2
done
if [ -n "$probe" ]; then
	go run ./$here/probe >"$work/here.out"
	go run ./$here/probe record "$work/here.out" "${outputs[@]}"
	go run ./$here/probe page
	exit
fi
go run ./$here "${outputs[@]}"
