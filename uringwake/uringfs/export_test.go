package uringfs

// HeldBy reports whether a call has its turn to read, or to write, and how many calls are
// in line for it.
func HeldBy(f *File, writes bool) (held bool, waiting int) {
	line := f.reader
	if writes {
		line = f.writer
	}
	return line.Locked(), line.Waiters()
}

// TakeTurn keeps the calls that use f's position waiting until release is called.
func TakeTurn(f *File) (release func()) {
	if !f.reader.TryLock() {
		panic("uringfs: it is somebody's turn")
	}
	return f.reader.Unlock
}

// IsClosing reports whether Close was called.
func IsClosing(f *File) bool { return f.isClosing() }
