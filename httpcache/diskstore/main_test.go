//go:build !wasm

package diskstore

import (
	"os"
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		saveForEver(dir)
	}
	testkit.Main(m)
}
