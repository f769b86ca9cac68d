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
