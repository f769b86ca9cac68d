// Package httpcache is a shared HTTP cache (RFC 9111) that coalesces requests: however many
// clients ask for a page that is not kept, its origin is asked once.
//
//	cache, err := httpcache.New(nil)
//	if err != nil {
//		return err
//	}
//	defer cache.Close()
//	return http.ListenAndServe(":8080", cache.Proxy(origin, nil))
//
// A page is what a URL names. The origin is what the cache asks for pages: the server
// behind a [Cache.Proxy], the handler behind a [Cache.Handler], or the [http.RoundTripper]
// behind a [Cache.Transport]. A response that is kept is in memory, or in [Options].Store.
// A fetch is one request to the origin that several clients may share.
//
// # Which requests share a response
//
// Requests share a response if they have the same
//
//   - method, except that HEAD may be answered by a response to GET;
//   - path and query, byte by byte;
//   - host and scheme, as the origin gets them;
//   - values of the cookies in [Options].KeyCookies;
//   - values of all request fields that the responses of the URL have named in Vary.
//
// Values of fields are compared without the white space around commas. In Accept,
// Accept-Charset and Accept-Language, case and order do not matter either. Of
// Accept-Encoding, only gzip, br, zstd and identity are compared and passed on. A response
// with a Content-Encoding varies by Accept-Encoding even if it does not say so. At most 64
// variants of a URL are kept, which vary by at most 16 fields.
//
// A shared request to the origin has the end-to-end fields of the client whose request
// started the fetch, without conditions and ranges.
//
// # What is not shared
//
// A request passes through, which means that it goes to the origin by itself, if its
// method is neither GET nor HEAD, or if it has a body, If-Match, If-Unmodified-Since,
// Proxy-Authorization, Upgrade, a field that overrides its method or URL (such as
// X-Http-Method-Override), or cookies that the [Options] do not name. A request with
// Authorization is answered only by its own fetch, or by a kept response that says public,
// must-revalidate or s-maxage.
//
// A response is not shared if it says private or no-store, sets a cookie that is not in
// [Options].IgnoreSetCookies, or varies by "*", by the client's address (X-Forwarded-For,
// X-Real-Ip, Forwarded) or by more than 16 fields. Then only the client whose request
// started the fetch gets it. The requests that waited for it pass through, and so do
// later requests for the URL, until a response could have been shared, or until
// [Options].UncacheableTTL is over.
//
// # Directives of requests
//
// A request with no-cache, or with Pragma: no-cache and no Cache-Control, gets a response
// that the origin was asked for after the request came. Such requests are coalesced too,
// and replace the kept response. A request with no-store may get a kept response; if it
// does not, it passes through. A request with only-if-cached gets a kept response or status
// 504. A request for a range gets a part of a kept response, if
// the whole body is there. Otherwise it passes through; see [Options].FillRanges. A request
// for more than 100 ranges gets the whole body.
//
// # Fields of responses
//
// Cache-Status (RFC 9211) says how a request was answered. X-Cache says it in one word, in
// the terms of [Stats]: hit, stale, revalidated, coalesced, fetched or passed.
//
// # Store
//
// With [Options].Store, a kept response is saved in the background when its body is
// complete, and again when the origin has said that it is still valid. If the Store cannot
// keep up, some responses are not saved. A page that is not in memory is looked for in the
// Store before the origin is asked, once for all requests that ask at that time. A damaged
// response counts as none. The age of a response includes the time in the Store. What is
// evicted from memory stays in the Store.
//
// After a request that changed a page, or a [Cache.Purge], this Cache uses no response that
// was saved before. The Store itself is changed in the background. [Cache.Close] waits for
// that for up to 5 s.
//
// # Concurrency
//
// All methods may be called from any goroutine at any time. No lock of the Cache is held
// while it calls a handler, a RoundTripper, a Store, a Logger or a function of the options.
// A client that leaves, or reads slowly, does not end the fetch that others wait for.
//
// # Errors
//
// If there is no response of the origin, a client gets status 502, or 504 if the origin took
// longer than [Options].Timeout, if the context of the client's request has ended before the
// response came, or if a stale response must not be used. It gets 408 if it has not sent its
// body in time, and 503 after [Cache.Close], unless its request passes through, or if 10,000
// requests wait for the same page. The RoundTripper of a [Cache.Transport] returns an error
// instead.
//
// A response with a status of 500 or more goes to all clients that waited for it, and is
// kept only if it says for how long. If a body breaks off, the connections of all clients
// that read it are aborted, so that none takes it for complete.
package httpcache
