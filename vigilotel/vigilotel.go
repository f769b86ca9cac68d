// Package vigilotel traces loads that several callers share.
//
// A call that joins a load is answered by work that another caller's trace
// shows. Here each caller has a span for its wait, each load has one, below
// that of the caller who started it, and each joiner's span has a link to the
// load's:
//
//	trace A   GET /a ── pages wait ── pages load
//	trace B   GET /b ── pages wait ┄┄┄┄┄┄┄┄^  (link)
//
//	g := vigilotel.NewGroup[string, Page](&vigilotel.Options{Name: "pages"})
//	page, shared, err := g.Do(ctx, address, fetch)
//
// A load may outlive the caller who started it, so its span may end after its
// parent's.
//
// A joiner learns which load it joined with the result, be it a value or an
// error. One that gets none has no link: because its context ended, or because
// the load panicked or called runtime.Goexit.
//
// # Attributes
//
//	vigil.shared   of a wait: whether more than one caller got the result
//	vigil.waiters  of a load: how many callers waited when it ended. After a
//	               Forget it is how many wait for the load that took its
//	               place. Counting takes time in proportion to the loads under
//	               way, and is left out if the span is not recorded.
//
// A span of what failed has the status Error and the error's text, in which
// bytes that are not UTF-8 are replaced: OTLP would refuse them, and with them
// all spans of the batch. Of a load that panicked the status has the type of the
// panic's value, but neither the value nor the stack. Keys and values are in no
// span.
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

const scope = "github.com/vigil-go/vigil/vigilotel"

// errUnwound is the status of a load that did not return.
var errUnwound = errors.New("vigilotel: the load panicked or called runtime.Goexit")

// Options say how spans are made.
type Options struct {
	// Name begins the spans' names: "NAME wait" and "NAME load". "" is
	// "vigil".
	Name string
	// TracerProvider makes the spans. nil is otel.GetTracerProvider().
	TracerProvider trace.TracerProvider
}

// spans makes them.
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

// A Group is a dedup.Group whose calls are traced. Make one with [NewGroup].
type Group[K comparable, V any] struct {
	spans   spans
	flights dedup.Group[K, landing[V]]
}

// landing is what a load brings to its callers. It carries the load's error
// too, so that those who get one learn the span with it.
type landing[V any] struct {
	value   V
	err     error
	flight  trace.SpanContext // of the load's span
	starter trace.SpanContext // of the wait's that it is below
}

// NewGroup returns a group. A nil o is the same as new(Options).
func NewGroup[K comparable, V any](o *Options) *Group[K, V] {
	return &Group[K, V]{spans: o.spans()}
}

// Do is dedup.Group.Do, in a span. f's context has the load's span. A nil ctx,
// and a nil f, panics.
func (g *Group[K, V]) Do(ctx context.Context, key K, f func(ctx context.Context) (V, error)) (v V, shared bool, err error) {
	if ctx == nil {
		panic("vigilotel: nil context")
	}
	if f == nil {
		panic("vigilotel: nil function")
	}
	ctx, span := g.spans.tracer.Start(ctx, g.spans.wait)
	defer end(span)
	l, shared, err := g.flights.Do(ctx, key, func(ctx context.Context) (landing[V], error) {
		return g.load(ctx, key, f), nil
	})
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

// waiters is how many wait for key.
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

// fail gives span the status of err, if that is an error.
func fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, valid(text(err)))
	}
}

// text is what a span may say of err. The value of a panic and its stack may
// hold anything, so they stay with the callers.
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

// Forget is dedup.Group.Forget.
func (g *Group[K, V]) Forget(key K) { g.flights.Forget(key) }

// InFlight is dedup.Group.InFlight. It lets vigildebug.Group show g.
func (g *Group[K, V]) InFlight() iter.Seq2[K, dedup.FlightInfo] { return g.flights.InFlight() }

// Loader returns load with a span around each call, "NAME load", below that of
// the caller who started it, if there is one. It is for dedup.NewCache. The
// cache's other callers get no link: it keeps values without their spans. A nil
// load gives nil, which NewCache reports, and a nil o is new(Options).
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
