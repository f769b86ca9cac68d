// Package rfc9111 reads what HTTP messages say about caching (RFC 9111, RFC
// 5861), for a cache that is shared by many users.
//
//	says := rfc9111.Parse(h["Cache-Control"])   // the directives
//	p := rfc9111.PolicyOf(status, h, asked, received, rules)
//	if p.Personal { ... }                         // for one user only
//	left := p.Lifetime - (now.Sub(received) + p.Age)
//
// It never fails. What is broken or says two things is taken the cautious way,
// which is the one that shares less and asks the origin sooner: of two max-age
// the smaller holds, one that is no number means "already stale", a field list
// behind private or no-cache is taken for all fields. Numbers of seconds beyond
// 2^31 count as 2^31, so that sums of a few of them fit into a time.Duration.
//
// Nothing here looks at a clock or keeps anything.
package rfc9111
