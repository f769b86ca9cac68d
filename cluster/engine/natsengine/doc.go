// Package natsengine keeps a bucket of package cluster in a stream of NATS JetStream.
//
// The stream is laid out as that of a NATS key-value bucket, so the tools for these can
// show it: a message for each key, whose sequence number is the revision, and a marker
// for each deleted key, which the server removes after [Options.MarkerTTL]. One more message,
// which is never written again, has a random number. That number and the time when
// the stream was created are the identity of the history: if somebody purges the stream or
// makes it anew, the message is gone, and the next that looks writes another one.
//
// # Writes
//
// Each write carries a random id, by which the server recognizes a message that it has. If
// the server's answer is lost, the Engine looks at the last message of the key. If that has
// the id, the write was applied. Otherwise the Engine sends a message with the same id to
// a key that nobody reads. If the server knows the id, the write was applied, and a newer
// one has followed; if not, it never will be, and can be sent again with another id.
//
// The server knows an id for [Options.DuplicateWindow]. It knows it from memory, and
// after a restart from the messages that it still has. So the outcome of a write is unknown
// if its answer is lost and a newer write of the same key has come in, and either the
// server was restarted meanwhile or the stream is replicated; and if half of the window is over
// or ctx ends before the Engine can ask. Then the error matches engine.ErrUnknown.
//
// # Replicated streams
//
// A leader that is cut off from the other servers, or was stopped, goes on to answer requests for some
// ten seconds after the others have elected another one. So Position first writes a message that
// says nothing, which takes a majority, and then asks; the same does a Watch when it begins or
// has missed messages. Calls of Position at the same time share a message. Those of one Engine replace
// each other, and the last one goes after the DuplicateWindow. A write that is refused is tried once more after
// such a message, unless a newer revision of its key was found; if ctx ends meanwhile, its outcome is
// unknown, because one leader may have refused it and the other one applied it. With one server
// nothing of that is needed, or done.
//
// # Watches
//
// A Watch reads the stream by a consumer of its own, and makes another one when the
// connection was lost, heartbeats are missing, or messages are. It tells everything
// anew for four causes: the history has another identity; it is shorter than what was
// told, and then the Watch gives it another identity, so that everybody notices;
// the Watch has not been up to date for more than half of the time that deletion markers
// live, so that a deletion may have been forgotten; or all of that when the stream or
// the server was replaced. How long that was is measured by the clocks of both
// sides. A clock of the server that goes forward and back by that time while the Watch is
// cut off is not noticed.
//
// # Limits
//
// If a server loses writes that it has acknowledged, which one that syncs each write does
// not, and has taken at least as many others since, a Watch that was cut off meanwhile does
// not notice.
//
// Single messages that are removed from the stream by its administration are not told before
// the next Reset. The stream denies that, if the Engine made it. A TTL is at least a second,
// and at most 100 years: a longer one counts as that.
package natsengine
