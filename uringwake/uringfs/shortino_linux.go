//go:build 386 || arm

package uringfs

import "syscall"

// setShortIno sets the field for numbers of 32 bits that struct stat64 also has.
func setShortIno(s *syscall.Stat_t, ino uint64) { set(&s.X__st_ino, ino) }
