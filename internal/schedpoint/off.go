//go:build !vigil_schedpoint

package schedpoint

// On reports whether this build has points.
const On = false

// At does nothing.
func At[P Point](P) {}

// Shake does nothing.
func Shake(uint64, bool) (stop func()) { return func() {} }

// Held returns nil.
func Held() map[Point]uint64 { return nil }
