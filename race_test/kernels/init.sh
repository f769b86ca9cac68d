#!/bin/busybox sh
# The first process of a kernel under test: runs all tests, and says so in lines
# that begin with == on the serial line that it is told.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root VIGIL_TEST_SYSCTL=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ip link set lo up
argument() { sed -n "s/.*vigil.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
exec >"/dev/$(argument results)" 2>&1 </dev/null
[ ! -f /modules/list ] || while read -r module; do insmod "$module"; done </modules/list
gunzip -c /disk.gz >/dev/shm/disk
mount -t ext4 -o loop /dev/shm/disk /tmp || mount -t tmpfs tmp /tmp
chmod 1777 /tmp
echo "== kernel $(uname -r)"
echo "== machine $(uname -m), pages of $(awk '/KernelPageSize/ { print $2, $3; exit }' /proc/self/smaps)"
echo "== refused $(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo no)"
[ ! -x /probe ] || /probe
while read -r package; do
	echo "== package $package"
	(sleep "$(argument patience)" && sleep 60 && echo "== hung" && poweroff -n -f) & # a test that the kernel does not let go
	watch=$!
	cd "/t/$package" && ./test -test.short -test.v -test.run "$(argument run)" -test.timeout "$(argument patience)" </dev/null
	echo "== exit $?"
	kill $watch
done </packages
echo "== end"
sleep 1
poweroff -f
