// Package programs runs programs that know nothing of uringnet, unchanged, on its
// connections: net/http, gRPC, SSH, database drivers, NATS, and nettest's tests of a
// net.Conn. It is a module of its own, so that these programs are nobody's dependency.
// What needs a server that is not installed is skipped.
package programs
