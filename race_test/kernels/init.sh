#!/bin/busybox sh
# The first process of a kernel under test: runs all tests, and says so in lines
# that begin with == on the second serial line.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root VIGIL_TEST_SYSCTL=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ip link set lo up
exec >/dev/ttyS1 2>&1 </dev/null
[ ! -f /loop.ko ] || insmod /loop.ko
truncate -s 600M /dev/shm/disk
mke2fs -F /dev/shm/disk >/dev/null && mount -t ext4 -o loop /dev/shm/disk /tmp || mount -t tmpfs tmp /tmp
chmod 1777 /tmp
patience=$(sed -n 's/.*vigil.patience=\([^ ]*\).*/\1/p' /proc/cmdline)
echo "== kernel $(uname -r)"
echo "== refused $(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo no)"
while read -r package; do
	echo "== package $package"
	cd "/t/$package" && ./test -test.short -test.v -test.timeout "$patience" </dev/null
	echo "== exit $?"
done </packages
echo "== end"
sleep 1
poweroff -f
