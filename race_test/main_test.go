package race_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	duration       = flag.Duration("duration", 0, "how long TestStress goes on. 0: 20s, or 5s with -short")
	seed           = flag.Uint64("seed", 0, "seed of TestStress's first round; the next one has the next. 0: by the clock")
	only           = flag.String("subject", ".", "only the subjects of TestStress whose name matches this regular expression")
	onlyOperations = flag.String("operation", ".", "only the operations of TestStress whose name matches this regular expression")
	patience       = flag.Duration("patience", 2*time.Minute, "when nothing at all has happened for so long, somebody was lost")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "race_test:", err)
		os.Exit(2)
	}
	goleak.VerifyTestMain(m)
}

// setUp parses the flags that need it. The go tool kills a test one minute after
// its timeout, which is ten minutes by default, so a stress test of ten minutes
// fits.
func setUp() error {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1e9
	}
	if *duration == 0 {
		*duration = 20 * time.Second
		if testing.Short() {
			*duration = 5 * time.Second
		}
	}
	if _, err := regexp.Compile(*only); err != nil {
		return fmt.Errorf("-subject: %w", err)
	}
	if _, err := regexp.Compile(*onlyOperations); err != nil {
		return fmt.Errorf("-operation: %w", err)
	}
	timeout := flag.Lookup("test.timeout")
	allowed, err := time.ParseDuration(timeout.Value.String())
	if err != nil || allowed == 0 || *duration+time.Minute < allowed {
		return err
	}
	if *duration > allowed {
		return fmt.Errorf("-duration %v needs -timeout 0, or a longer one", *duration)
	}
	return timeout.Value.Set("0") // the limit of the go tool remains
}
