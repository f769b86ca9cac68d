package httpcache

import (
	"os"
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		runChild(task)
	}
	testkit.Main(m)
}
