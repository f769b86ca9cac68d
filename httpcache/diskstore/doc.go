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
// is written without waiting for the disk, so a crash of the system may damage it. Every
// piece has a checksum: what is damaged is removed and counts as absent, and a file that
// cannot be read at all is put aside and a new one begun.
//
// One process at a time can have the directory open. The file in it, of the
// [bbolt] format, does not shrink; room that becomes free in it is used again.
//
// [bbolt]: https://pkg.go.dev/go.etcd.io/bbolt
package diskstore
