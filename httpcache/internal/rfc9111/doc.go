// Package rfc9111 parses the fields of HTTP messages that are about caching (RFC 9111, RFC
// 5861), for a cache that many users share.
//
//	says := rfc9111.Parse(h["Cache-Control"])   // the directives
//	p := rfc9111.PolicyOf(status, h, asked, received, rules)
//	if p.Personal { ... }                       // for one user only
//	left := p.Lifetime - (now.Sub(received) + p.Age)
//
// It returns no errors. A field that is invalid, or contradicts itself, is read in the way
// that shares less and asks the origin sooner. Of two max-age the smaller counts, one that is
// not a number means that the response is stale, and private or no-cache with a list of
// fields counts as private or no-cache without it. Numbers of seconds above 2^31 count as
// 2^31, so that sums of a few of them fit into a time.Duration.
//
// The package has no state and reads no clock.
package rfc9111
