// Package diskstore keeps the responses of a httpcache.Cache in a directory.
//
//	store, err := diskstore.Open("/var/cache/pages", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	cache, err := httpcache.New(&httpcache.Options{Store: store})
//
// Saved responses survive the end of the process, at any instant and by any signal. They are
// written without waiting for the disk. So after a crash of the system, some may be damaged, and
// those that were deleted or replaced in the last seconds may be there again. If that matters,
// remove the directory after a crash.
//
// All responses have checksums. One that is damaged is deleted and counts as absent. If the
// structure of the file is damaged, the file is renamed, so that its name ends in ".damaged",
// and a new one is made. It replaces an earlier file of that name. If the damage is found while
// the store is open, all calls fail until the store is opened again.
//
// One process at a time can have the directory open. The file in it, of the
// [bbolt] format, does not shrink. Space that becomes free in it is used again.
//
// There is no store on wasm, for which bbolt does not build: Open returns an error that
// matches errors.ErrUnsupported.
//
// [bbolt]: https://pkg.go.dev/go.etcd.io/bbolt
package diskstore
