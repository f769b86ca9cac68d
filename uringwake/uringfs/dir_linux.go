package uringfs

import (
	"bytes"
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// readEntries fills buf with entries of the directory fd. At its end it returns 0.
func readEntries(ctx context.Context, fd int, buf []byte) (n int, err error) {
	if err := ended(ctx); err != nil {
		return 0, err
	}
	err = byCall(ctx, func() (err error) {
		n, err = unix.Getdents(fd, buf)
		return err
	})
	return max(n, 0), err
}

// Where the fields of an entry are (struct linux_dirent64).
const (
	entryInode  = 0
	entryLength = 16
	entryType   = 18
	entryName   = 19
)

func parseEntries(buf []byte) (list []rawEntry) {
	for len(buf) > entryName {
		length := int(binary.NativeEndian.Uint16(buf[entryLength:]))
		if length <= entryName || length > len(buf) {
			break
		}
		e := buf[:length]
		buf = buf[length:]
		name, _, _ := bytes.Cut(e[entryName:], []byte{0})
		if binary.NativeEndian.Uint64(e[entryInode:]) == 0 || string(name) == "." || string(name) == ".." {
			continue
		}
		kind := e[entryType]
		list = append(list, rawEntry{string(name), typeOf(uint16(kind) << 12), kind != unix.DT_UNKNOWN})
	}
	return list
}
