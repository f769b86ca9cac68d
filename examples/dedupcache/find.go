package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
)

// An ask is one user's request for a page.
type ask struct {
	tick    uint64 // when it came
	written uint64 // when the page was last written to before that
	says    httpcache.Directives
	led     atomic.Bool // a fetch was started for it
}

type askKey struct{}

// in returns ctx with the ask: a fetch has the values of the context that it
// was started with, so it knows who its leader is.
func (a *ask) in(ctx context.Context) context.Context { return context.WithValue(ctx, askKey{}, a) }

// find returns a response that a may be answered with, or a verdict, or why
// there is none.
//
// What is kept is used while it is fresh. When it is stale, the origin is asked
// again, once for all users that ask at that time. A user may have any response
// that the origin was asked for after the user came. So of the users of a page that
// is never fresh (no-cache), the first has the first fetch, and all that come
// while it is under way share the next: none of them gets what was true
// only before. Each waits for two fetches at most, but for a page that is
// dropped meanwhile.
func (h *handler) find(ctx context.Context, a *ask, key pageKey) (*response, source, error) {
	e, err := h.pages.get(ctx, key)
	for err == nil {
		now := time.Now()
		switch {
		case e.isVerdict() || e.freshFor(a, now):
			return e, a.sourceOf(e), nil
		case e.staleFor(a, now, e.policy.StaleWhileRevalidate):
			h.renewLater(key, e)
			return e, stale, nil
		}
		old := e
		if e, err = h.pages.renew(ctx, key, old); err != nil && ctx.Err() == nil {
			if old.staleFor(a, time.Now(), old.policy.StaleIfError) {
				return old, stale, nil
			}
			err = hardened(old, err)
		}
	}
	if a.led.Load() {
		return nil, led, err
	}
	return nil, joined, err
}

// hardened says that old must not be used, if that is why err is all there is.
func hardened(old *response, err error) error {
	if _, ok := errors.AsType[badStatus](err); ok || !old.policy.MustRevalidate {
		return err
	}
	return fmt.Errorf("%w: %w", errStale, err)
}

// sourceOf says what e is to a.
func (a *ask) sourceOf(e *response) source {
	switch {
	case a.led.Load() && e.revalidated:
		return renewed
	case a.led.Load():
		return led
	case e.landed > a.tick:
		return joined
	}
	return hit
}

// renewLater replaces e, which is stale but good enough for now, behind the
// users' backs.
func (h *handler) renewLater(key pageKey, e *response) {
	if !e.renewing.CompareAndSwap(false, true) {
		return
	}
	h.fetches.Go(func() {
		defer e.renewing.Store(false) // for the next try, if this one failed
		h.pages.renew(h.base, key, e)
	})
}

// lead is the upstream's fetch, for the user that started it.
func (h *handler) lead(ctx context.Context, key pageKey, old *response) (*response, error) {
	if a, ok := ctx.Value(askKey{}).(*ask); ok {
		a.led.Store(true)
	}
	e, err := h.fetch(ctx, key, old)
	if _, bad := errors.AsType[badStatus](err); err != nil && !bad {
		h.complain(ctx, key.String(), err)
	}
	return e, err
}

// bodyEnded is told when a body is there, or will not come.
func (h *handler) bodyEnded(key pageKey, err error) {
	if err != io.EOF && !errors.Is(err, errUnread) {
		h.complain(h.base, key.String(), fmt.Errorf("the body broke off: %w", err))
	}
	h.pages.settle(key)
}
