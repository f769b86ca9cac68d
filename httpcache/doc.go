// Package httpcache is a shared HTTP cache, as RFC 9111 describes it, that coalesces
// requests: however many clients ask for a page that is not there, its origin is
// asked once.
//
//	cache, err := httpcache.New(nil)
//	if err != nil {
//		return err
//	}
//	defer cache.Close()
//	http.ListenAndServe(":8080", cache.Proxy(origin, nil))
//
// # Which requests share a response
//
// Those for the same method, path and query, byte by byte, with the same host and
// scheme as the origin is told them, and with the same values of the cookies in
// [Options].KeyCookies; HEAD may be answered by what was fetched for GET. If a
// response depends on request fields (Vary), those that have the same values
// of all fields that the URL's responses named. White space and the spelling of
// lists mean nothing there, nor in Accept, Accept-Charset and Accept-Language case
// and order; of Accept-Encoding only counts which of gzip, br, zstd and identity are
// accepted, and the origin gets no more of it. A coded response depends on
// Accept-Encoding though it may not say so. A URL keeps at most 64 variants, which
// depend on at most 16 fields.
//
// A shared request has the end-to-end fields of the client that came first, except
// for conditions and ranges.
//
// # What is not shared
//
// Other methods, and requests with credentials, other cookies, or conditions that
// can fail, go to the origin by themselves. The fetch for a response that is not
// to be shared is that of the client for which it was made. The others that waited
// ask for themselves at once, and so do those that come next, until a response
// could have been shared, or [Options].UncacheableTTL is over. A response that
// depends on "*", on the client's address (X-Forwarded-For, X-Real-Ip, Forwarded) or
// on more than 16 fields counts as one that is not to be shared.
//
// A request with no-cache, or with Pragma: no-cache and no Cache-Control, is answered
// by what the origin was asked for after it came. Such requests are coalesced as
// well, and refresh what is kept. A request with no-store may be answered by
// what is kept; its own response is not.
//
// A request for a part of a page is answered from all of it, if that is there, and
// otherwise goes to the origin by itself; see [Options].FillRanges.
//
// What [Cache.Purge] removes is told by URL, prefix or tag.
//
// # Store
//
// With [Options].Store, what is kept is saved as well, once its body is there, and
// again when the origin said that it still holds. That is done in the background; when
// the store cannot keep up, some is not saved. What is not in memory is looked for in the
// store, once for all requests that ask for it at that time, and comes into memory
// whole: if it is damaged, the origin is asked as if it had not been there. It is as old
// as the time since it was saved says, and is validated like what was in memory. Eviction
// from memory leaves it in the store.
//
// A write or a purge holds at once in this process, and reaches the store in the
// background. Close waits for that for 5 s.
package httpcache
