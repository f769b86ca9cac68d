package rows

import (
	"os"
	"testing"

	"github.com/vigil-go/vigil/bench/server"
)

func TestMain(m *testing.M) {
	server.Main()
	os.Exit(m.Run())
}
