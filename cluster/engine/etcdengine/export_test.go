package etcdengine

import "google.golang.org/grpc/connectivity"

// Connected reports whether the engine takes its connection for good.
func Connected(e *Engine) bool { return e.conn.GetState() == connectivity.Ready }
