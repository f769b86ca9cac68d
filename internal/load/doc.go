// Package load has what dedup's and await's loads have in common. A load is a call of a
// user's function whose result several callers wait for.
//
// A load has a [Context] of its own. By that context it is known which load makes a call
// that waits for another load, whatever package that one belongs to: the calls are the
// edges of one graph, and the one that would close a cycle fails with [ErrCycle]. The
// graph is also what [Slots] are lent along. It is one graph, because a load of one
// package may be all that a slot's holder waits for in another.
package load
