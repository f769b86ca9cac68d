package uringfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// A directory is what has been read of a directory and not been returned yet.
type directory struct {
	buf  []byte // of 8 KiB
	list []rawEntry
}

// A rawEntry is an entry as the kernel tells it.
type rawEntry struct {
	name  string
	typ   fs.FileMode
	known bool // the type
}

const dirBuffer = 8 << 10

// next returns the next entry, or io.EOF.
func (d *directory) next(ctx context.Context, fd int) (rawEntry, error) {
	for len(d.list) == 0 {
		if d.buf == nil {
			d.buf = make([]byte, dirBuffer)
		}
		n, err := readEntries(ctx, fd, d.buf)
		if err != nil {
			return rawEntry{}, err
		}
		if n == 0 {
			return rawEntry{}, io.EOF
		}
		d.list = parseEntries(d.buf[:n])
	}
	e := d.list[0]
	d.list = d.list[1:]
	return e, nil
}

// A dirEntry implements fs.DirEntry.
type dirEntry struct {
	dir, name string
	typ       fs.FileMode
}

func (e *dirEntry) Name() string      { return e.name }
func (e *dirEntry) IsDir() bool       { return e.typ.IsDir() }
func (e *dirEntry) Type() fs.FileMode { return e.typ }
func (e *dirEntry) String() string    { return fs.FormatDirEntry(e) }

// Info returns what [Lstat] returns for the entry now.
func (e *dirEntry) Info() (fs.FileInfo, error) { return Lstat(current(), e.dir+"/"+e.name) }

// ReadDir is [File.ReadDirContext] without a context.
func (f *File) ReadDir(n int) ([]fs.DirEntry, error) { return f.ReadDirContext(current(), n) }

// ReadDirContext returns the next n entries of a directory, in the directory's order,
// without "." and "..". At the end of the directory it returns io.EOF. If n is zero or
// less, it returns all that are left, and no error at the end. If it fails, it also
// returns the entries that it has read. Info of an entry describes the file that then has
// the entry's name in the directory [File.Name].
func (f *File) ReadDirContext(ctx context.Context, n int) ([]fs.DirEntry, error) {
	if err := f.begin(ctx, "readdirent"); err != nil {
		return nil, err
	}
	defer f.end()
	if err := f.lock(ctx, f.reader); err != nil {
		return nil, f.fail("readdirent", err)
	}
	defer f.reader.Unlock()
	list := []fs.DirEntry{}
	for n <= 0 || len(list) < n {
		e, err := f.nextEntry(ctx)
		switch {
		case err == io.EOF && (n <= 0 || len(list) > 0):
			return list, nil
		case err != nil:
			return list, f.fail("readdirent", err)
		}
		if e != nil {
			list = append(list, e)
		}
	}
	return list, nil
}

// nextEntry returns the next entry, or nil if it has been removed meanwhile.
func (f *File) nextEntry(ctx context.Context) (fs.DirEntry, error) {
	raw, err := f.dir.next(ctx, f.fd)
	if err != nil {
		return nil, err
	}
	e := &dirEntry{f.name, raw.name, raw.typ}
	if raw.known {
		return e, nil
	}
	i, err := statName(ctx, f.name+"/"+raw.name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e.typ = i.Mode().Type()
	return e, nil
}
