package httpcache

import (
	"io"
	"iter"
)

// A Store keeps responses outside of memory, so that they outlive the process or are
// more than fit into memory. Package diskstore has one for a directory.
//
// A cache calls the methods from several goroutines at once, with none of its locks
// held. It loads a response that is not in memory, and saves one that it may keep when
// its body is complete. Keys have up to 1 KiB, of any bytes. The cache does not close
// its Store.
type Store interface {
	// Load returns what was saved under key last. The error matches
	// fs.ErrNotExist if nothing is stored under key, or it is damaged. The
	// caller reads the body, of size bytes, and closes it.
	Load(key string) (head []byte, body io.ReadCloser, size int64, err error)

	// Save puts head, and all of body, in the place of what is stored under key.
	// If it fails, or the process ends meanwhile, nothing or what was there
	// before remains. After Save has returned, reads of body fail.
	Save(key string, head []byte, body io.Reader) error

	// Delete removes what is stored under key, if there is anything. What is
	// being read can still be read.
	Delete(key string) error

	// Heads iterates over the keys and what was saved as their heads, in no
	// particular order. Methods may be called meanwhile.
	Heads() iter.Seq2[string, []byte]
}
