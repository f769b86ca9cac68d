package vigilotel_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/vigil-go/vigil/dedup"
	vigilotel "github.com/vigil-go/vigil/vigildebug/otel"
)

// words are all strings of a span that an exporter would send.
func words(s sdk.ReadOnlySpan) (all []string) {
	attributes := func(list []attribute.KeyValue) {
		for _, kv := range list {
			all = append(all, string(kv.Key), kv.Value.String())
		}
	}
	all = append(all, s.Name(), s.Status().Description, s.InstrumentationScope().Name, s.SpanContext().TraceState().String())
	attributes(s.Attributes())
	for _, e := range s.Events() {
		all = append(all, e.Name)
		attributes(e.Attributes)
	}
	for _, l := range s.Links() {
		all = append(all, l.SpanContext.TraceState().String())
		attributes(l.Attributes)
	}
	return all
}

// requireSendable requires n spans in which all is UTF-8: the protocol buffers
// of OTLP have no other strings, and a batch with one such span is dropped.
func requireSendable(t *testing.T, spans []sdk.ReadOnlySpan, n int) {
	t.Helper()
	require.Len(t, spans, n)
	for _, s := range spans {
		for _, w := range words(s) {
			require.True(t, utf8.ValidString(w), "%q", w)
		}
	}
}

// TestTextThatIsNotUTF8: of an error, of a context's cause and of the name,
// for a caller's span and for a load's.
func TestTextThatIsNotUTF8(t *testing.T) {
	bad := errors.New("bad \xff and \xc3\x28")
	const good = "bad \uFFFD and \uFFFD("
	r, o := record()
	o.Name = "na\xffme"
	g := vigilotel.NewGroup[string, int](o)
	_, _, err := g.Do(bg, "k\xff", func(context.Context) (int, error) { return 0, bad })
	require.Equal(t, bad, err, "the caller gets it as it is")
	requireSendable(t, r.Ended(), 2)
	for _, s := range r.Ended() {
		require.Equal(t, sdk.Status{Code: codes.Error, Description: good}, s.Status())
	}
	require.Len(t, named(r, "na\uFFFDme load"), 1)

	ctx, cancel := context.WithCancelCause(bg)
	cancel(bad)
	_, _, err = g.Do(ctx, "k", func(context.Context) (int, error) { return 0, nil })
	require.ErrorIs(t, err, bad)
	requireSendable(t, r.Ended(), 3)

	c, err := dedup.NewCache(vigilotel.Loader(func(context.Context, string) (int, error) { return 0, bad }, o), nil)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Get(bg, "k\xff")
	require.ErrorIs(t, err, bad)
	requireSendable(t, r.Ended(), 4)
	require.Equal(t, good, r.Ended()[3].Status().Description)
}

// TestPanicsStayWithTheCallers: neither value nor stack is in a span, also if a
// load returns the error of another load that panicked.
func TestPanicsStayWithTheCallers(t *testing.T) {
	secret := errors.New("secret")
	for name, c := range map[string]struct {
		load func() (int, error)
		want string
	}{
		"panic":           {func() (int, error) { panic("secret") }, "vigilotel: the load panicked with a string"},
		"panic of an err": {func() (int, error) { panic(secret) }, "vigilotel: the load panicked with a *errors.errorString"},
		"Goexit":          {func() (int, error) { runtime.Goexit(); return 0, nil }, "vigilotel: the load called runtime.Goexit"},
		"from below": {func() (int, error) {
			var below dedup.Group[int, int]
			_, _, err := below.Do(bg, 1, func(context.Context) (int, error) { panic(secret) })
			return 0, errors.Join(errors.New("first"), fmt.Errorf("below: %w", err))
		}, "vigilotel: the load panicked with a *errors.errorString"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, o := record()
				land, results := together(vigilotel.NewGroup[string, int](o), 2, c.load)
				close(land)
				for range 2 {
					require.Error(t, (<-results).err)
				}
				synctest.Wait()
				requireSendable(t, r.Ended(), 3)
				for _, s := range r.Ended() {
					require.Equal(t, codes.Error, s.Status().Code)
					for _, w := range words(s) {
						require.NotContains(t, w, "secret")
						require.NotContains(t, w, "goroutine ")
					}
				}
				first := c.want
				if name == "Goexit" { // the load ran in the first caller's goroutine
					first = "vigilotel: the call did not return"
				}
				waits := named(r, "test wait")
				require.ElementsMatch(t, []string{first, c.want}, []string{waits[0].Status().Description, waits[1].Status().Description})
			})
		})
	}
}

// An angryError is an error whose methods fail.
type angryError struct{ at string }

func (e *angryError) Error() string { return e.method("Error") }
func (e *angryError) Unwrap() error { e.method("Unwrap"); return nil }
func (e *angryError) As(any) bool   { e.method("As"); return false }
func (e *angryError) method(at string) string {
	if at == e.at {
		panic("secret")
	}
	return "text"
}

// TestErrorThatPanics reaches its callers, and its spans end.
func TestErrorThatPanics(t *testing.T) {
	for _, at := range []string{"Error", "Unwrap", "As"} {
		r, o := record()
		angry := &angryError{at}
		_, _, err := vigilotel.NewGroup[int, int](o).Do(bg, 1, func(context.Context) (int, error) { return 0, angry })
		require.Same(t, angry, err)
		requireSendable(t, r.Ended(), 2)
		for _, s := range r.Ended() {
			require.Equal(t, "vigilotel: a method of the *vigilotel_test.angryError panicked", s.Status().Description)
		}
	}
}
