//go:build wasm

package diskstore

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
)

// bbolt does not build on wasm, so there is no Store.
var errNone = fmt.Errorf("diskstore: no store on wasm: %w", errors.ErrUnsupported)

// Options are the options of a Store. They are not used on wasm.
type Options struct {
	MaxBytes int64
	Logger   *slog.Logger
}

// A Store cannot be opened on wasm.
type Store struct{}

// Open returns an error that matches errors.ErrUnsupported.
func Open(dir string, o *Options) (*Store, error) { return nil, errNone }

// Save returns the error of Open.
func (s *Store) Save(key string, head []byte, body io.Reader) error { return errNone }

// Load returns the error of Open.
func (s *Store) Load(key string) (head []byte, body io.ReadCloser, size int64, err error) {
	return nil, nil, 0, errNone
}

// Delete returns the error of Open.
func (s *Store) Delete(key string) error { return errNone }

// Heads returns an iterator over nothing.
func (s *Store) Heads() iter.Seq2[string, []byte] { return func(func(string, []byte) bool) {} }

// Len returns 0.
func (s *Store) Len() int { return 0 }

// Bytes returns 0.
func (s *Store) Bytes() int64 { return 0 }

// Close returns nil.
func (s *Store) Close() error { return nil }
