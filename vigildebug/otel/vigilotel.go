// Package vigilotel traces loads that several callers share.
//
// A call that joins a load gets its result from work that only another caller's
// trace shows. With this package each call has a span for its wait, and each
// load has a span, whose parent is the span of the call that started it. The
// span of each other call has a link to the span of the load that it joined:
//
//	trace A   GET /a ── pages wait ── pages load
//	trace B   GET /b ── pages wait ┄┄┄┄┄┄┄┄^  (link)
//
//	import vigilotel "github.com/vigil-go/vigil/vigildebug/otel"
//
//	g := vigilotel.NewGroup[string, Page](&vigilotel.Options{Name: "pages"})
//	page, shared, err := g.Do(ctx, address, fetch)
//
// A load may continue after the call that started it has returned, so its span
// may end after its parent.
//
// A call learns which load it joined from the result, which may be a value or an
// error. A call without a result has no link: its context ended first, or the
// load panicked or called runtime.Goexit.
//
// The name of the package differs from that of its folder, so that a program can
// import it next to OpenTelemetry's own package.
//
// # Attributes
//
//	vigil.shared   of a wait: whether more than one caller got the result
//	vigil.waiters  of a load: the number of callers that waited when it ended.
//	               After a Forget it is the number of callers of the load that
//	               replaced it. Counting takes time in proportion to the loads
//	               in flight, and is left out if the span is not recorded.
//
// # Errors
//
// The span of a call or load that failed has the status Error and the text of the
// error. Bytes in it that are not UTF-8 are replaced, since OTLP would refuse
// them, and with them all spans of the batch. If a load panicked, the status
// names the type of the panic's value, but contains neither the value nor the
// stack. Spans contain no keys and no values.
//
// # Concurrency
//
// All functions and methods may be called from any goroutine at the same time.
// Group and Loader add no locks to those of package dedup, and run user code as
// it does. A TracerProvider is called with nothing locked.
package vigilotel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/vigil-go/vigil/dedup"
)

const scope = "github.com/vigil-go/vigil/vigildebug/otel"

// errUnwound is the status of a load that did not return.
var errUnwound = errors.New("vigilotel: the load panicked or called runtime.Goexit")

// Options are the options of [NewGroup] and [Loader]. The zero value is ready to
// use.
type Options struct {
	// Name is the beginning of the names of spans: "NAME wait" and "NAME load".
	// An empty Name means "vigil".
	Name string
	// TracerProvider makes the spans. Nil means otel.GetTracerProvider().
	TracerProvider trace.TracerProvider
}

// spans makes spans.
type spans struct {
	tracer     trace.Tracer
	wait, load string // names
}

// spans reads o, which may be nil.
func (o *Options) spans() spans {
	if o == nil {
		o = new(Options)
	}
	name, provider := valid(o.Name), o.TracerProvider
	if name == "" {
		name = "vigil"
	}
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	return spans{provider.Tracer(scope), name + " wait", name + " load"}
}

// A Group is a [dedup.Group] whose calls are traced. [NewGroup] makes a Group. A
// Group must not be copied after first use.
type Group[K comparable, V any] struct {
	spans   spans
	flights dedup.Group[K, landing[V]]
}

// landing is what a load returns to its callers. It also has the load's error, so
// that callers that get an error learn the span with it.
type landing[V any] struct {
	value   V
	err     error
	flight  trace.SpanContext // of the load's span
	starter trace.SpanContext // of the span of the call that started the load
}

// NewGroup returns a new Group. A nil o means the zero Options.
func NewGroup[K comparable, V any](o *Options) *Group[K, V] {
	return &Group[K, V]{spans: o.spans()}
}

// Do is [dedup.Group.Do] in a span. The context of f has the span of the load. Do
// panics if ctx or f is nil.
func (g *Group[K, V]) Do(ctx context.Context, key K, f func(ctx context.Context) (V, error)) (v V, shared bool, err error) {
	if ctx == nil {
		panic("vigilotel: nil context")
	}
	if f == nil {
		panic("vigilotel: nil function")
	}
	ctx, span := g.spans.tracer.Start(ctx, g.spans.wait)
	defer end(span)
	returned := false
	defer func() {
		if !returned { // the load ran here and called runtime.Goexit, or a parker panicked
			span.SetStatus(codes.Error, "vigilotel: the call did not return")
		}
	}()
	l, shared, err := g.flights.Do(ctx, key, func(ctx context.Context) (landing[V], error) {
		return g.load(ctx, key, f), nil
	})
	returned = true
	if err == nil {
		err = l.err
	}
	if l.flight.IsValid() && !l.starter.Equal(span.SpanContext()) {
		span.AddLink(trace.Link{SpanContext: l.flight})
	}
	span.SetAttributes(attribute.Bool("vigil.shared", shared))
	fail(span, err)
	return l.value, shared, err
}

// load runs f in the load's span.
func (g *Group[K, V]) load(ctx context.Context, key K, f func(ctx context.Context) (V, error)) (l landing[V]) {
	l.starter = trace.SpanContextFromContext(ctx)
	ctx, span := g.spans.tracer.Start(ctx, g.spans.load)
	defer end(span)
	l.flight, l.err = span.SpanContext(), errUnwound
	defer func() {
		if span.IsRecording() {
			span.SetAttributes(attribute.Int("vigil.waiters", g.waiters(key)))
		}
		fail(span, l.err)
	}()
	l.value, l.err = f(ctx)
	return l
}

// waiters returns how many callers wait for key.
func (g *Group[K, V]) waiters(key K) int {
	for k, info := range g.flights.InFlight() {
		if k == key {
			return info.Waiters
		}
	}
	return 0
}

// end is for defer: End of the SDK, deferred itself, would make an event with the
// value of a panic.
func end(span trace.Span) { span.End() }

// fail sets the status of span if err is not nil.
func fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, valid(text(err)))
	}
}

// text returns what a span may contain of err. The value of a panic and its stack
// may contain secrets, so only the callers get them.
func text(err error) (s string) {
	defer func() {
		if recover() != nil { // a method of err's
			s = fmt.Sprintf("vigilotel: a method of the %T panicked", err)
		}
	}()
	p, panicked := errors.AsType[*dedup.PanicError](err)
	switch {
	case !panicked:
		return err.Error()
	case errors.Is(p, dedup.ErrGoexit):
		return "vigilotel: the load called runtime.Goexit"
	default:
		return fmt.Sprintf("vigilotel: the load panicked with a %T", p.Value)
	}
}

// valid replaces what is not UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Forget is [dedup.Group.Forget].
func (g *Group[K, V]) Forget(key K) { g.flights.Forget(key) }

// InFlight is [dedup.Group.InFlight]. With it vigildebug.Group can show a Group.
func (g *Group[K, V]) InFlight() iter.Seq2[K, dedup.FlightInfo] { return g.flights.InFlight() }

// Loader returns a loader for [dedup.NewCache] that calls load in a span, "NAME
// load", whose parent is the span of the caller that started the load, if there is
// one. Other callers of the cache get no link, since the cache stores values
// without their spans. If load is nil, Loader returns nil, which NewCache reports
// as an error. A nil o means the zero Options.
func Loader[K comparable, V any](load dedup.Loader[K, V], o *Options) dedup.Loader[K, V] {
	if load == nil {
		return nil
	}
	s := o.spans()
	return func(ctx context.Context, key K) (v V, err error) {
		ctx, span := s.tracer.Start(ctx, s.load)
		defer end(span)
		err = errUnwound
		defer func() { fail(span, err) }()
		v, err = load(ctx, key)
		return v, err
	}
}
