// Package diskstore keeps the responses of a httpcache.Cache in a directory.
//
//	store, err := diskstore.Open("/var/cache/pages", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	cache, err := httpcache.New(&httpcache.Options{Store: store})
//
// What was saved survives the end of the process, at any instant and by any signal. It
// is written without waiting for the disk, so a crash of the system may damage it, and bring
// back what was deleted or replaced in the last seconds: remove the directory then, if that
// matters. Every piece has a checksum: what is damaged is removed and counts as absent. A
// file whose structure is damaged is put aside, with a name that ends in ".damaged", in the
// place of the one before, and a new one begun. If that is found out while it is open, all
// calls fail until the store is opened again.
//
// One process at a time can have the directory open. The file in it, of the
// [bbolt] format, does not shrink; room that becomes free in it is used again.
//
// There is no store on wasm, for which bbolt does not build: Open returns an error that
// matches errors.ErrUnsupported.
//
// [bbolt]: https://pkg.go.dev/go.etcd.io/bbolt
package diskstore
