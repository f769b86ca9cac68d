package browsertest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitmap"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chromium returns the browser's path. Without one the test is skipped.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium on the PATH")
	return ""
}

// seen is what a tab did that it should not, and whom it asked.
type seen struct {
	mu       sync.Mutex
	troubles []string
	hosts    map[string]bool
}

func (s *seen) note(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		s.troubles = append(s.troubles, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		s.troubles = append(s.troubles, "console: "+string(e.Type))
	case *log.EventEntryAdded: // violations of the policy among them
		s.troubles = append(s.troubles, "log: "+e.Entry.Text)
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" {
			s.hosts[u.Host] = true
		}
	}
}

func (s *seen) all() (troubles []string, hosts map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.troubles...), s.hosts
}

// tab opens a tab of a new browser.
func tab(t *testing.T) (context.Context, *seen) {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox refuses to run as root
	}
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // waits for the browser's end
	s := &seen{hosts: make(map[string]bool)}
	chromedp.ListenTarget(ctx, s.note)
	require.NoError(t, chromedp.Run(ctx, network.Enable(), log.Enable()))
	return ctx, s
}

// A program is one that is looked at: a live server whose things have waiters.
type program struct {
	url   string
	waits *waitmap.Map[string, int]
	cache *dedup.Cache[string, int]
	land  chan struct{} // closed: loads return
}

func start(t *testing.T) *program {
	t.Helper()
	var registry vigildebug.Registry
	in, keys := vigildebug.In(&registry), vigildebug.ShowKeys()
	p := &program{waits: new(waitmap.Map[string, int]), land: make(chan struct{})}
	var err error
	p.cache, err = dedup.NewCache(func(_ context.Context, key string) (int, error) {
		if key != "quick" {
			<-p.land
		}
		return 1, nil
	}, nil)
	require.NoError(t, err)
	var calls sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, p.waits.Close())
		close(p.land)
		calls.Wait()
		require.NoError(t, p.cache.Close())
	})
	for _, key := range []string{"invoice/17", "invoice/17", "<b>bold</b>"} {
		calls.Go(func() { _, _ = p.waits.Wait(context.Background(), key) })
		calls.Go(func() { _, _ = p.cache.Get(context.Background(), key) })
	}
	var group dedup.Group[string, int]
	calls.Go(func() {
		_, _, _ = group.Do(context.Background(), "hidden", func(context.Context) (int, error) { <-p.land; return 0, nil })
	})
	vigildebug.Map("answers", p.waits, in, keys)
	vigildebug.Cache("pages", p.cache, in, keys)
	vigildebug.Group("hidden keys", &group, in)
	if loop, err := uringwake.NewLoop(nil); err == nil {
		vigildebug.Loop("main", loop, in)
		t.Cleanup(func() { require.NoError(t, loop.Close(context.Background())) })
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/vigil/", registry.Handler())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL + "/debug/vigil/"
	return p
}

// js evaluates an expression.
func js[T any](t *testing.T, ctx context.Context, expression string) (v T) {
	t.Helper()
	require.NoError(t, chromedp.Run(ctx, chromedp.Evaluate(expression, &v)))
	return v
}

// until waits for an expression to be true.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	require.NoError(t, chromedp.Run(ctx, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(0))))
}

// picture takes a screenshot of the whole page into a folder that
// VIGIL_TEST_PICTURES names, else into one that goes with the test.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("VIGIL_TEST_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	var png []byte
	require.NoError(t, chromedp.Run(ctx, chromedp.FullScreenshot(&png, 100)))
	require.NotEmpty(t, png)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

const keysOfAnswers = `[...document.querySelectorAll("h2")].find(h => h.textContent == "map answers").parentElement.querySelectorAll("tbody td:first-child")`

// TestPage: the rows are there; the script brings new ones without a reload and
// without moving what is there; nobody else is asked for anything, and nothing
// is complained about.
func TestPage(t *testing.T) {
	ctx, seen := tab(t)
	p := start(t)
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(p.url)))
	until(t, ctx, keysOfAnswers+`.length == 2`) // both waits may have come after the first look
	require.ElementsMatch(t, []string{"invoice/17", "<b>bold</b>"}, js[[]string](t, ctx, `[...`+keysOfAnswers+`].map(td => td.textContent)`))

	js[int](t, ctx, `window.unloaded = 1; window.shift = 0; new PerformanceObserver(l => l.getEntries().forEach(e => window.shift += e.value)).observe({type: "layout-shift"}); 0`)
	const nextMain = `document.querySelector("main").old !== true`
	for range 3 {
		_, err := p.cache.Get(ctx, "quick")
		require.NoError(t, err)
		js[bool](t, ctx, `document.querySelector("main").old = true`)
		until(t, ctx, nextMain)
	}
	require.Zero(t, js[float64](t, ctx, `window.shift`), "the layout moved")

	f := p.waits.Register("a new one", nil)
	defer f.Stop()
	until(t, ctx, keysOfAnswers+`.length == 3`)
	require.Equal(t, 1, js[int](t, ctx, `window.unloaded`), "the page was loaded anew")
	require.Equal(t, "a new one", js[string](t, ctx, keysOfAnswers+`[2].textContent`), "the newest is last")
	picture(t, ctx, "light")

	require.NoError(t, chromedp.Run(ctx, chromedp.Click("#pause")))
	require.Equal(t, "paused", js[string](t, ctx, `document.getElementById("state").textContent`))
	f.Stop()
	require.NoError(t, chromedp.Run(ctx, chromedp.Click("#pause")))
	until(t, ctx, keysOfAnswers+`.length == 2`)

	troubles, hosts := seen.all()
	require.Empty(t, troubles)
	u, err := url.Parse(p.url)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{u.Host: true}, hosts)
}

// TestPolicyIsInForce: what somebody managed to put into the page does not
// run, and the listeners that TestPage relies on notice.
func TestPolicyIsInForce(t *testing.T) {
	ctx, seen := tab(t)
	p := start(t)
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(p.url)))
	js[int](t, ctx, `{
		const script = document.createElement("script");
		script.textContent = "window.evil = 1";
		document.body.append(script);
		0
	}`)
	require.True(t, js[bool](t, ctx, `window.evil === undefined`))
	js[int](t, ctx, `console.error("x"); 0`)
	troubles, _ := seen.all()
	for len(troubles) < 2 { // they come when they come
		until(t, ctx, `true`)
		troubles, _ = seen.all()
	}
	slices.Sort(troubles)
	require.Equal(t, "console: error", troubles[0])
	require.Contains(t, troubles[1], "Content Security Policy")
}

// TestWithoutTheScript everything is there but the button.
func TestWithoutTheScript(t *testing.T) {
	ctx, _ := tab(t)
	p := start(t)
	require.NoError(t, chromedp.Run(ctx, emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(p.url)))
	var shown bool
	var text string
	require.NoError(t, chromedp.Run(ctx,
		chromedp.Text("main", &text),
		chromedp.JavascriptAttribute("#pause", "hidden", &shown)))
	require.Contains(t, text, "hidden keys")
	require.Contains(t, text, "Waiting longest")
	require.True(t, shown)
}

// TestDarkAndNarrow: it follows the system's colors, and fits a telephone.
func TestDarkAndNarrow(t *testing.T) {
	ctx, _ := tab(t)
	p := start(t)
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(p.url)))
	until(t, ctx, keysOfAnswers+`.length == 2`)
	const back = `getComputedStyle(document.body).backgroundColor`
	light := js[string](t, ctx, back)
	require.NoError(t, chromedp.Run(ctx,
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}),
		chromedp.EmulateViewport(380, 800)))
	require.NotEqual(t, light, js[string](t, ctx, back))
	require.True(t, js[bool](t, ctx, `document.documentElement.scrollWidth <= innerWidth`), "it scrolls sideways")
	picture(t, ctx, "dark")
}
