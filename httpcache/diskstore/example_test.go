//go:build !wasm

package diskstore_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"

	"github.com/vigil-go/vigil/httpcache/diskstore"
)

// What is saved is there when the directory is opened again.
func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := diskstore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Save("GET /page", []byte("head"), strings.NewReader("body")); err != nil {
		log.Fatal(err)
	}
	store.Close()

	if store, err = diskstore.Open(dir, nil); err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	for key, head := range store.Heads() {
		fmt.Printf("%s: %s\n", key, head)
	}
	_, body, size, err := store.Load("GET /page")
	if err != nil {
		log.Fatal(err)
	}
	all, _ := io.ReadAll(body)
	body.Close()
	fmt.Printf("%s, %d bytes; in all %d responses, %d bytes\n", all, size, store.Len(), store.Bytes())

	store.Delete("GET /page")
	_, _, _, err = store.Load("GET /page")
	fmt.Println("gone:", errors.Is(err, fs.ErrNotExist))
	// Output:
	// GET /page: head
	// body, 4 bytes; in all 1 responses, 17 bytes
	// gone: true
}
