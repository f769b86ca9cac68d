//go:build !(darwin || freebsd || linux || netbsd || openbsd)

package natsengine

import "os"

// lockFile does nothing: package syscall has no such lock here.
func lockFile(*os.File) error { return nil }
